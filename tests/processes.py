"""Processes as tests look at them: whether one lives, and waiting for what another one does."""

import subprocess
import time
from contextlib import suppress
from pathlib import Path


def is_alive(pid):
    """Whether a process is there and has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for(what, seconds=300, step=0.3):
    """Wait until a function returns something true, and return that."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, f"waited {seconds} s in vain"
        time.sleep(step)
    return found


def ran(command, seconds, **options):
    """What a program printed, and its code; one that is not done in time ends in order.

    What it has started and made is taken away by itself then, also where the test is what ends.
    """
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, **options) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except BaseException:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=100)
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)
