"""Where a study is kept: a journal file of its own, or a database that many machines reach.

Nothing here deletes or rewrites what a storage holds.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from baton.errors import InputError
from baton.relational.database import Database, checked_url
from baton.settings import Settings
from baton.sources import secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optuna.storages import BaseStorage

_SERVERS = ("postgresql", "mysql", "mariadb")


class JournalLock:
    """Lock of a journal that is free at once when its holder dies, and leaves no half line.

    A process that is killed while it writes leaves the beginning of a line, which would make
    one broken line with what the next process writes.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._lock = FileLock(f"{journal}.lock")

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._lock.acquire()
        _drop_half_line(self._journal)
        return True

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()


def _drop_half_line(journal: Path) -> None:
    with journal.open("r+b") as file:
        size = file.seek(0, 2)
        if size == 0:
            return
        file.seek(size - 1)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def open_storage(settings: Settings, study: str) -> BaseStorage:
    """Storage of a study by the settings.

    Parameters
    ----------
    settings : Settings
        ``study_storage`` is the URL of a database; if it is empty the study has a journal file
        under the home.
    study : str
        Name of the study.

    Raises
    ------
    InputError
        If the journal is no journal, or the database refuses or cannot be reached.
    """
    return _database(settings) if settings.study_storage else _journal(settings, study)


def _journal(settings: Settings, study: str) -> BaseStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    settings.studies.mkdir(parents=True, exist_ok=True)
    path = settings.studies / f"{study}.journal"
    with readable(path):
        _check_lines(path)
        lock: Any = JournalLock(path)
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))


def _check_lines(path: Path) -> None:
    """Look through all lines: Optuna takes a broken last line for one that is being written."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.endswith(b"\n") and not _is_entry(line):
                raise InputError(_broken(path, f"line {number} is no entry"))


def _is_entry(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say in one line what is wrong with a journal."""
    try:
        yield
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AssertionError, IndexError) as error:
        raise InputError(_broken(path, " ".join(str(error).split())[:120])) from None
    except OSError as error:
        raise InputError(f"study journal {path} cannot be read: {error.strerror}") from None


def _broken(path: Path, reason: str) -> str:
    return (
        f"study journal {path} is damaged ({reason}); it was left as it is:"
        " mend it from a backup, or begin another study by -p study=NAME"
    )


def _database(settings: Settings) -> BaseStorage:
    database = _checked(settings)
    with _reachable(database):
        password = _password(settings)
        with database.connect(password=password):
            pass  # a refusal is said in one line here
        from optuna.storages import RDBStorage

        url = database.address(password)
        options: dict[str, Any] = {"pool_pre_ping": True, "hide_parameters": True}
        return RDBStorage(url.render_as_string(hide_password=False), engine_kwargs=options)


def _checked(settings: Settings) -> Database:
    try:
        url = checked_url(settings.study_storage)
    except ValueError as error:
        raise InputError(f"setting BATON_STUDY_STORAGE: {_renamed(error)}") from None
    if not url.startswith(_SERVERS):
        raise InputError(
            f"setting BATON_STUDY_STORAGE: {url} is no address of {', '.join(_SERVERS)};"
            " leave it empty for journal files in the home"
        )
    return Database(url)


def _renamed(error: Exception) -> str:
    """Return what an error of a problem's database says, with the settings of this one."""
    said = str(error).replace("BATON_DATABASE_PASSWORD", "BATON_STUDY_PASSWORD")
    return said.replace("-p secret=NAME", "BATON_STUDY_SECRET").replace(
        "or secret)", "or BATON_STUDY_SECRET)"
    )


def _password(settings: Settings) -> str:
    name = settings.study_secret
    found = secrets.reveal(name) if name else settings.study_password
    return found.get_secret_value()


@contextmanager
def _reachable(database: Database) -> Iterator[None]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except OSError as error:
        raise InputError(f"study storage: {error}") from None
    except InputError as error:
        raise InputError(f"study storage: {_renamed(error)}") from None
    except (SQLAlchemyError, RuntimeError) as error:  # tables of another version of Optuna
        reason = " ".join(str(getattr(error, "orig", None) or error).split())[:200]
        raise InputError(f"study storage {database.url} cannot be used: {reason}") from None
