"""Versions: what is installed, beside what Baton declares and what it was tested with."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from baton import distribution
from baton.cli.checkup.finding import Finding, bad, doubtful, good
from baton.words.text import listed

_SHOWN = ("prefect", "mlflow", "xgboost", "scikit-learn", "pandas", "pyarrow")
_MEND = "`make setup`, or install what constraints.txt pins"


def findings(pins: Path) -> Iterator[Finding]:
    """What is installed.

    Parameters
    ----------
    pins : Path
        File of the versions that Baton was tested with; it need not be there.
    """
    about = metadata.metadata(distribution.NAME)
    yield of_python(platform.python_version(), about["Requires-Python"] or "")
    declared = [Requirement(line) for line in metadata.requires(distribution.NAME) or []]
    yield from of_packages(declared)
    yield from of_pins(pins)


def of_python(version: str, wanted: str) -> Finding:
    """Python's version beside the range that is declared."""
    if SpecifierSet(wanted).contains(version, prereleases=True):
        return good("Python", f"{version} ({wanted})")
    return bad("Python", f"{version} is not {wanted}", "build .venv with another: `make setup`")


def of_packages(declared: Iterable[Requirement]) -> Iterator[Finding]:
    """Those that Baton declares, beside their ranges; of extras, those that are there."""
    yield good("baton", distribution.version())
    wanted = list(declared)
    for name in _SHOWN:
        if (found := installed(name)) and not any(_is_outside(one) for one in _of(name, wanted)):
            yield good(name, found)
    for one in wanted:
        found, is_extra = installed(one.name), "extra" in str(one.marker or "")
        if found is None and not is_extra and (one.marker is None or one.marker.evaluate()):
            yield bad(one.name, f"it is not installed, and {one.specifier} is needed", _MEND)
        elif _is_outside(one):
            kind = doubtful if is_extra else bad
            yield kind(one.name, f"{found} is not {one.specifier}", _MEND)


def _of(name: str, declared: Iterable[Requirement]) -> list[Requirement]:
    return [one for one in declared if one.name == name]


def _is_outside(one: Requirement) -> bool:
    found = installed(one.name)
    return found is not None and not one.specifier.contains(found, prereleases=True)


def of_pins(place: Path) -> Iterator[Finding]:
    """What is installed beside what Baton was tested with, where that is known."""
    if not place.is_file():
        return
    lines = (line.partition("#")[0].strip() for line in place.read_text("utf-8").splitlines())
    pinned = [one for one in map(_requirement, lines) if one]
    here = [one for one in pinned if one.marker is None or one.marker.evaluate()]
    others = [f"{one.name} {installed(one.name)}" for one in here if _is_outside(one)]
    if others:
        fact = f"{len(others)} packages are not as tested: {listed(sorted(others), 5, last=', ')}"
        yield doubtful("constraints", fact, _MEND)
    else:
        count = sum(installed(one.name) is not None for one in here)
        yield good("constraints", f"{count} packages as {place.name} pins them")


def _requirement(line: str) -> Requirement | None:
    try:
        return Requirement(line) if line else None
    except InvalidRequirement:
        return None


def installed(name: str) -> str | None:
    """Version of a distribution; None where there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
