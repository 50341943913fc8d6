"""Processes as tests look at them: whether one lives, and waiting for what another one does."""

import time
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
