"""The process that stands for a warm run: it hands everything to the template and waits.

It is started for every run, so it imports next to nothing. If the template does not take the
run, it becomes an ordinary cold start.
"""

import fcntl
import os
import socket
import sys
import time

TEMPORARY = 75
"""Exit code that says that the template went away, and not the run: ``EX_TEMPFAIL``."""


def main() -> None:
    """Run ``prefect.engine`` in a fork of the template that listens at the address given.

    The second argument is the folder of the locks of runs.
    """
    hold(f"{sys.argv[2]}/{os.environ.get('PREFECT__FLOW_RUN_ID', '')}.start")
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(sys.argv[1])
            content = b"\0".join(b"%b=%b" % pair for pair in os.environb.items())
            socket.send_fds(connection, [len(content).to_bytes(8, "big")], [0, 1, 2])
            connection.sendall(content)
            import signal  # while the run begins

            answers = connection.makefile()
            pid = int(answers.readline())
        except (OSError, ValueError):
            os.execv(sys.executable, [sys.executable, "-m", "serving.engine"])
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda number, _: os.kill(pid, number))
        code = _ended(answers)
    if code < 0:  # killed: end in the same way, so that the runner says so
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    sys.exit(code)


def hold(place: str) -> int | None:
    """Lock the run as on its way for as long as this process lives, or the one that it becomes.

    The file holds its process id. Returns its descriptor; None if somebody else holds it all
    the time.
    """
    for _ in range(100):
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:  # else it was removed before it was locked
                os.set_inheritable(descriptor, True)
                os.ftruncate(descriptor, 0)
                os.write(descriptor, b"%d" % os.getpid())
                return descriptor
        except OSError:  # somebody looks whether it is locked
            time.sleep(0.01)
        os.close(descriptor)
    return None


def _ended(answers) -> int:  # type: ignore[no-untyped-def]
    """Exit code of the run, as the template tells it."""
    try:
        return int(answers.readline())
    except (OSError, ValueError):
        return TEMPORARY


if __name__ == "__main__":
    main()
