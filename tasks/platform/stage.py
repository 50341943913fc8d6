"""What every stage does around its work: name itself, hold its locks, send its logs.

What one stage does in particular belongs in the tasks that its flow calls.
"""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import UUID

from filelock import FileLock, Timeout
from prefect import tags
from prefect.client.orchestration import get_client
from prefect.client.schemas import State
from prefect.context import SyncClientContext
from prefect.logging.handlers import APILogHandler
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed
from pydantic import ValidationError

from baton import disk, identity
from baton.chain.events import ChainFailed, Stage
from baton.chain.recovery import BEAT, TEMPORARY
from baton.chain.runs import (
    BEGAN_LABEL,
    CANCELLED_LABEL,
    INPUT_ERROR_LABEL,
    OPEN_TAG,
    SCHEDULED_TAG,
    SEEN_LABEL,
    SKIPPED,
    id_begun_by,
)
from baton.errors import InputError
from baton.parent import die_with
from baton.settings import settings
from baton.stores import queue, shelf
from tasks.platform import api, openlineage
from tasks.platform.events import access, tell_failure
from tasks.platform.secrets import use_blocks

HOME_LABEL = "baton.home"
"""Label of a flow run: where its lock is, so who may say that it is dead."""

_LONGEST_REASON = 1000
_LOGGERS = ("baton", "tasks")

log = logging.getLogger(__name__)

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
    with disk.told(settings().home):
        _hold(run_id)
    with (
        _temporary_if_away(),
        SyncClientContext.get_or_create(),  # else each task makes a client, and reads certificates
        logs_to_run(),
        tags(f"chain:{chain}", f"problem:{problem}"),
    ):
        use_blocks()
        _introduce(run_id, f"{name} {problem} {chain[:6]}", chain, problem, began)
        openlineage.started(name, problem, chain)
        with _signs_of_life(run_id), _failure_told(run_id, name, problem, chain), _room():
            yield chain


@contextmanager
def _room() -> Iterator[None]:
    """Begin only where the disk has room, and say in one line if it gives none later."""
    with disk.told(settings().home):
        disk.require_room(settings().home)
        yield


def _introduce(run_id: str, name: str, chain: str, problem: str, began: str) -> None:
    with get_client(sync_client=True) as client:
        all_tags = {*flow_run.tags, f"chain:{chain}", f"problem:{problem}", OPEN_TAG}
        client.update_flow_run(UUID(run_id), name=name, tags=sorted(all_tags))
        client.update_flow_run_labels(
            UUID(run_id), {HOME_LABEL: home_id(), BEGAN_LABEL: began, INPUT_ERROR_LABEL: ""}
        )


@contextmanager
def _temporary_if_away() -> Iterator[None]:
    """End this process where the server is away: it is no fault of the run, nor to be told it."""
    try:
        yield
    except Exception as error:
        if api.is_out_of_reach(error, access().address):
            log.warning("the Prefect server is away, the run is begun again: %s", error)
            os._exit(TEMPORARY)
        raise


@contextmanager
def _signs_of_life(run_id: str) -> Iterator[None]:
    """Say from time to time that the run lives."""
    is_over = Event()
    Thread(target=_beat, args=(run_id, is_over), daemon=True, name="signs of life").start()
    try:
        yield
    finally:
        is_over.set()


def _beat(run_id: str, is_over: Event) -> None:
    with suppress(Exception):  # asked in vain: then the run goes on, and is to be cancelled again
        _leave_if_cancelled(UUID(run_id))
    while not is_over.wait(BEAT.total_seconds()):
        now = datetime.now(UTC).isoformat()
        # One that does not arrive, for whatever reason, is made up for by the next.
        with suppress(Exception), get_client(sync_client=True) as client:
            client.update_flow_run_labels(UUID(run_id), {SEEN_LABEL: now})


