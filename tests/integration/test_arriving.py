"""The process that data announces itself to: its address, and the folders that it watches.

No server stands here: what arrives is kept. That it is told, too, is in ``test_arrivals.py``.
"""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pandas as pd
import pytest
import yaml

from baton.chain import arrivals
from baton.chain.arrivals import State
from baton.chain.manifest import Watch
from baton.errors import InputError
from baton.settings import Settings
from serving.watching import watched
from tests.conftest import ROOT
from tests.processes import wait_for
from tests.services import free_port

TABLE = pd.DataFrame({"x": range(200), "y": [number % 2 for number in range(200)]})
ARRIVING = """
import sys
from pathlib import Path
from serving import arriving

arriving.MANIFEST = Path(sys.argv.pop(1))
arriving.main()
"""


@contextmanager
def arriving(folder, watch=()):
    """A running process: a client that is let in, and the home's settings."""
    home, port = Settings(home=folder / "home"), free_port()
    declared = yaml.safe_load((ROOT / "prefect.yaml").read_text()) | {"watch": list(watch)}
    (folder / "prefect.yaml").write_text(yaml.safe_dump(declared))
    command = [sys.executable, "-c", ARRIVING, folder / "prefect.yaml", "--port", port]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    process = subprocess.Popen(
        [*map(str, command), "--from", str(folder)],
        cwd=ROOT,
        env=kept | {"BATON_HOME": str(home.home)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_for(lambda: _is_there(client, process), seconds=60)
            token = (home.home / "announce.token").read_text()
            client.headers["Authorization"] = f"Bearer {token}"
            yield client, home, process
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _is_there(client, process):
    assert process.poll() is None, process.stderr.read()
    try:
        return client.get("/health").is_success
    except httpx.TransportError:
        return False


def found(home, n, seconds=60):
    """The arrivals, once there are so many."""
    return wait_for(lambda: (known := arrivals.found(home))[n - 1 :] and known, seconds)


def test_whoever_has_data_announces_it_by_http(tmp_path):
    """202 the first time and 200 then; nobody is let in without the token, or from another page.

    What cannot be understood or read is one line.
    """
    with arriving(tmp_path) as (client, home, _):
        assert stat.S_IMODE((home.home / "announce.token").stat().st_mode) == 0o600
        place = f"{client.base_url}/announce/spheres".replace("//announce", "/announce")
        asked = {"parameters": {"rows": 500}, "options": {"model": "xgboost"}, "key": "2021-03"}
        bare = subprocess.run(
            ["curl", "-s", "-o", os.devnull, "-w", "%{http_code}", "-d", json.dumps(asked), place],
            capture_output=True,
            text=True,
            check=True,
        )
        assert bare.stdout == "401"
        assert client.post("/announce/spheres", headers={"Host": "evil.example"}).status_code == 403
        origin = {"Origin": "http://evil.example"}
        assert client.post("/announce/spheres", headers=origin).status_code == 403
        first, again = (client.post("/announce/spheres", json=asked) for _ in range(2))
        assert (first.status_code, again.status_code) == (202, 200)
        assert (first.json()["known"], again.json()["known"]) == (False, True)
        assert first.json()["chain"] == again.json()["chain"]
        (kept,) = arrivals.found(home)
        assert (kept.chain, kept.key, kept.repeated) == (first.json()["chain"], "2021-03", 1)
        assert kept.event.generate.options.model == "xgboost"
        _check_refusals(client, tmp_path)
        assert [one.state for one in arrivals.found(home)] == [State.KEPT, State.DAMAGED]


def _check_refusals(client, folder):
    torn = {"path": str(folder / "none.csv"), "target": "y"}
    for path, content, status, said in [
        ("spheres", {"parameter": {}}, 422, "parameter: Extra inputs"),
        ("spheres", {"parameters": {"row": 1}}, 422, "unknown parameter 'row'"),
        ("spheres", {"parameters": {"seed": 1}, "options": {"seed": 1}}, 422, "say it once"),
        ("nobody", {}, 422, "unknown problem 'nobody'"),
        ("table", {"parameters": torn}, 422, "none.csv"),
        ("spheres", {"key": "k" * (1 << 20)}, 413, "more than"),
    ]:
        answer = client.post(f"/announce/{path}", json=content)
        assert answer.status_code == status, answer.text
        assert said in answer.json()["error"] and "\n" not in answer.json()["error"]
    assert client.get("/announce/spheres").status_code == 405


WATCH = {
    "problem": "table",
    "folder": "incoming",
    "files": "*.csv",
    "parameters": {"target": "y", "model": "xgboost"},
    "key": r"(\d{4}-\d{2})\.csv",
}


def test_a_file_in_a_watched_folder_is_taken_once_and_when_it_is_whole(tmp_path):
    """One that is written in parts, and one that was there before; a mended one counts anew.

    A process that begins again, after kill -9, repeats nothing.
    """
    incoming, text = tmp_path / "incoming", TABLE.to_csv(index=False)
    incoming.mkdir()
    (incoming / "wine-2021-03.csv").write_text(text)
    with arriving(tmp_path, [WATCH]) as (_, home, process):
        (first,) = found(home, 1)
        assert (first.key, first.source) == ("2021-03", "wine-2021-03.csv")
        assert first.event.generate.options.model == "xgboost"
        _write_slowly(incoming / "wine-2021-02.csv", text)
        _, late = found(home, 2)
        assert late.is_late and late.event.generate.parameters["path"].endswith("2021-02.csv")
        (incoming / "torn.csv").write_text("x,z\n1,2\n")
        for ignored in ("notes.txt", ".hidden.csv", "b.csv.part"):
            (incoming / ignored).write_text(text)
        torn = found(home, 3)[-1]
        assert torn.state is State.DAMAGED and "'y'" in torn.reason
        (incoming / "torn.csv").write_text(text)
        assert found(home, 4)[-1].state is State.KEPT
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    with arriving(tmp_path, [WATCH]) as (_, home, _):
        (incoming / "new.csv").write_text(text)
        known = found(home, 5)
        assert [one.repeated for one in known] == [0] * 5
        assert [one.source for one in known[-2:]] == ["torn.csv", "new.csv"]


def _write_slowly(path, text):
    """Write a file in parts, half a second apart."""
    with path.open("w") as file:
        for begin in range(0, len(text), len(text) // 4 + 1):
            file.write(text[begin : begin + len(text) // 4 + 1])
            file.flush()
            time.sleep(0.5)


def test_a_watch_that_cannot_begin_a_chain_is_refused_at_the_start(tmp_path):
    """One line, and exit code 2."""
    with pytest.raises(InputError, match="watch 'incoming': problem 'iris' takes no file"):
        watched(Watch(problem="iris", folder="incoming"), tmp_path, None)
    with pytest.raises(InputError, match="watch 's3://cellar/in': problem 'iris' takes no file"):
        watched(Watch(problem="iris", folder="s3://cellar/in"), tmp_path, None)
    watch = [WATCH | {"parameters": {"targt": "y"}}]
    declared = yaml.safe_load((ROOT / "prefect.yaml").read_text()) | {"watch": watch}
    (tmp_path / "prefect.yaml").write_text(yaml.safe_dump(declared))
    done = subprocess.run(
        [sys.executable, "-c", ARRIVING, str(tmp_path / "prefect.yaml"), "--port", "0"],
        cwd=ROOT,
        env=os.environ | {"BATON_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "unknown parameter 'targt'" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
