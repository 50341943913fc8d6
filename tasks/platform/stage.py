"""What every stage does around its work: name itself, hold its locks, send its logs.

What one stage does in particular belongs in the tasks that its flow calls.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from filelock import FileLock, Timeout
from prefect import tags
from prefect.client.orchestration import get_client
from prefect.client.schemas import State
from prefect.logging.handlers import APILogHandler
from prefect.runtime import flow_run
from prefect.states import Completed

from baton.chain.runs import BEGAN_LABEL, INPUT_ERROR_LABEL, id_begun_by
from baton.errors import InputError
from baton.parent import die_with
from baton.settings import settings
from tasks.platform.secrets import use_blocks

HOME_LABEL = "baton.home"
"""Label of a flow run: where its lock is, so who may say that it is dead."""

_LOGGERS = ("baton", "tasks")
_SCHEDULED_TAG = "auto-scheduled"

_held: list[FileLock] = []


@contextmanager
def part(name: str, problem: str, chain: str) -> Iterator[None]:
    """Run what is a stage's subflow here, and a run of its own where a worker takes it."""
    if _held:
        yield
    else:
        with stage(name, problem, chain):
            yield


@contextmanager
def stage(name: str, problem: str, chain: str = "") -> Iterator[str]:
    """Run a stage's work: named, tagged, locked as alive, its logs sent to Prefect.

    Parameters
    ----------
    name : str
        A `Stage`, or what a worker takes of one.
    problem : str
    chain : str
        Id of the chain; a new one when empty.

    Yields
    ------
    str
        Id of the chain.
    """
    began = datetime.now(UTC).isoformat()
    run_id = str(flow_run.id)
    chain = chain or id_begun_by(run_id)
    die_with(settings().parent_pid)
    use_blocks()
    _hold(run_id)
    with logs_to_run(), tags(f"chain:{chain}", f"problem:{problem}"):
        _introduce(run_id, f"{name} {problem} {chain[:6]}", chain, problem, began)
        with _mistakes_told(run_id):
            yield chain


def _introduce(run_id: str, name: str, chain: str, problem: str, began: str) -> None:
    with get_client(sync_client=True) as client:
        all_tags = {*flow_run.tags, f"chain:{chain}", f"problem:{problem}"}
        client.update_flow_run(UUID(run_id), name=name, tags=sorted(all_tags))
        client.update_flow_run_labels(
            UUID(run_id), {HOME_LABEL: home_id(), BEGAN_LABEL: began, INPUT_ERROR_LABEL: ""}
        )


@contextmanager
def _mistakes_told(run_id: str) -> Iterator[None]:
    """Label the run with a mistake in the user's input: the command tells it from a defect."""
    try:
        yield
    except InputError as error:
        with get_client(sync_client=True) as client:
            client.update_flow_run_labels(UUID(run_id), {INPUT_ERROR_LABEL: str(error)})
        raise


def _hold(run_id: str) -> None:
    """Lock the run as alive until its process ends: its last state is set after its body."""
    lock = FileLock(run_lock(run_id))
    lock.acquire()
    _held.append(lock)


def home_id() -> str:
    """Id of this home, for telling whose runs are whose.

    It stands in a file there: a container that is made anew has another host name, not another
    home.
    """
    place = settings().home / "id"
    try:
        return place.read_text("ascii")
    except FileNotFoundError:
        place.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), place.open("x", encoding="ascii") as file:
            file.write(uuid4().hex)
        return place.read_text("ascii")


def run_lock(run_id: str) -> Path:
    """File that a stage's process holds locked while it lives."""
    folder = settings().locks / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{run_id}.lock"


def is_alive(run_id: str) -> bool:
    """Tell whether a process of this home holds the run's lock."""
    lock = run_lock(run_id)
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


def skipped(error: Exception) -> State[Any]:
    """Return the final state of a scheduled run that is too early.

    Raises
    ------
    Exception
        The error, if it was no schedule that began the run.
    """
    if _SCHEDULED_TAG not in flow_run.tags:
        raise error
    return Completed(name="Skipped", message=str(error))


@contextmanager
def exclusive(what: str) -> Iterator[None]:
    """Let one process at a time make this output; a killed holder's lock is free at once."""
    lock = settings().locks / f"{what.replace('/', '.')}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        yield


@contextmanager
def logs_to_run() -> Iterator[None]:
    """Send the records of Baton's loggers to the run's log, leaving the root logger alone."""
    handler = APILogHandler()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
