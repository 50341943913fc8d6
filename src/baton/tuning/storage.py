"""Where a study is kept: a journal file of its own, or a database that many machines reach.

Nothing here deletes what a storage holds: a journal that was damaged is put aside, and the study
goes on with what stands before the damage.
"""

from __future__ import annotations

import json
import logging
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baton import disk
from baton.atomic import write_bytes
from baton.errors import InputError
from baton.relational.database import Database, checked_url
from baton.settings import Settings
from baton.sources import secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optuna.storages import BaseStorage

log = logging.getLogger(__name__)

_SERVERS = ("postgresql", "mysql", "mariadb")


def together(storage: BaseStorage) -> AbstractContextManager[None]:
    """Write what is stored meanwhile at once, at the end, where the storage can."""
    found: AbstractContextManager[None] = getattr(storage, "together", nullcontext)()
    return found


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
    from baton.tuning.journal import Journal, StudyJournal

    settings.studies.mkdir(parents=True, exist_ok=True)
    path = settings.studies / f"{study}.journal"
    with readable(path):
        _mend(path)
        return StudyJournal(Journal(path, is_fast=settings.fast))


def _mend(path: Path) -> None:
    """Put a damaged journal aside and go on with the lines before the damage.

    A journal is only added to, so what stood there at any time is a study. Optuna takes a broken
    last line for one that is being written, and a changed number for what was written.
    """
    from baton.tuning.journal import JournalLock

    if not path.exists():
        return
    lock = JournalLock(path)
    lock.acquire()
    try:
        lines = path.read_bytes().splitlines(keepends=True)
        whole = list(_whole(lines))
        if len(whole) < len(lines):
            disk.put_aside(path)
            write_bytes(path, b"".join(whole))
            log.warning("%s goes on with its first %d of %d lines", path, len(whole), len(lines))
    finally:
        lock.release()


def _whole(lines: list[bytes]) -> Iterator[bytes]:
    """Lines before the damage; only the first ones, of Optuna alone, may have no checksum."""
    from baton.tuning.journal import CHECKSUM, checksum

    is_ours = False
    for line in lines:
        try:
            entry = json.loads(line)
            found = entry.pop(CHECKSUM, None)
        except (ValueError, AttributeError, TypeError, RecursionError):
            return
        is_ours = is_ours or found is not None
        if is_ours and found != checksum(entry):
            return
        yield line


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
