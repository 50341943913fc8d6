"""Empty databases that were made before, from which new homes have theirs.

Prefect and MLflow make the tables of a new database by all migrations that they ever had, for
seconds, and always with the same outcome. The first home of a user leaves that outcome in the
user's cache; the next ones are given a copy. What a mould is of is decided here, what is done with
it where a database is opened.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import stat
import sys
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.metadata import entry_points, version
from pathlib import Path

from baton import atomic, mlflow_internals
from baton.settings import settings
from tasks.platform import prefect_internals
from tasks.platform.places import MANIFEST

log = logging.getLogger(__name__)

_DIGEST_BYTES = 32
_MOST_KEPT = 6
"""Moulds that stay in the cache, of versions and environments that are in use side by side."""

_BESIDE = ("", "-wal", "-shm", "-journal")
"""What a database's files end with."""


@dataclass(frozen=True)
class Mould:
    """An empty database of one kind: the tables, and what every such database has in them."""

    name: str
    fingerprint: str
    """Of all that decides the outcome, in hexadecimal digits."""
    filled: tuple[str, ...]
    """Tables whose rows are the same for everybody; no other row is ever taken over."""

    @property
    def place(self) -> Path:
        """Its file in the user's cache."""
        return settings().moulds / f"{self.name}-{self.fingerprint}.db"

    @property
    def mark(self) -> int:
        """Number that a database bears which has all that the mould has."""
        return int(self.fingerprint[:7], 16) + 1

    def fill(self, database: Path) -> bool:
        """Make a database, where there is none, as a copy; tell whether it was.

        It appears whole or not at all. A mould that is damaged, or that others than this user may
        have written, is passed over.

        Parameters
        ----------
        database : Path
            That nobody else is making: the caller holds what claims it.
        """
        if any(database.with_name(f"{database.name}{end}").exists() for end in _BESIDE):
            return False
        content = _own_content(self.place)
        if content is None:
            return False
        database.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(database, content)
        return True

    def is_of(self, database: Path) -> bool:
        """Tell whether a database has all that the mould has."""
        with suppress(sqlite3.Error), closing(_reading(database)) as connection:
            return bool(connection.execute("pragma user_version").fetchone()[0] == self.mark)
        return False

    def sign(self, database: Path) -> None:
        """Write on a database that it has all that the mould has."""
        try:
            with closing(sqlite3.connect(database, timeout=60)) as connection:
                connection.execute(f"pragma user_version = {self.mark}")
        except sqlite3.Error as error:
            log.info("%s is looked through at the next start, too: %s", database, error)

    def keep(self, database: Path) -> None:
        """Leave a mould of a database that was made just now, for the homes that come.

        Without: the next one is made as this one was.
        """
        try:
            content = _emptied(database, self)
            self.place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            digest = hashlib.sha256(content).digest()
            atomic.write_bytes(self.place, digest + content)
            self.place.chmod(0o600)
            _forget_oldest(self.place.parent)
        except (OSError, sqlite3.Error) as error:
            log.info("no mould of %s is kept: %s", self.name, error)


def prefect() -> Mould | None:
    """Mould of Prefect's database; None where there is to be none."""
    migrations = prefect_internals.migrations() if settings().fast else None
    if migrations is None:
        return None
    files = [*_files(migrations), *_files(migrations.parents[3], "*.json")]
    said = [version("prefect"), *sorted(map(str, entry_points(group="prefect.collections")))]
    # Rows of the types of blocks, which are the libraries': no block, and no key.
    filled = ("alembic_version", "block_type", "block_schema", "block_schema_reference")
    return Mould("prefect", _fingerprint(said, files), filled)


def mlflow() -> Mould | None:
    """Mould of MLflow's database; None where there is to be none."""
    migrations = mlflow_internals.migrations() if settings().fast else None
    if migrations is None:
        return None
    # Its first experiment, which Baton does not use, is to be below the folder that it works in.
    said = [version("mlflow"), str(MANIFEST.parent)]
    filled = ("alembic_version", "workspaces", "experiments")
    return Mould("mlflow", _fingerprint(said, _files(migrations)), filled)


def _files(folder: Path, pattern: str = "*.py") -> list[Path]:
    return sorted(folder.glob(pattern))


def _fingerprint(said: Iterable[str], files: Iterable[Path]) -> str:
    """Digest of what decides how a database is made; the interpreter's own part included."""
    digest = hashlib.sha256()
    for text in (sys.version, sqlite3.sqlite_version, *said):
        digest.update(f"{text}\0".encode())
    for file in files:
        digest.update(f"{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _reading(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)


def _emptied(database: Path, mould: Mould) -> bytes:
    """A new database with the tables of another, and of their rows only what is everybody's."""
    tables_first = (
        "select sql from origin.sqlite_master where sql is not null and name not like 'sqlite_%'"
        " order by type != 'table', rowid"
    )
    with closing(sqlite3.connect("file::memory:", uri=True, isolation_level=None)) as made:
        made.execute("attach ? as origin", (f"{database.absolute().as_uri()}?mode=ro",))
        made.execute("begin")
        for (statement,) in made.execute(tables_first).fetchall():
            made.execute(statement)
        for table in mould.filled:
            made.execute(f'insert into main."{table}" select * from origin."{table}"')
        made.execute("commit")
        made.execute(f"pragma user_version = {mould.mark}")
        return made.serialize()


def _own_content(place: Path) -> bytes | None:
    """Content of a mould that this user has written and nobody has damaged; None without one."""
    with suppress(OSError):
        if _is_own(place.parent.lstat()) and _is_own(place.lstat()):
            digest, content = _parts(place.read_bytes())
            if hashlib.sha256(content).digest() == digest:
                os.utime(place)  # it is in use
                return content
    return None


def _parts(kept: bytes) -> tuple[bytes, bytes]:
    return kept[:_DIGEST_BYTES], kept[_DIGEST_BYTES:]


def _is_own(status: os.stat_result) -> bool:
    """Tell whether nobody but this user can have written it; a link is nobody's."""
    is_link = stat.S_ISLNK(status.st_mode)
    is_others = sys.platform != "win32" and status.st_uid != os.getuid()
    return not is_link and not is_others and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _forget_oldest(folder: Path) -> None:
    """Remove the moulds that were used longest ago."""
    kept = sorted(folder.glob("*-*.db"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in kept[_MOST_KEPT:]:
        path.unlink(missing_ok=True)
