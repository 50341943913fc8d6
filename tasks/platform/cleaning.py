"""Removing what nothing needs: results, records, files, locks and, if asked for, models.

What nothing needs is found in ``baton.chain.leftovers``. Whoever is killed while it is removed
leaves nothing that counts as whole and is not: a record goes before what it refers to; a folder of
results is moved away in one step, and its files go where nobody looks for them; a version leaves
the registry before its files go. What a chain may have seen before that step it finds again: the
server is asked once more after it, and the folder put back if a chain of its problem has begun.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from baton.chain import decisions, leftovers
from baton.chain.leftovers import GONE, Busy, Item, Kind
from baton.errors import InputError
from baton.settings import settings
from baton.stores import shelf
from tasks.platform import locks, tracking
from tasks.platform.tracking import Version

log = logging.getLogger(__name__)

Going = Callable[[], Busy]
"""Asks what chains that are not over may need."""


@dataclass(frozen=True)
class Leftovers:
    """What is to be removed."""

    items: tuple[Item, ...]
    versions: Mapping[Path, Version]
    """Versions of models by the path that stands for each."""
    busy: Busy
    passed: tuple[Path, ...] = ()
    """Links that are passed over: what they lead to may be anywhere."""
    with_models: bool = False
    """Whether versions of models are among it."""

    @property
    def n_bytes(self) -> int:
        """Bytes of all of it."""
        return sum(one.n_bytes for one in self.items)


@contextmanager
def alone() -> Iterator[None]:
    """Hold the home against another one that cleans it.

    Raises
    ------
    InputError
        If there is one.
    """
    place = settings().locks / "clean.lock"
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(place, timeout=0):
            yield
    except Timeout:
        raise InputError(
            "another `baton clean` is at work in this home; wait for its end"
        ) from None


def look(age: timedelta, going: Going, *, with_models: bool) -> Leftovers:
    """Find what nothing needs.

    Parameters
    ----------
    age : timedelta
        What is younger is not looked at.
    going : callable
    with_models : bool
        Whether versions of models are removed, too.

    Raises
    ------
    InputError
        If they are to be and machines share results.
    """
    if shelf.is_used():
        _require_own(with_models)
    busy, since = going(), datetime.now(UTC) - age
    versions = _versions()
    needed = {(one.name, one.number) for one in versions if one.aliases or one.is_newest}
    keep = leftovers.kept(settings(), needed | _decided(versions), busy, since)
    items = leftovers.found(settings(), keep, busy, since)
    if shelf.is_used():  # a record would come back from there
        items = [one for one in items if one.kind is not Kind.RECORD]
    stale = locks.stale(settings().locks, time.time())
    items += [Item(Kind.LOCK, one, 0) for one in stale]
    spared = {one.model for one in keep.records if one.model} | needed | _decided(versions)
    gone = _unneeded(versions, spared, busy, since) if with_models else {}
    items += [
        Item(Kind.MODEL, path, tracking.bytes_of(one), one.name) for path, one in gone.items()
    ]
    return Leftovers(tuple(items), gone, busy, tuple(_links()), with_models)


def _require_own(with_models: bool) -> None:
    """Learn what machines share, which this home's results may be needed for.

    Raises
    ------
    InputError
        If models are to be removed, which other homes may need.
    """
    if with_models:
        raise InputError(
            "BATON_RESULTS is shared: what other machines need of models is not known here; clean"
            " without --models"
        )
    shelf.take_all(settings().chains)
    for name in shelf.folders(settings().results / "looks"):
        shelf.take_all(settings().results / "looks" / name)


def _versions() -> list[Version]:
    """Every version, by which it is known what is needed.

    Raises
    ------
    InputError
        If MLflow cannot be asked: then nothing is removed.
    """
    try:
        return tracking.versions()
    except OSError as error:
        said = " ".join(str(error).split())[:300]
        raise InputError(
            f"MLflow cannot be asked which versions are champions, and nothing was removed: {said}"
        ) from None


def _decided(versions: Iterable[Version]) -> set[tuple[str, int]]:
    """Champions by the log of decisions: MLflow may have lost its aliases."""
    found: set[tuple[str, int]] = set()
    for name in {one.name for one in versions} | set(_logged()):
        known = decisions.read(settings(), name)
        last = (known[-1].champion, known[-1].previous) if known else ()
        found |= {(name, number) for number in last if number}
    return found


def _logged() -> list[str]:
    place = settings().results / "decisions"
    return [one.name for one in place.iterdir() if one.is_dir()] if place.is_dir() else []


def _unneeded(
    versions: Iterable[Version], spared: set[tuple[str, int]], busy: Busy, since: datetime
) -> dict[Path, Version]:
    """Versions that nothing refers to; none of a problem that a chain is at work on."""
    return {
        Path(f"models:/{one.name}/{one.number}"): one
        for one in versions
        if (one.name, one.number) not in spared
        and one.made < since
        and one.problem not in busy.problems
        and one.run_id not in busy.text
    }


def _links() -> list[Path]:
    """Links where folders are looked for."""
    home, results = settings().home, settings().results
    places = [home / name for name in ("downloads", "chains", *leftovers.SENT)]
    problems = list(results.iterdir()) if results.is_dir() else []
    whole = (one for one in problems if one.is_dir() and not one.is_symlink())
    inner = [place for one in whole for place in one.iterdir()]
    return sorted(one for one in [*places, *problems, *inner] if one.is_symlink())


def remove(found: Leftovers, going: Going) -> list[Item]:
    """Remove what was found, but for what a chain that has begun since may need.

    Returns
    -------
    list of Item
        What was removed.
    """
    busy = going()
    removed = [one for one in found.items if one.kind not in _LATER and _go(one, busy)]
    moved = [one for one in removed if one.kind is Kind.RESULT]
    back = _put_back(moved, going()) if moved else set()
    _empty_gone()
    locks.sweep(settings().locks, time.time())
    swept = [one for one in found.items if one.kind in _SWEPT and not one.path.exists()]
    if found.with_models:
        tracking.delete_marked()
    models = [one for one in found.items if one.kind is Kind.MODEL]
    gone = [one for one in models if _model_goes(found.versions[one.path], busy)]
    return [one for one in [*removed, *swept, *gone] if one not in back]


_SWEPT = {Kind.LOCK, Kind.GONE}
_LATER = _SWEPT | {Kind.MODEL}


def _go(one: Item, busy: Busy) -> bool:
    """Remove one thing, unless a chain may need it by now; whether it is gone."""
    if one.about in busy.problems or (busy.problems and one.kind not in _OF_PROBLEM):
        return False
    if not _is_within(one.path):
        log.warning("%s is passed over: a link leads to it", one.path)
        return False
    match one.kind:
        case Kind.RESULT:
            return _moved_away(one.path)
        case Kind.DOWNLOAD:
            return _download_goes(one.path)
        case Kind.SENT:
            return _sent_goes(one.path)
    with suppress(FileNotFoundError):
        one.path.unlink()
    return True


_OF_PROBLEM = {Kind.RECORD, Kind.RESULT, Kind.MODEL}
"""Kinds of which it is known of what problem they are."""


def _is_within(path: Path) -> bool:
    """Tell whether a path is what it says, below the home or its results, by no link."""
    bases = (settings().home.resolve(), settings().results.resolve())
    parents = (settings().home, settings().results)
    for base, parent in zip(bases, parents, strict=True):
        with suppress(ValueError):
            if path.resolve() == base / path.relative_to(parent):
                return not path.is_symlink()
    return False


def _moved_away(place: Path) -> bool:
    """Move a folder of results to where nobody looks for it, in one step; not one in the making."""
    key = f"{place.parent.name}.{place.name}"
    try:
        with FileLock(settings().locks / f"{key}.lock", timeout=0):
            gone = settings().results / GONE
            gone.mkdir(exist_ok=True)
            if gone.is_symlink():
                return False
            place.rename(gone / key)
    except (Timeout, FileNotFoundError):
        return False
    except OSError:  # what an earlier clean has left there is in the way
        return _moved_over(place, gone / key)
    return True


def _moved_over(place: Path, there: Path) -> bool:
    """Move a folder to where one of its name lies already."""
    there.rename(there.with_name(f"{there.name}.{uuid4().hex[:8]}"))
    place.rename(there)
    return True


def _put_back(moved: Iterable[Item], busy: Busy) -> set[Item]:
    """Put back what a chain that has begun meanwhile may have seen."""
    back = set()
    for one in moved:
        key = f"{one.path.parent.name}/{one.path.name}"
        if one.about in busy.problems or key in busy.folders:
            back.add(one)
            with suppress(OSError):  # the chain has made it anew
                (settings().results / GONE / key.replace("/", ".")).rename(one.path)
    return back


def _empty_gone() -> None:
    gone = settings().results / GONE
    if gone.is_dir() and not gone.is_symlink():
        shutil.rmtree(gone)


def _download_goes(place: Path) -> bool:
    """Remove a copy, and then what is noted of it: a note without a copy is of nothing."""
    lock = place.with_name(f"{place.name}.lock")
    try:
        with FileLock(lock, timeout=0):
            place.unlink(missing_ok=True)
            place.with_name(f"{place.name}.json").unlink(missing_ok=True)
            lock.unlink(missing_ok=True)
    except Timeout:
        return False
    return True


def _sent_goes(place: Path) -> bool:
    """Remove a copy of what was sent: its folder is renamed first, lest half of one be read."""
    if place.is_dir():
        hidden = place.with_name(f".new-{uuid4().hex}")
        place.rename(hidden)
        shutil.rmtree(hidden)
    else:
        place.unlink(missing_ok=True)
    return True


def _model_goes(version: Version, busy: Busy) -> bool:
    if version.problem in busy.problems or version.run_id in busy.text:
        return False
    return tracking.delete_version(version)
