"""Champions that answer beside the chain: they wait, are kept up, and end with it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import httpx
import pytest
import yaml

from baton.settings import settings
from tasks.platform.api import Access
from tasks.platform.events import tell
from tasks.promotion import by_hand
from tests.conftest import ROOT
from tests.e2e.conftest import wait_for
from tests.integration.test_answers import NAME, ROWS, registered
from tests.services import free_port

pytestmark = pytest.mark.e2e


def _answering(home):
    """Processes of this home that answer."""
    return [pid for pid, command in home.commands().items() if "serving.answers" in command]


@pytest.fixture
def mine(home, monkeypatch):
    """A home that this process sees as its own, too."""
    monkeypatch.setenv("BATON_HOME", str(home.path))
    settings.cache_clear()
    yield home
    monkeypatch.undo()
    settings.cache_clear()


# a start of its own: tests/unit/test_beside.py has what is asked for, test_child.py who is begun
# again, tests/integration/test_answers.py that it waits for its first champion and hears of it
@pytest.mark.long
def test_baton_up_keeps_up_what_answers(mine):
    """It outlives kill -9, waits for its first champion, hears of it, and ends with `baton up`.

    Who asks while it is started again is answered.
    """
    mine.start("--serve", "table:0")
    address, token = re.search(r"^table +(\S+)  \(token: (.+)\)$", _said(mine), re.M).groups()
    known = {"Authorization": f"Bearer {(mine.path / 'serve.token').read_text()}"}
    assert token == str(mine.path / "serve.token")
    with httpx.Client(base_url=address, headers=known, timeout=120) as client:
        assert client.get("/ready").status_code == 503
        (pid,) = _answering(mine)
        os.kill(pid, signal.SIGKILL)
        assert "there is no model of table" in _again(client, "/model")
        assert _answering(mine) != [pid]
        registered(1)
        _, event = by_hand(NAME, 1, "ada", "to begin with")
        tell(event, Access(mine.api, auth_string=":".join(mine.secret)))
        wait_for(lambda: client.get("/ready").is_success, 60)
        found = client.post("/predict", json=ROWS).json()
        assert found["model"] == {"name": NAME, "version": 1}
    assert re.search(r"the answers-table-\d+ process was killed by signal 9", _said(mine))
    assert mine.stop() == 143
    mine.wait_until_empty()


def _said(home):
    return (home.path / "up.out").read_text()


def _again(client, path):
    """What is said on a new connection: that of a process that was killed is gone."""
    answer = httpx.get(client.base_url.join(path), headers=client.headers, timeout=120)
    return answer.json()["error"]


@pytest.mark.long  # what starts and keeps them is that of `baton up`, above
def test_the_serve_process_keeps_up_what_prefect_yaml_says(mine, tmp_path_factory):
    """On whatever server; it ends them, and a problem that there is not is one line."""
    mine.start()
    folder, port = tmp_path_factory.mktemp("clone"), free_port()
    for name in ("flows", "serving", "tasks"):
        shutil.copytree(ROOT / name, folder / name)
    content = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    content["deployments"] = content["deployments"][:1]
    content["serving"] = [{"problem": "irsi", "port": port}]
    (folder / "prefect.yaml").write_text(yaml.safe_dump(content))
    refused = _serve(mine, folder).communicate(timeout=120)[0]
    assert "prefect.yaml: serving 'irsi': there is no such problem; did you mean 'iris'" in refused
    assert "Traceback" not in refused
    content["serving"] = [{"problem": "table", "port": port}]
    (folder / "prefect.yaml").write_text(yaml.safe_dump(content))
    address = f"http://127.0.0.1:{port}"
    with _serve(mine, folder) as process:
        wait_for(lambda: _status(address) == 503, 120)
        (pid,) = _answering(mine)
        os.kill(pid, signal.SIGKILL)
        assert httpx.get(f"{address}/ready", timeout=120).status_code == 503
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0
    wait_for(lambda: not _answering(mine), 10)
    assert _status(address) is None
    assert json.loads((mine.path / "up.json").read_text())["prefect"] == mine.api


def _serve(home, folder):
    """`python -m serving` of a clone, on the server of a home."""
    told = {"PREFECT_API_URL": home.api, "PREFECT_API_AUTH_STRING": ":".join(home.secret)}
    return subprocess.Popen(
        [sys.executable, "-m", "serving"],
        cwd=folder,
        env=home.environment(**told),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _status(address):
    try:
        return httpx.get(f"{address}/ready", timeout=60).status_code
    except httpx.TransportError:
        return None
