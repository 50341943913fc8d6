"""Which runs of a work pool may not start warm: those whose code or process is another one's.

Pure functions; how a run is started belongs in ``serving/worker.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.platform.deployments import PULL

_READ_WHEN_IMPORTED = {"BATON_HOME", "BATON_INTERNALS", "BATON_PARENT_PID"}
"""Settings that the template, or who asks it, has read before the run was there."""


def why_cold(
    entrypoint: str | None,
    pull_steps: Sequence[Mapping[str, Any]] | None,
    variables: Collection[str],
    folder: Path,
) -> str:
    """Say why a run cannot be forked from a template; empty if it can.

    Parameters
    ----------
    entrypoint : str or None
        Of its deployment.
    pull_steps : sequence of mapping or None
        Steps by which its deployment has the code fetched.
    variables : collection of str
        Names of the variables that its deployment or its work pool sets.
    folder : Path
        Where the template has its code from.

    Examples
    --------
    >>> why_cold("flows/train.py:train", None, [], Path("/app"))
    'its code is not taken from /app as it is'
    """
    if not _stays_in(folder, pull_steps or []):
        return f"its code is not taken from {folder} as it is"
    if not _is_in(folder, entrypoint or ""):
        return f"its entrypoint {entrypoint} is no file of {folder}"
    others = sorted(name for name in variables if not _is_read_by_the_run(name))
    if others:
        return f"its job_variables set {', '.join(others)}, which a process reads as it begins"
    return ""


def _stays_in(folder: Path, steps: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether all that is done to get the code is to go to this folder."""
    if len(steps) != 1 or list(steps[0]) != [PULL]:
        return False
    given = steps[0][PULL]
    place = Path(str(given.get("directory", ""))) if list(given) == ["directory"] else Path()
    return place.is_absolute() and place.resolve() == folder.resolve()


def _is_in(folder: Path, entrypoint: str) -> bool:
    path, colon, _ = entrypoint.rpartition(":")
    place = (folder / path).resolve()
    return bool(colon) and place.is_file() and place.is_relative_to(folder.resolve())


def _is_read_by_the_run(name: str) -> bool:
    return name.startswith("BATON_") and name not in _READ_WHEN_IMPORTED
