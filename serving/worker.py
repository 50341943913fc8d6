"""Prefect's worker of a process pool, but that its runs start warm: ``python -m serving.worker``.

The command ``baton worker`` starts it, by ``serving/working.py``, and ends with it. Which runs
start cold is decided in ``serving/cold.py``; those are left to Prefect as they are.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from prefect.settings import PREFECT_WORKER_QUERY_SECONDS, temporary_settings
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker

from baton.parent import die_with
from baton.settings import settings
from serving import door
from serving.cold import why_cold
from serving.offspring import end_offspring
from serving.template import keep_template, warm_command
from tasks.platform.places import MANIFEST
from tasks.platform.prefect_internals import share_certificates

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun
    from prefect.client.schemas.responses import DeploymentResponse

log = logging.getLogger("baton.worker")

_SECONDS_TO_END = 10.0


class WarmConfiguration(ProcessJobConfiguration):
    """How a run's process is started: warm, or as Prefect would."""

    warm: ClassVar[str] = ""
    """Command that starts a run warm; empty where nothing can."""

    def prepare_for_flow_run(
        self,
        flow_run: FlowRun,
        deployment: DeploymentResponse | None = None,
        *others: Any,
        **more: Any,
    ) -> None:
        """Choose the command; the rest is Prefect's."""
        parent = 0  # what starts cold is Prefect's, and of another parent
        reason = self._why_cold(deployment)
        if self.warm and not reason:
            self.command, parent = self.warm, os.getpid()
        elif self.warm and deployment:
            _say(deployment.name, reason)
        self.env = {**self.env, "BATON_PARENT_PID": str(parent)}
        super().prepare_for_flow_run(flow_run, deployment, *others, **more)

    def _why_cold(self, deployment: DeploymentResponse | None) -> str:
        if self.command is not None:
            return "its job_variables have a command"
        if deployment is None:
            return "it has no deployment"
        steps = deployment.pull_steps
        return why_cold(deployment.entrypoint, steps, list(self.env), MANIFEST.parent)


@cache
def _say(deployment: str, reason: str) -> None:
    """Say once why the runs of a deployment start cold."""
    log.info("runs of %s start cold: %s", deployment, reason)


class WarmWorker(ProcessWorker):
    """Prefect's process worker, with another way to start a run."""

    job_configuration = WarmConfiguration

    @classmethod
    def __dispatch_key__(cls) -> str:
        """Name of its own, so that Prefect's worker of process pools stays what it is."""
        return "baton"


async def work(pool: str, name: str, limit: int | None, address: Path) -> None:
    """Take the runs of a work pool until the process ends.

    Parameters
    ----------
    pool : str
    name : str
        Of the worker.
    limit : int, optional
        Runs at once.
    address : Path
        Where the template listens, a socket.
    """
    worker = WarmWorker(pool, name=name, limit=limit, create_pool_if_not_found=False)
    with temporary_settings({PREFECT_WORKER_QUERY_SECONDS: settings().poll_seconds}):
        await asyncio.gather(worker.start(printer=log.info), _keep(address))


async def _keep(address: Path) -> None:
    """Keep the template up where runs can be forked; elsewhere Prefect starts them its way."""
    if sys.platform == "linux":
        WarmConfiguration.warm = shlex.join(warm_command(address))
        await keep_template(address)
        WarmConfiguration.warm = ""


def _speak() -> None:
    """Have Baton's own records written: Prefect keeps the root logger for warnings."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    own = logging.getLogger("baton")
    own.addHandler(handler)
    own.setLevel(logging.INFO)
    own.propagate = False


def _end(address: Path, *_: Any) -> None:
    """End at once with all that was started; another worker begins its runs again."""
    end_offspring()
    door.close(address)
    os._exit(0)


def _interrupt() -> None:
    """Have the main thread end: from another one it would see its runs die, and report that."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_SECONDS_TO_END)
    end_offspring()


def main(arguments: Iterable[str] | None = None) -> None:
    """Work until Ctrl-C, SIGTERM or the end of the process that started this one."""
    options = _parser().parse_args(list(arguments) if arguments is not None else None)
    _speak()
    address = door.new_door()
    die_with(settings().parent_pid, first=_interrupt)
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, partial(_end, address))
    share_certificates()
    asyncio.run(work(options.pool, options.name, options.limit, address))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.worker",
        description="Run what a process work pool of the Prefect server in PREFECT_API_URL has;"
        " `baton worker` starts this.",
    )
    parser.add_argument("--pool", required=True, help="name of the work pool")
    parser.add_argument("--name", required=True, help="name of the worker, as Prefect shows it")
    parser.add_argument("--limit", type=int, help="runs at once; as many as are due without")
    return parser


if __name__ == "__main__":
    main()
