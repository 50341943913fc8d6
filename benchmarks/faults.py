"""What can happen to the processes, the disk, the clock and the database of a standing Baton.

One function a kind of fault: it strikes once, lasts as long as it lasts, and says what it did.
Which faults happen when belongs in ``chaos.py``.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.exc import OperationalError
from standing import Standing, until

_BALLAST = 4 * 2**20
_HOME_BYTES = "3g"
_MOUNTS = "BATON_CHAOS_MOUNTS"
"""Set in a process that has mounts of its own."""
_LONGEST_JUMP_SECONDS = 7200
_TRIES = 10


@dataclass
class Struck:
    """What faults strike at, and by what.

    Parameters
    ----------
    standing : Standing
    random : random.Random
    clock : Path, optional
        File by whose seconds the clock of its processes is moved.
    databases : dict of str to URL
        PostgreSQL databases of Prefect and MLflow; empty where they are SQLite files of the home.
    """

    standing: Standing
    random: random.Random
    clock: Path | None = None
    databases: dict[str, URL] = field(default_factory=dict)


def _killed(kind: str) -> Callable[[Struck], str]:
    def strike(struck: Struck) -> str:
        if not until(lambda: struck.standing.of_kind(kind), 20.0):
            return f"{kind} (none there)"
        struck.standing.kill(struck.random.choice(struck.standing.of_kind(kind) or [2**30]))
        return kind

    return strike


def _up(struck: Struck) -> str:
    """End the whole: politely, or all at once as when the power fails."""
    signum = struck.random.choice([signal.SIGTERM, signal.SIGKILL])
    struck.standing.stop(signum)
    return f"up {signum.name}"


def _disk_full(struck: Struck) -> str:
    """Leave no room on the disk of the home for some seconds."""
    ballast = struck.standing.home / "ballast"
    end = time.monotonic() + struck.random.uniform(3.0, 8.0)
    try:
        with ballast.open("wb", buffering=0) as file:
            while time.monotonic() < end:
                with suppress(OSError):
                    while file.write(bytes(_BALLAST)) == _BALLAST:
                        pass
                    while file.write(bytes(4096)):
                        pass
                time.sleep(0.05)
    finally:
        ballast.unlink()
    return "disk full"


def _disk_slow(struck: Struck) -> str:
    """Let no transaction end for some seconds, as on a disk that is busy with something else."""
    with ExitStack() as held:
        for holding in _transactions(struck):
            with suppress(sqlite3.OperationalError):  # it is being written, or not made yet
                held.enter_context(holding)
        time.sleep(struck.random.uniform(2.0, 6.0))
    return "disk slow"


def _transactions(struck: Struck) -> Iterator[contextmanager]:
    if struck.databases:
        yield _locked(struck.databases["prefect"], "flow_run, flow_run_state, events")
        yield _locked(struck.databases["mlflow"], "model_versions, runs")
    else:
        yield from map(_begun, struck.standing.home.glob("*/*.db"))


@contextmanager
def _begun(place: Path) -> Iterator[None]:
    with closing(sqlite3.connect(place, timeout=5, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.rollback()


@contextmanager
def _locked(url: URL, tables: str) -> Iterator[None]:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            _lock(connection, tables)
            yield
    finally:
        engine.dispose()


def _lock(connection: Connection, tables: str) -> None:
    """Lock tables one after the other, which may meet somebody who has them in another order."""
    for turn in range(_TRIES):
        try:
            connection.execute(text(f"LOCK TABLE {tables} IN SHARE MODE"))
        except OperationalError:
            connection.rollback()
            if turn == _TRIES - 1:
                raise
        else:
            return


def _database_connection(struck: Struck) -> str:
    """End every connection to the databases."""
    for url in struck.databases.values():
        engine = create_engine(url)
        with engine.connect() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        engine.dispose()
    return "database connection"


def _clock_jump(struck: Struck) -> str:
    """Set the clock of all its processes to another time of up to two hours before or after."""
    assert struck.clock is not None
    seconds = struck.random.randint(-_LONGEST_JUMP_SECONDS, _LONGEST_JUMP_SECONDS)
    set_clock(struck.clock, seconds)
    return "clock jump"


KINDS: dict[str, Callable[[Struck], str]] = {
    "run": _killed("run"),
    "template": _killed("template"),
    "serve": _killed("serve"),
    "server": _killed("server"),
    "worker": _killed("worker"),
    "up": _up,
    "mlflow": _killed("mlflow"),
    "database connection": _database_connection,
    "disk full": _disk_full,
    "disk slow": _disk_slow,
    "clock jump": _clock_jump,
}
"""Every kind of fault; those of processes are a kill -9."""


# --- what they need -------------------------------------------------------------------------------


def left_out(database: str) -> dict[str, str]:
    """Kinds of faults that cannot be made here, and why.

    Parameters
    ----------
    database : str
        ``sqlite`` or ``postgresql``.
    """
    why = {}
    if database == "sqlite":
        why["database connection"] = "SQLite has none"
    if not _unsharing():
        why["disk full"] = "wants to mount a disk of its own: Linux, unshare, user namespaces"
    if not (sys.platform == "linux" and shutil.which("cc")):
        why["clock jump"] = "wants Linux and a C compiler, cc"
    return why


def _unsharing() -> list[str]:
    """Command that runs another where mounts are nobody else's; empty if there is none."""
    for command in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        with suppress(OSError):
            if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
                return command
    return []


def own_mounts() -> None:
    """Begin this program again where it may mount what nobody else sees, if it does not yet."""
    if _MOUNTS not in os.environ:
        command = [*_unsharing(), sys.executable, *sys.argv]
        os.execvpe(command[0], command, os.environ | {_MOUNTS: "1"})


@contextmanager
def mounted(home: Path) -> Iterator[None]:
    """Give a home a disk of its own, in memory."""
    size = f"size={_HOME_BYTES},mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "baton-chaos", home], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", home], check=True)


def set_clock(clock: Path, seconds: int) -> None:
    """Move the clock of whoever was started with it."""
    with clock.open("r+b") as file:
        file.write(struct.pack("=q", seconds))


def movable_clock(folder: Path) -> tuple[Path, dict[str, str]]:
    """Clock that can be moved, and the environment of processes that go by it."""
    clock, library = folder / "clock", folder / "clock.so"
    clock.write_bytes(struct.pack("=q", 0))
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, source], check=True)
    return clock, {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(clock)}
