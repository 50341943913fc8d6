"""A virtual environment for each peer, made once and kept in the user's cache.

Peers need other versions than Baton, or would bring much that it does not need. uv makes the
environment where it is there, else venv and pip do.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from baton.settings import settings

HERE = Path(__file__).parent
_MOST_SECONDS = 600.0
_WHOLE = "whole"
"""File of an environment in which all is installed."""


def python_of(name: str) -> Path | None:
    """Interpreter of a peer's environment.

    Parameters
    ----------
    name : str
        Of the text file beside this module that pins its packages.

    Returns
    -------
    Path, or None where it cannot be installed: why is said on standard error.
    """
    pins = HERE / f"{name}.txt"
    digest = hashlib.sha256(f"{sys.version}{pins.read_text('utf-8')}".encode()).hexdigest()[:12]
    folder = settings().moulds / "peers" / f"{name}-{digest}"
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if (folder / _WHOLE).exists():
        return python
    print(f"installing {name} for this benchmark …", file=sys.stderr, flush=True)
    try:
        for command in _commands(folder, python, pins):
            _run(command)
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        print(f"{name} is left out: {said[-1] if said else error}", file=sys.stderr)
        return None
    (folder / _WHOLE).touch()
    return python


def _commands(folder: Path, python: Path, pins: Path) -> list[list[str]]:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv:
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
        make = [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)]
    else:
        install = [str(python), "-m", "pip", "install", "--quiet"]
        make = [sys.executable, "-m", "venv", "--clear", str(folder)]
    return [make, [*install, "--requirement", str(pins)]]


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=_MOST_SECONDS)
