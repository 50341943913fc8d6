"""A plain Prefect server with a login, that Baton did not start, and what asks it."""

import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.conftest import ROOT
from tests.e2e.conftest import fresh_home, wait_for

BIN = Path(sys.executable).parent
LOGIN = "team:only-for-the-test"
AUTH = "PREFECT_API_AUTH_STRING"


@contextmanager
def plain_server(path):
    """A home whose process is Prefect's server, started as its documentation says."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with fresh_home(path) as home:
        (home.path / "auth").touch(0o600)
        (home.path / "auth").write_text(LOGIN)  # where the tests look for it
        own = {
            "PREFECT_SERVER_API_AUTH_STRING": LOGIN,
            "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",  # it alone keeps SQLite locked
        }
        home.process = subprocess.Popen(
            [BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            env=environment_of(home, **own),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        home.api = f"http://127.0.0.1:{port}/api"
        wait_for(lambda: answers(f"{home.api}/health"))
        yield home


def answers(address):
    """Whether a server answers there."""
    try:
        return httpx.get(address, verify=False).is_success
    except httpx.HTTPError:
        return False


def environment_of(home, **more):
    """Environment of who asks that server."""
    values = {
        "PREFECT_HOME": str(home.path / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        AUTH: LOGIN,
        **({"PREFECT_API_URL": home.api} if home.api else {}),
    }
    return home.environment(**values | more)


def prefect(home, *arguments, cwd=ROOT):
    """Prefect's command, which succeeds; what it said."""
    done = subprocess.run(
        [BIN / "prefect", "--no-prompt", *arguments],
        cwd=cwd,
        env=environment_of(home),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
