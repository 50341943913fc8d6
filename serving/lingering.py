"""A Baton that stays for a while after a `baton run`, so that the next one begins at once.

``python -m serving.lingering`` is that process, which the command starts where BATON_LINGER says
so; it has no schedules and no pages. What it starts belongs in ``serving/embedded.py``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

from baton.settings import Settings, settings
from serving import holder
from serving.child import NOT_FOR_OTHERS, START_SECONDS
from serving.embedded import (
    Addresses,
    Processes,
    claimed,
    found,
    is_claimed,
    private,
    run_embedded,
)
from serving.ending import ending_in_a_line
from serving.holder import Holder
from tasks.platform.api import ApiError, Client
from tasks.platform.places import MANIFEST

COMMAND = "python -m serving.lingering"
"""What a home's record says of who holds it then."""

_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_TO_BEGIN = 2.0
"""In which whoever has found it begins a chain."""
_SECONDS_TO_END = 20.0
_AT_WORK = {"flow_runs": {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}}}


def begun(settings: Settings) -> Addresses | None:
    """Have a Baton stay in a home where none stands.

    Returns
    -------
    Addresses, optional
        Where it is, once it serves; None if it did not come to that.
    """
    process = _started(settings)
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if there := found(settings):
            return there
        if process.poll() is not None and not is_claimed(settings):
            break  # else another one was quicker
        time.sleep(0.05)
    return None


def _started(settings: Settings) -> subprocess.Popen[bytes]:
    """Start it in a session of its own: the end of this command and its terminal is not its own."""
    with private():
        settings.logs.mkdir(parents=True, exist_ok=True)
        with (settings.logs / "lingering.log").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "serving.lingering"],
                cwd=MANIFEST.parent,
                env=os.environ | {"BATON_HOME": str(settings.home)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=NOT_FOR_OTHERS,
            )


def lingering(settings: Settings) -> Holder | None:
    """Who lingers in a home; None if nobody does."""
    held = holder.held_by(settings)
    if held is None or held.command != COMMAND or not is_claimed(settings):
        return None
    import psutil  # by who looks for one: every command imports this module

    with suppress(psutil.Error):
        if "serving.lingering" in psutil.Process(held.pid).cmdline():
            return held
    return None


def end(settings: Settings) -> Holder | None:
    """End who lingers in a home, whatever it does; says who that was."""
    held = lingering(settings)
    if held is None:
        return None
    for signum in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(held.pid, signum)
        until = time.monotonic() + _SECONDS_TO_END
        while is_claimed(settings) and time.monotonic() < until:
            time.sleep(0.05)
        if not is_claimed(settings):
            break
    return held


def stay(running: Processes, addresses: Addresses, seconds: float) -> None:
    """Keep a Baton up until no run was at work for so long, and be found until then."""
    with Client(addresses.access) as client:
        while True:
            with running.found_by(addresses):
                _tend(running, client, seconds)
            if not _tend(running, client, _SECONDS_TO_BEGIN):
                return


def _tend(running: Processes, client: Client, seconds: float) -> bool:
    """Look after it until no run was at work for so long; tell whether one was."""
    idle_since, has_worked = time.monotonic(), False
    while time.monotonic() - idle_since < seconds:
        running.tend(lambda text: print(text, flush=True))  # noqa: T201
        if _is_at_work(client):
            idle_since, has_worked = time.monotonic(), True
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return has_worked


def _is_at_work(client: Client) -> bool:
    """Tell whether a run is at work, or nobody can tell: the server begins again."""
    try:
        return bool(client.post("flow_runs/count", _AT_WORK))
    except ApiError:
        return True


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _leave(_: str) -> None:
    """Leave the home to whoever was quicker."""
    raise SystemExit(0)


def main() -> None:
    """Stay as long as BATON_LINGER says after the last run; SIGTERM ends it at once."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.argv = [COMMAND]
    with (
        ending_in_a_line(),
        claimed(settings(), _leave),
        run_embedded(settings(), lambda _: None) as (running, addresses),
    ):
        stay(running, addresses, settings().linger)


if __name__ == "__main__":
    main()
