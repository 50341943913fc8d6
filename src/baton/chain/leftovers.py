"""What a home holds that nothing needs any more. Removing it is ``tasks/platform/cleaning.py``.

What is needed is told by what refers to it: the records of chains that are kept, the answers of
periods, the log of looks, and whatever text the caller has of chains that go on. A reference is a
folder of results, ``<problem>/<16 hexadecimal digits>``, wherever it stands in a text, so that a
record that is damaged, or of another version of Baton, still keeps what it names.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from baton.chain import looks
from baton.chain.runs import Json
from baton.disk import ASIDE
from baton.settings import Settings

GONE = ".gone"
"""Folder of results in which lies what is being removed: it was moved there in one step."""

SENT = ("piped", "uploads")
"""Folders of the home that hold the copies of files that were sent."""

_REFERENCE = re.compile(r"\b([a-z][a-z0-9_-]{0,63}/[0-9a-f]{16})/")
_PROBLEM = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{16}")
_PARTIAL = re.compile(r"\.[0-9a-f]{32}\.(partial|token)|\.new-.*|\.answers\.new")
_ASIDE = re.compile(rf".+{re.escape(ASIDE)}\d*")
_OF_DOWNLOAD = (".json", ".lock", ".partial")
"""Ends of what stands beside a download."""


class Kind(StrEnum):
    """Kinds of what is left over, in the order in which they are removed: who refers goes first."""

    RECORD = "record of a chain"
    RESULT = "folder of results"
    GONE = "left by an earlier clean"
    PARTIAL = "partial file"
    ASIDE = "file put aside"
    DOWNLOAD = "download"
    SENT = "file that was sent"
    LOCK = "lock that nobody holds"
    MODEL = "version of a model"


@dataclass(frozen=True)
class Item:
    """One thing that nothing needs."""

    kind: Kind
    path: Path
    n_bytes: int
    about: str = ""
    """Problem, or whatever else it is of."""

    @property
    def facts(self) -> Json:
        """It, ready for JSON."""
        said = {"kind": self.kind.name.lower(), "path": str(self.path), "n_bytes": self.n_bytes}
        return said | {"about": self.about or None}


@dataclass(frozen=True)
class Busy:
    """What chains that are not over may need."""

    chains: frozenset[str] = frozenset()
    problems: frozenset[str] = frozenset()
    """Those of which a chain is at work: it may find, and rely on, any result of them."""
    text: str = ""
    """Parameters of all their runs."""

    @property
    def folders(self) -> frozenset[str]:
        """Folders of results that their parameters name."""
        return references(self.text)


@dataclass(frozen=True)
class Record:
    """Record of a chain, as far as it can be read."""

    path: Path
    text: str
    changed: float
    """When it was written, seconds since 1970."""
    problem: str = ""
    model: tuple[str, int] | None = None
    """Name and version; None where it cannot be read: then it is kept."""


@dataclass(frozen=True)
class Kept:
    """What is kept, and why the rest may go."""

    records: tuple[Record, ...]
    folders: frozenset[str]
    text: str = field(repr=False)
    """All that may name a file by its path."""


def references(text: str) -> frozenset[str]:
    """Folders of results that a text names.

    Examples
    --------
    >>> sorted(references('{"key": "iris/0123456789abcdef/raw.parquet"}'))
    ['iris/0123456789abcdef']
    """
    return frozenset(_REFERENCE.findall(text))


def records(settings: Settings) -> list[Record]:
    """Every record of a chain of this home; none is changed, though it be damaged."""
    files = sorted(path for path in settings.chains.glob("*.json") if _is_plain_file(path))
    return [_record(path) for path in files]


def _record(path: Path) -> Record:
    text, changed = path.read_bytes().decode("utf-8", "replace"), path.stat().st_mtime
    try:
        said = json.loads(text)
        model = (str(said["model"]["name"]), int(said["model"]["version"]))
        return Record(path, text, changed, str(said["problem"]), model)
    except (ValueError, KeyError, TypeError):
        return Record(path, text, changed)


def kept(
    settings: Settings, needed: Iterable[tuple[str, int]], busy: Busy, since: datetime
) -> Kept:
    """What stays.

    Parameters
    ----------
    settings : Settings
    needed : iterable of name and version
        Models that something refers to: an alias, or whoever takes the newest.
    busy : Busy
    since : datetime
        What is younger stays.
    """
    wanted = {*needed, *_looked_at(settings, since)}
    stay = tuple(one for one in records(settings) if _stays(one, wanted, busy, since))
    named = "".join(one.text for one in stay) + busy.text + _periods(settings)
    folders = references(named + _last_looks(settings, wanted))
    return Kept(stay, folders, named + _origins(settings, folders))


def _stays(one: Record, needed: set[tuple[str, int]], busy: Busy, since: datetime) -> bool:
    is_young = one.changed >= since.timestamp()
    is_busy = one.path.stem in busy.chains or one.problem in busy.problems
    return one.model is None or one.model in needed or is_young or is_busy


def _looked_at(settings: Settings, since: datetime) -> Iterator[tuple[str, int]]:
    """Models that predicted of late: labels of those rows may come yet."""
    for name in _logs(settings):
        for look in looks.read(settings, name):
            if look.at >= since:
                yield name, look.version


def _last_looks(settings: Settings, needed: set[tuple[str, int]]) -> str:
    """The last look at the rows of each of these models: its page is the last word on drift."""
    last: dict[tuple[str, int], str] = {}
    for name in _logs(settings):
        for look in looks.read(settings, name):  # the oldest first
            last[name, look.version] = look.page + "\n"
    return "".join(page for model, page in last.items() if model in needed)


def _logs(settings: Settings) -> list[str]:
    place = settings.results / "looks"
    return sorted(one.name for one in place.iterdir() if one.is_dir()) if place.is_dir() else []


def _periods(settings: Settings) -> str:
    """What was announced of each period: it is predicted once, and its answer refers to tables."""
    place = settings.results / "periods"
    return "".join(map(_metadata, sorted(place.rglob("answers.parquet"))))


def _origins(settings: Settings, folders: Iterable[str]) -> str:
    """Lineage of the features in these folders: it names the file that they were made from."""
    places = (settings.results / one / "features.parquet" for one in sorted(folders))
    return "".join(_metadata(one) for one in places if one.is_file())


def _metadata(path: Path) -> str:
    """What a Parquet file says of itself; empty of one that is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        said = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowInvalid):
        return ""
    return "\n".join(value.decode("utf-8", "replace") for value in said.values())


