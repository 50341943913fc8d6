"""Copies of what stands in buckets: kept by address and version, whole or not at all.

The store is asked each time: what stands there unchanged is not read twice, and what was
overwritten is another file. The version before is kept until the next one comes, since somebody
may be reading it.
"""

from __future__ import annotations

import logging
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from baton import disk
from baton.addresses import Address
from baton.atomic import write_bytes
from baton.errors import InputError
from baton.lineage import digest_of, digest_of_file
from baton.sources.download import is_name
from baton.stores import objects
from baton.stores.versions import Known, Version

_BLOCK = 1 << 22
_SECONDS_BETWEEN_WORDS = 5.0
_DIGITS = 16

MOST_FILES = 10_000
"""Files that one place may name."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """What is known of a copy."""

    address: str
    known: Known
    sha256: str


_KEPT = TypeAdapter(Kept)


def files(place: Address, folder: Path) -> list[Path]:
    """Copies of the objects of a place, in the order of their names.

    Parameters
    ----------
    place : Address
        An object, a folder, or a pattern of names.
    folder : Path
        Where copies are kept.

    Raises
    ------
    InputError
        If there is none, or none may be read.
    ConnectionError
        If the store does not answer, or breaks off.
    """
    found = None if place.is_pattern or not place.name else objects.look(place)
    if found is not None:
        return [_copied(place, found, folder)]
    return [_copied(one, version, folder) for one, version in _parts(place)]


def _parts(place: Address) -> list[tuple[Address, Version]]:
    """Objects that a folder or a pattern names, and not what a writer left beside them."""
    within = place if place.is_pattern else place.as_folder()
    found = objects.listed(within)
    if place.is_pattern and place.name in found:  # it is a name, though it looks like a pattern
        return [(place, found[place.name])]
    wanted = place.name if place.is_pattern else "*"
    names = [one for one in sorted(found) if fnmatchcase(one, wanted) and one[0] not in "._"]
    if not names:
        raise InputError(_lacking(place))
    if len(names) > MOST_FILES:
        raise InputError(f"{place} names more than {MOST_FILES:,} objects; put them together first")
    return [(within.of(name), found[name]) for name in names]


def _lacking(place: Address) -> str:
    if place.is_pattern:
        return f"no object is named like {place}: check the key"
    if place.name:
        return f"there is no object {place}: check the key"
    return f"no object stands in {place} itself: check the key; folders below are not read"


@dataclass(frozen=True)
class _Copy:
    """Where the copies of an object are, those of its versions in folders of their own."""

    place: Address
    folder: Path

    @classmethod
    def of(cls, place: Address, folder: Path) -> _Copy:
        """Those below a folder: named as the key is where every system can, else by its digest."""
        parts = place.key.split("/")
        is_plain = all(is_name(one) and not one.startswith(".") for one in parts)
        names = parts if is_plain else [_short(place.key), "object"]
        own = folder.joinpath(place.scheme, place.bucket, *names)
        disk.require_below(own, folder)
        own.mkdir(parents=True, exist_ok=True)
        return cls(place, own)

    @property
    def ledger(self) -> Path:
        """File that says what is kept."""
        return self.folder / ".kept.json"

    def file(self, version: Version) -> Path:
        """Copy of a version."""
        what = [str(self.place), version.size, version.changed, version.etag]
        return self.folder / f".{_short(what)}" / self.folder.name

    def noted(self) -> Kept | None:
        """What the ledger says; None if that is nothing, or of another object."""
        with suppress(OSError, ValidationError):
            noted = _KEPT.validate_json(self.ledger.read_bytes(), strict=True)
            return noted if noted.address == str(self.place) else None
        return None

    def note(self, known: Known, sha256: str) -> None:
        """Write down what is kept."""
        content = _KEPT.dump_json(Kept(str(self.place), known, sha256))
        write_bytes(self.ledger, content)

    def forget_but(self, *wanted: Path) -> None:
        """Remove the copies of other versions than these."""
        kept = {one.parent for one in wanted}
        for old in self.folder.glob("." + "[0-9a-f]" * _DIGITS):
            if old not in kept:
                shutil.rmtree(old, ignore_errors=True)


def _copied(place: Address, found: Version, folder: Path) -> Path:
    """Copy of an object that a store just told of."""
    copy = _Copy.of(place, folder)
    with FileLock(copy.folder / ".lock"):
        return _still(copy, found) or _received(copy)


def _still(copy: _Copy, found: Version) -> Path | None:
    """The copy that is kept, if it is of what stands there now; a damaged one is put aside."""
    noted = copy.noted()
    if noted is None:
        return None
    file = copy.file(noted.known.version)
    known = noted.known.compared(found, lambda: objects.look(copy.place), time.time())
    if known is None or not file.is_file():
        return None
    if digest_of_file(file) != noted.sha256:
        disk.put_aside(file)
        return None
    if known is not noted.known:
        copy.note(known, noted.sha256)
    return file


def _received(copy: _Copy) -> Path:
    """Receive an object: it has its name when all of it is here and nobody wrote it meanwhile."""
    now, version = int(time.time()), objects.look(copy.place)
    if version is None:
        raise InputError(f"there is no object {copy.place} any more: check the key")
    partial = copy.folder / ".partial"
    with disk.told(copy.folder):
        disk.require_room(copy.folder, version.size)
        partial.unlink(missing_ok=True)  # a link is not written through
        size = _write(copy.place, version, partial)
    if size != version.size or objects.look(copy.place) != version:
        raise ConnectionError(f"{copy.place} was written while it was read: a repeat begins anew")
    before, file = copy.noted(), copy.file(version)
    file.parent.mkdir(exist_ok=True)
    digest = digest_of_file(partial)
    partial.replace(file)
    copy.note(Known(version, now), digest)
    copy.forget_but(file, *([copy.file(before.known.version)] if before else []))
    return file


def _write(place: Address, version: Version, partial: Path) -> int:
    spoken, done = time.monotonic(), 0
    with objects.opened(place) as stream, partial.open("xb") as file:
        while block := stream.read(_BLOCK):
            done += file.write(block)
            if time.monotonic() - spoken > _SECONDS_BETWEEN_WORDS:
                spoken = time.monotonic()
                log.info("%s: %.0f of %.0f MB", place, done / 1e6, version.size / 1e6)
    return done


def _short(content: object) -> str:
    return digest_of(content)[:_DIGITS]
