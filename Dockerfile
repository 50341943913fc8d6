# syntax=docker/dockerfile:1

# One image for every role: it serves the chain by default; compose.yaml also runs the Prefect
# server and MLflow from it, so that all of them stand on the same pins.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim-bookworm AS build
ENV UV_CACHE_DIR=/var/cache/uv \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never \
    VIRTUAL_ENV=/opt/venv
WORKDIR /app
# The dependencies are a layer of their own: an edit of the source does not install them again.
# NVIDIA's NCCL, a fifth of it, is for training on several GPUs: XGBoost does without it elsewhere.
COPY pyproject.toml constraints.txt ./
RUN --mount=type=cache,target=/var/cache/uv \
    pip install --no-cache-dir --constraint constraints.txt uv \
    && uv venv "$VIRTUAL_ENV" \
    && uv pip install --compile-bytecode --constraints constraints.txt \
       --requirements pyproject.toml --extra services --extra mysql --extra notebooks --extra kubernetes --extra s3 \
    && uv pip uninstall nvidia-nccl-cu12
COPY README.md LICENSE prefect.yaml ./
COPY src src
COPY tasks tasks
COPY flows flows
COPY serving serving
COPY notebooks notebooks
RUN --mount=type=cache,target=/var/cache/uv \
    uv pip install --no-deps --build-constraints constraints.txt --editable . \
    && "$VIRTUAL_ENV/bin/python" -m compileall -q src tasks flows serving

FROM python:${PYTHON}-slim-bookworm
LABEL org.opencontainers.image.title="Baton" \
      org.opencontainers.image.description="Event-chained machine-learning pipelines on Prefect 3" \
      org.opencontainers.image.licenses="Apache-2.0"
# MLflow looks for git to note the commit; there is none here, and it need not say so. Prefect's
# server writes its pages when it starts, by default among its own files, which are not its to change.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GIT_PYTHON_REFRESH=quiet \
    PREFECT_SERVER_UI_STATIC_DIRECTORY=/tmp/prefect-pages \
    BATON_HOME=/data
# OpenMP: LightGBM brings no copy of its own, and without it no stage starts.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1=12.* \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --create-home baton \
    && install --directory --owner baton --group baton /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
VOLUME /data
# Serving is of use only while the API answers; without an API of its own the check has no say.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; u = os.environ.get('PREFECT_API_URL'); u and r.urlopen(u.rstrip('/') + '/health', timeout=8)"]
# Serves; a command given instead is run as it stands, as Prefect's Docker worker expects.
ENTRYPOINT ["sh", "-c", "case \"$1\" in ''|-*) exec python -m serving \"$@\" ;; *) exec \"$@\" ;; esac", "baton"]