def found(settings: Settings, keep: Kept, busy: Busy, since: datetime) -> list[Item]:
    """Everything that nothing needs, in the order in which it is to be removed.

    Parameters
    ----------
    settings : Settings
    keep : Kept
    busy : Busy
        Of a problem that a chain is at work on, nothing is found; while any is, no file that
        it may just be reading or writing.
    since : datetime
        What is younger stays.
    """
    least = since.timestamp()
    every = [
        *_records(settings, keep),
        *_results(settings, keep, busy, least),
        *_gone(settings),
        *([] if busy.problems else _files(settings, keep, least)),
    ]
    order = list(Kind)
    return sorted(every, key=lambda one: (order.index(one.kind), one.path))


def _records(settings: Settings, keep: Kept) -> Iterator[Item]:
    stay = {one.path for one in keep.records}
    for one in records(settings):
        if one.path not in stay:
            yield Item(Kind.RECORD, one.path, one.path.stat().st_size, one.problem)


def _results(settings: Settings, keep: Kept, busy: Busy, least: float) -> Iterator[Item]:
    for place in folders_of_results(settings.results):
        key = f"{place.parent.name}/{place.name}"
        is_needed = key in keep.folders or place.parent.name in busy.problems
        if not is_needed and newest(place) < least:
            yield Item(Kind.RESULT, place, size_of(place), place.parent.name)


def folders_of_results(results: Path) -> Iterator[Path]:
    """Folders of results, but for those that a link leads to: what it names may be anywhere."""
    for problem in _folders(results):
        if _PROBLEM.fullmatch(problem.name):
            yield from (one for one in _folders(problem) if _DIGEST.fullmatch(one.name))


def _gone(settings: Settings) -> Iterator[Item]:
    for place in _folders(settings.results):
        if place.name == GONE:
            yield from (Item(Kind.GONE, one, size_of(one)) for one in _children(place))


def _files(settings: Settings, keep: Kept, least: float) -> Iterator[Item]:
    """Files that are not whole, that were put aside, downloaded or sent."""
    of_results = {settings.results / one for one in keep.folders}
    for path in _walked(settings.home, of_home=True):
        if newest(path) >= least:
            continue
        if _is_partial(path, settings):
            yield Item(Kind.PARTIAL, path, size_of(path))
        elif _ASIDE.fullmatch(path.name) and _may_go_aside(path, settings, of_results):
            yield Item(Kind.ASIDE, path, size_of(path))
    yield from _downloads(settings, least)
    yield from _sent(settings, keep, least)