def _leave_if_cancelled(run_id: UUID) -> None:
    """End this process if its run was cancelled while it started.

    The server lets it begin all the same: from cancelled to running is a way that it allows.
    """
    with get_client(sync_client=True) as client:
        said = client.read_flow_run(run_id).labels.get(CANCELLED_LABEL)
        if said and taken_before(client.read_flow_run_states(run_id), str(said)):
            client.set_flow_run_state(
                run_id, Cancelled(message="cancelled as it began"), force=True
            )
            os._exit(1)


def taken_before(states: Iterable[State[Any]], moment: str) -> bool:
    """Tell whether a run was last taken before a moment: what was said then is about this try."""
    taken = [state.timestamp for state in states if state.is_pending()]
    return bool(taken) and max(taken) < datetime.fromisoformat(moment)


@contextmanager
def _failure_told(run_id: str, name: str, problem: str, chain: str) -> Iterator[None]:
    """Announce that the chain failed; a mistake in the user's input is a label of the run too."""
    try:
        yield
    except Exception as error:
        if api.is_out_of_reach(error, access().address):
            raise
        if isinstance(error, InputError):
            with get_client(sync_client=True) as client:
                client.update_flow_run_labels(UUID(run_id), {INPUT_ERROR_LABEL: str(error)})
        if name in list(Stage):  # a trial that fails is one of many
            reason = f"{type(error).__name__}: {error}"
            openlineage.failed(name, problem, chain, reason)
            with suppress(ValidationError):  # it does not say what it is about
                failed = chain_failed(run_id, name, problem, chain, reason)
                tell_failure(failed, flow_run.run_count)
        raise


def chain_failed(
    run_id: str, name: str, problem: str, chain: str, reason: str, *, is_unheard: bool = False
) -> ChainFailed:
    """Announcement of a failed chain, its reason one line that is not too long."""
    return ChainFailed(
        chain=chain,
        problem=problem,
        stage=Stage(name),
        flow_run_id=run_id,
        reason=" ".join(reason.split())[:_LONGEST_REASON],
        is_unheard=is_unheard,
    )


def _hold(run_id: str) -> None:
    """Lock the run as alive until its process ends: its last state is set after its body."""
    lock = FileLock(run_lock(run_id))
    lock.acquire()
    _held.append(lock)


def home_id() -> str:
    """Id of this home, for telling whose runs are whose."""
    return identity.of_home(settings())


def run_lock(run_id: str) -> Path:
    """File that a stage's process holds locked while it lives."""
    folder = settings().locks / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{run_id}.lock"


def write_ending(run_id: str, max_rss_bytes: int) -> None:
    """Keep what is known of the end of a run's process, beside its lock."""
    run_lock(run_id).with_suffix(".end").write_text(json.dumps({"max_rss_bytes": max_rss_bytes}))


def most_memory(run_id: str) -> int | None:
    """Most memory that a run's last process used, in bytes; None if nobody saw its end."""
    try:
        content = json.loads(run_lock(run_id).with_suffix(".end").read_text("utf-8"))
        return int(content["max_rss_bytes"])
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def is_alive(run_id: str) -> bool:
    """Tell whether a process of this home holds the run's lock, or is on its way to do so."""
    lock = run_lock(run_id)
    return any(_is_held(one) for one in (lock, lock.with_suffix(".start")))


def end_start(run_id: str) -> None:
    """End the process of this home that is on its way to hold the run's lock."""
    place = run_lock(run_id).with_suffix(".start")
    with suppress(OSError, ValueError):
        if _is_held(place):
            os.kill(int(place.read_text("ascii")), signal.SIGTERM)


def _is_held(lock: Path) -> bool:
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
    if SCHEDULED_TAG not in flow_run.tags:
        raise error
    return Completed(name=SKIPPED, message=str(error))


@contextmanager
def exclusive(what: str) -> Iterator[None]:
    """Let one process at a time make this output; a killed holder's lock is free at once.

    Where machines share results and no disk, they queue for it, too.
    """
    name = what.replace("/", ".")
    lock = settings().locks / f"{name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock), _turn(name):
        yield


def _turn(name: str) -> AbstractContextManager[None]:
    return queue.turn(name) if shelf.is_used() else nullcontext()


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
