"""Finding a chain that ended by the record that its last stage left in this home."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from baton.chain.events import ModelEvaluated
from baton.errors import InputError
from baton.settings import Settings


def find(settings: Settings, *, chain_id: str = "", problem: str = "") -> ModelEvaluated:
    """Latest chain of this home whose id begins so and which is of this problem.

    Raises
    ------
    InputError
        If there is none, or more than one begins so.
    """
    files = filter(Path.is_file, settings.chains.glob("*.json"))
    paths = sorted(files, key=lambda path: path.stat().st_mtime)
    if chain_id:
        paths = [path for path in paths if path.stem.startswith(chain_id)]
        if len(paths) > 1:
            raise InputError(f"{len(paths)} chains begin with {chain_id!r}; give more digits")
    for path in reversed(paths):
        try:
            found = ModelEvaluated.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue  # of another version of Baton, or none
        if problem in {"", found.problem}:
            return found
    of = f" of problem {problem!r}" if problem else ""
    what = f"chain {chain_id!r}{of}" if chain_id else f"chain{of}"
    raise InputError(f"no {what} has ended in {settings.home}; `baton run` starts one")