def _is_partial(path: Path, settings: Settings) -> bool:
    is_new = path.parent == settings.results / ".new"
    is_download = path.suffix == ".partial" and path.is_relative_to(settings.home / "downloads")
    return is_new or is_download or bool(_PARTIAL.fullmatch(path.name))


def _may_go_aside(path: Path, settings: Settings, kept_folders: set[Path]) -> bool:
    """Tell whether a file that was put aside may go by itself.

    One in a folder of results that goes, goes with it. The ledger of arrivals counts by its own.
    """
    if path.is_relative_to(settings.home / "arrivals"):
        return False
    return not path.is_relative_to(settings.results) or path.parent in kept_folders


def _downloads(settings: Settings, least: float) -> Iterator[Item]:
    folder = settings.home / "downloads"
    for path in _walked(folder):
        is_copy = not path.name.endswith(_OF_DOWNLOAD) and not _ASIDE.fullmatch(path.name)
        if is_copy and not _PARTIAL.fullmatch(path.name) and newest(path) < least:
            yield Item(Kind.DOWNLOAD, path, size_of(path), path.relative_to(folder).parts[0])


def _sent(settings: Settings, keep: Kept, least: float) -> Iterator[Item]:
    """Copies that no chain which is kept was made from."""
    for folder in (settings.home / name for name in SENT):
        for place in _children(folder):
            is_whole = not _PARTIAL.fullmatch(place.name) and not place.is_symlink()
            is_named = any(f"{one}" in keep.text for one in (place, _escaped(place)))
            if is_whole and not is_named and newest(place) < least:
                yield Item(Kind.SENT, place, size_of(place), folder.name)


def _escaped(place: Path) -> str:
    """Path as JSON writes it: where it is not ASCII, or has a backslash."""
    return json.dumps(str(place))[1:-1]


def _walked(folder: Path, *, of_home: bool = False) -> Iterator[Path]:
    """Files below a folder that are no links, and are in no folder that a link leads to.

    Of a home, what is others' to look after is left out: its databases' folders but for what lies
    on top of them, the user's notebooks, and a demo, which is a home of its own.
    """
    if folder.is_symlink():
        return
    for name, folders, files in os.walk(folder):
        place = Path(name)
        if of_home and place == folder:
            folders[:] = [one for one in folders if one not in {"notebooks", "demo", "locks"}]
        if of_home and place.parent == folder and place.name in {"prefect", "mlflow", "logs"}:
            folders.clear()
        yield from (one for one in (place / file for file in files) if _is_plain_file(one))


def _folders(folder: Path) -> Iterator[Path]:
    return (one for one in _children(folder) if one.is_dir() and not one.is_symlink())


def _children(folder: Path) -> list[Path]:
    if not folder.is_dir() or (folder.is_symlink() and folder.name != "results"):
        return []
    return sorted(folder.iterdir())


def _is_plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def newest(path: Path) -> float:
    """When a file, or the youngest of all in a folder, was changed; infinite if it is gone."""
    return max((one.st_mtime for one in _stats(path)), default=float("inf"))


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; a link counts as itself."""
    return sum(one.st_size for one in _stats(path) if not stat.S_ISDIR(one.st_mode))


def _stats(path: Path) -> Iterator[os.stat_result]:
    places = [path]
    if path.is_dir() and not path.is_symlink():
        places += [Path(name) / one for name, _, files in os.walk(path) for one in files]
    for one in places:
        try:
            yield one.lstat()
        except FileNotFoundError:  # it was there a moment ago
            continue


def counted(items: Iterable[Item]) -> Mapping[tuple[Kind, str], tuple[int, int]]:
    """Number and bytes of what was found, by kind and what it is of."""
    found: dict[tuple[Kind, str], tuple[int, int]] = {}
    for one in items:
        number, n_bytes = found.get((one.kind, one.about), (0, 0))
        found[one.kind, one.about] = number + 1, n_bytes + one.n_bytes
    return found


def text_of(parameters: Iterable[Mapping[str, Any]]) -> str:
    """Parameters of runs as one text that references are looked for in."""
    return "\n".join(json.dumps(one, ensure_ascii=False) for one in parameters)
