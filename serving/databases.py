"""The SQLite databases of an embedded Baton: put aside where damaged, and how they are opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Engine, event

from baton import disk
from baton.settings import Settings

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_MOST_BYTES = 512 * 2**20
"""Above this, a database is only looked at by its schema: all of it would take seconds."""

PAGE_CACHE_KIB = 2000
"""What a connection keeps of a database: SQLite's own default. The system's cache is behind it."""


def bound_page_caches(engines: type[Engine] | Engine) -> None:
    """Bound what each connection to SQLite keeps in memory.

    Prefect asks for 20,000 pages, 80 MiB, for each of its connections. They fill as the database
    grows, so that its server grows with every chain until all of them are full.

    Parameters
    ----------
    engines : type of Engine, or Engine
        All engines of this process, or one.
    """
    event.listen(engines, "engine_connect", _bound)


def _bound(connection: Connection) -> None:
    pooled = connection.connection
    if connection.dialect.name == "sqlite" and _bound not in pooled.info:
        cursor = pooled.cursor()  # a statement of the connection would begin a transaction
        cursor.execute(f"pragma cache_size = -{PAGE_CACHE_KIB}")
        cursor.close()
        pooled.info[_bound] = True


def put_damaged_aside(settings: Settings, say: Callable[[str], None]) -> None:
    """Put aside which database of a home is damaged; who opens it next makes an empty one.

    Parameters
    ----------
    settings : Settings
        Of a home that this process has claimed.
    say : callable
        Told what was put aside, and what that means.
    """
    lost = {
        settings.home / "prefect" / "prefect.db": "the list of past chains is empty; their"
        " results are there",
        settings.mlflow / "mlflow.db": "MLflow knows no model; chains that are run again register"
        " theirs anew",
    }
    for place, means in lost.items():
        if reason := damage(place):
            kept = disk.put_aside(place)
            for beside in (place.with_name(f"{place.name}{end}") for end in ("-wal", "-shm")):
                if beside.exists():
                    disk.put_aside(beside)
            say(f"the database {place} is damaged ({reason}): put aside as {kept}; {means}")


def damage(place: Path) -> str:
    """What is wrong with a database; empty if nothing is, or if there is none."""
    if not place.is_file():
        return ""
    if not place.stat().st_size:
        return "it is empty"
    is_small = place.stat().st_size < _MOST_BYTES
    question = "pragma quick_check(1)" if is_small else "select 'ok' from sqlite_master limit 1"
    try:
        with closing(sqlite3.connect(place)) as connection:
            found = connection.execute(question).fetchone()
    except sqlite3.DatabaseError as error:
        # Whatever else is wrong, such as a lock, is said by who opens it.
        return str(error) if error.sqlite_errorcode & 0xFF in _DAMAGED else ""
    return "" if found in {None, ("ok",)} else " ".join(str(found[0]).split())[:120]
