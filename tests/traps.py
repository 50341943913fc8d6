"""Files that run code when they are read by what believes them: each would create a file."""

import base64
import functools
import io
import json
import os
import pickle
from pathlib import Path

import joblib
import pyarrow as pa
import pyarrow.parquet as pq
import skops.io
from sklearn.preprocessing import FunctionTransformer


class Trap:
    """An object whose pickle creates a file."""

    def __init__(self, canary):
        self.canary = str(canary)

    def __reduce__(self):
        return (open, (self.canary, "w"))


def pickled(canary):
    """A pickle, as cloudpickle and joblib make one too."""
    return pickle.dumps(Trap(canary))


def joblibbed(canary):
    """A compressed file of joblib."""
    content = io.BytesIO()
    joblib.dump(Trap(canary), content, compress=3)
    return content.getvalue()


def enveloped(canary):
    """A result of Prefect's that names the pickle serializer, its metadata in the same file."""
    entry = {
        "metadata": {"serializer": {"type": "pickle", "picklelib": "cloudpickle"}},
        "result": base64.b64encode(pickled(canary)).decode(),
    }
    return json.dumps(entry).encode()


def archived(canary):
    """A skops file of a type that is no model's: it calls what its rows say."""
    return skops.io.dumps(FunctionTransformer(functools.partial(os.system)))


def parquet(canary):
    """A table whose metadata name a pickled type, and whose lineage and pandas' are hostile."""
    extension = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickled(canary),
    }
    field = pa.field("n", pa.int64(), metadata=extension)
    said = json.dumps(f"__import__('os').system('touch {canary}')").encode()
    metadata = {b"baton": said, b"pandas": b'{"index_columns": [%s], "columns": []}' % said}
    table = pa.table([pa.array([1, 2])], schema=pa.schema([field], metadata=metadata))
    content = io.BytesIO()
    pq.write_table(table, content)
    return content.getvalue()


def code(canary):
    """A module of Python."""
    return f"open({str(canary)!r}, 'w').close()\n".encode()


def yaml_of(canary):
    """YAML that PyYAML's unsafe loaders call a function by."""
    return f"name: !!python/object/apply:os.system ['touch {canary}']\n".encode()


def manifest(canary):
    """A prefect.yaml whose steps run a command."""
    step = {"prefect.deployments.steps.run_shell_script": {"script": f"touch {canary}"}}
    steps = {name: [step] for name in ("build", "push", "pull")}
    deployment = {"name": "train", "entrypoint": "trap.py:train", **steps}
    return json.dumps({"name": "x", **steps, "deployments": [deployment]}).encode()


def page(canary):
    """A page whose script runs in who opens it."""
    return f"<script>{code(canary).decode()}</script>".encode()


KINDS = {
    "pickle": pickled,
    "joblib": joblibbed,
    "envelope": enveloped,
    "skops": archived,
    "parquet": parquet,
    "yaml": yaml_of,
    "manifest": manifest,
    "page": page,
    "code": code,
}


def folder_of_code(place, canary):
    """Plant modules and settings that a process takes from the folder it is started in."""
    place.mkdir(parents=True, exist_ok=True)
    names = ["pandas", "prefect", "mlflow", "yaml", "uvicorn", "sitecustomize", "usercustomize"]
    names += ["flows/train", "flows/__init__", "tasks/__init__", "serving/__init__", "baton"]
    names += ["trap", "notebooks/tour", "serving/__main__"]
    for name in names:
        path = place / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(code(f"{canary}-{name.replace('/', '-')}"))
    (place / "prefect.yaml").write_bytes(manifest(f"{canary}-manifest"))
    logging = {
        "version": 1,
        "handlers": {"x": {"()": "os.system", "command": f"touch {canary}-logging"}},
    }
    (place / "logging.yml").write_text(json.dumps(logging))
    settings = {"PREFECT_LOGGING_SETTINGS_PATH": place / "logging.yml", "BATON_HOME": place}
    (place / ".env").write_text("".join(f"{k}={v}\n" for k, v in settings.items()))
    toml = f'[logging]\nconfig_path = "{place / "logging.yml"}"\n'
    (place / "prefect.toml").write_text(toml)
    (place / "pyproject.toml").write_text(toml.replace("[", "[tool.prefect.", 1))


def sprung(canary):
    """Names of the files that traps have made."""
    return sorted(path.name for path in Path(canary).parent.glob(f"{Path(canary).name}*"))
