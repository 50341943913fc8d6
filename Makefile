# Everything a person does here, by name. Each target first makes sure of the environment.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# With it set, every process Baton starts compiles its imports again: Prefect needs twice as long.
unexport PYTHONDONTWRITEBYTECODE

# uv trusts what this machine trusts, as pip and git do; its own list knows no company proxy.
export UV_SYSTEM_CERTS ?= true

VENV  := .venv
STAMP := $(VENV)/.installed

# The interpreter to build .venv with. Empty: python3, else the newest supported one there is.
PYTHON ?=
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11)
SUPPORTED  := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))

# The stamp holds the checkout's path: a moved checkout or a vanished interpreter installs again.
WHOLE := [ "$$(cat $(STAMP) 2>/dev/null)" = "$(CURDIR)" ] && $(VENV)/bin/python -c "" 2>/dev/null
ifneq ($(shell $(WHOLE) && echo whole),whole)
.PHONY: $(STAMP)
endif

UV_INSTALL := $(VENV)/bin/uv pip install --python $(VENV)/bin/python --compile-bytecode \
	--constraints constraints.txt --build-constraints constraints.txt
UV_COMPILE := $(VENV)/bin/uv pip compile --universal --python-version 3.11 \
	--no-annotate --no-header --no-emit-index-url --no-emit-find-links

# A fresh .venv that holds uv and nothing else.
define new_venv
{ python=; for p in $(CANDIDATES); do \
    if "$$p" -c '$(SUPPORTED)' >/dev/null 2>&1; then python=$$p; break; fi; \
  done; \
  if [ -z "$$python" ]; then \
    echo "error: Baton needs Python 3.11, 3.12 or 3.13 with venv; tried: $(CANDIDATES)" >&2; \
    echo "       install one (Debian, Ubuntu: python3 and python3-venv)" >&2; \
    echo "       or name one: make setup PYTHON=/path/to/python3.11" >&2; \
    exit 1; \
  fi; \
  echo "building $(VENV) with $$("$$python" -V)"; \
  "$$python" -m venv --clear $(VENV) && \
  $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
    --constraint constraints.txt uv; }
endef

.PHONY: help setup run test long services coverage lint dist sbom audit image bench docs screenshots \
	constraints environment clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

setup: $(STAMP) ## Make .venv and install what constraints.txt pins, if that has changed

# No stamp means that an installation never ended: then nothing in .venv is trusted.
$(STAMP): pyproject.toml constraints.txt
	@if $(WHOLE); then rm -f $(STAMP); else rm -f $(STAMP); $(new_venv); fi
	@$(VENV)/bin/uv pip uninstall --quiet --python $(VENV)/bin/python baton  # as it was called once
	$(UV_INSTALL) --editable . --group dev
	@printf '%s\n' "$(CURDIR)" > $(STAMP)

run: setup ## Run the chain once, on the spheres problem
	$(VENV)/bin/baton run spheres

test: setup ## Run the tests, but for a few that take longest
	$(VENV)/bin/pytest -m "not long"

long: setup ## Run the tests that take longest
	$(VENV)/bin/pytest -m long

services: setup ## Run the integration tests on PostgreSQL and Redis, as a team has them
	$(VENV)/bin/pytest -n 0 tests/integration --database postgresql

coverage: setup ## Measure what the tests without a chain cover; less than the floor fails
	$(VENV)/bin/pytest -m "not long" tests/unit tests/contract tests/integration src --cov

lint: setup ## Check format, style, types and the import rule
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/ruff check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

dist: setup ## Build sdist and wheel into dist, check both, run the wheel where nothing else is
	rm -rf dist
	$(VENV)/bin/uv build --quiet --no-build-isolation --python $(VENV)/bin/python --out-dir dist
	$(VENV)/bin/twine check --strict dist/*.tar.gz dist/*.whl
	.ci/try-wheel $(VENV)/bin/uv $(VENV)/bin/python dist/*.whl

# What a user installs, at the versions that were tested; not what it is developed with. Of
# pyproject.toml it gets what is standard: where there is a tool.poetry, it looks for a name there.
sbom: setup ## Write the bill of materials of a release, as CycloneDX, into dist
	mkdir -p build dist
	$(UV_COMPILE) --quiet --all-extras --constraints constraints.txt \
		--output-file build/requirements.txt pyproject.toml
	sed '/^\[tool/,$$d' pyproject.toml > build/pyproject.toml
	$(VENV)/bin/uv tool run --python $(VENV)/bin/python --constraints constraints.txt \
		--from cyclonedx-bom cyclonedx-py requirements --pyproject build/pyproject.toml \
		--output-reproducible --output-format JSON --output-file dist/baton.cdx.json build/requirements.txt

audit: setup ## Ask whether a pinned version is known to be vulnerable
	$(VENV)/bin/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip \
		--progress-spinner off $(AUDIT)

# docker, podman or what else builds a Dockerfile; buildah where there is neither engine nor daemon.
ENGINE ?= docker

image: ## Build the image baton:local with ENGINE; ENGINE=buildah needs nothing but Debian's packages
	$(if $(filter buildah,$(ENGINE)),deploy/image/engine-free build,$(ENGINE) build --tag baton:local .)

bench: setup ## Measure starts, chains and fast paths beside the ordinary way, as one table
	$(VENV)/bin/python benchmarks/bench.py

docs: setup ## Build the site into docs/_build/html, warnings as errors, and check the pages
	$(VENV)/bin/sphinx-build -q -W --keep-going -j 2 -b html docs docs/_build/html
	$(VENV)/bin/pytest -n 0 tests/test_docs.py
	@echo "open docs/_build/html/index.html"

screenshots: setup ## Take the site's pictures of Prefect's and MLflow's pages from a real run
	$(VENV)/bin/python docs/screenshots.py

constraints: ## Pin again after a change of pyproject.toml; UPGRADE=1 takes the newest of everything
	@$(VENV)/bin/uv --version >/dev/null 2>&1 || $(new_venv)
	$(UV_COMPILE) $(if $(UPGRADE),--upgrade) --quiet --all-extras --group dev --group release \
		--output-file constraints.txt pyproject.toml

# By a file of its own, so that one that cannot be made leaves the old one.
environment: setup ## Make environment.yml, for conda and mamba, from pyproject.toml
	mkdir -p build
	$(VENV)/bin/python .ci/environment.py > build/environment.yml
	mv build/environment.yml environment.yml

clean: ## Remove .venv and everything that is built; .baton (your results) stays
	rm -rf $(VENV) build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache .coverage
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
