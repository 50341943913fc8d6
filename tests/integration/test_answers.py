"""The champion over HTTP: who is let in, what is answered, and that a swap harms no request."""

import asyncio
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
from prefect.settings import get_current_settings

from baton import models
from baton.cli import main
from baton.errors import InputError
from baton.settings import settings
from baton.terms import Kind
from serving.answers import Swapped, application
from serving.entrance import listening, token_of
from serving.guard import Guard
from tasks.answering import champion, read_body
from tasks.platform import tracking
from tasks.platform.events import tell
from tasks.promotion import by_hand
from tests.conftest import ROOT
from tests.integration.test_registered_models import data_of, home  # noqa: F401
from tests.processes import wait_for
from tests.services import free_port

BATON = [str(Path(sys.executable).with_name("baton"))]
NAME = "baton-table-wine"
GUIDE = ROOT / "docs/how-to/serve.md"


def registered(number, low=0.0):
    """Version of a model whose every answer lies between `low` and `low` + 1."""
    random = np.random.default_rng(number)
    rows = pd.DataFrame({"x": random.random(60), "kind": random.choice(["a", "b"], 60)})
    rows["y"] = low + rows.x
    columns = [{"name": "x", "role": "number"}, {"name": "kind", "role": "category"}]
    schema = {"columns": columns}
    origin = {
        "problem": "table",
        "parameters": {"path": "wine.csv", "target": "y"},
        "schema": schema,
    }
    recipe = models.Recipe("y", Kind.REGRESSION, family="decision_tree", origin=origin)
    fitted = models.fit(rows, recipe)
    return tracking.register.fn(
        fitted, data_of("wine"), f"{number:032x}", {"target": "y"}, rows[["x", "kind"]].head(3)
    )


@pytest.fixture
def two(home):  # noqa: F811
    """Two versions, whose answers tell which one gave them; the first is the champion."""
    for number in (1, 2):
        registered(number, low=100.0 * number)
    by_hand(NAME, 1, "ada", "to begin with")
    return home


@contextmanager
def serving(folder, **more):
    """A running `baton serve`: a client that is let in."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_API")}
    with (folder / "serve.out").open("wb") as out:
        process = subprocess.Popen(
            [*BATON, "serve", "wine", "--port", "0"],
            cwd=ROOT,
            env=environment | {"BATON_HOME": str(folder), **more},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        place = wait_for(lambda: _address(folder, process), seconds=120)
        token = (folder / "serve.token").read_text()
        known = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=place, headers=known, timeout=30) as client:
            wait_for(lambda: _is_there(client), seconds=30)
            yield client
    finally:
        process.terminate()
        process.wait(30)


def _address(folder, process):
    assert process.poll() is None, (folder / "serve.out").read_text()
    lines = (folder / "serve.out").read_text().splitlines()
    return lines[0].split()[-1] if len(lines) > 1 else None


def _is_there(client):
    try:
        return client.get("/ready").is_success
    except httpx.TransportError:
        return False


ROWS = [{"x": 0.2, "kind": "a"}, {"x": 0.9, "kind": "b"}]


def test_rows_are_answered_and_explained(two, tmp_path):
    """Of JSON, CSV and Parquet alike; what is doubtful is said by row, what is wrong in one line.

    Nobody without the token, no other name of the server and no other page is let in.
    """
    with serving(two) as client:
        found = client.post("/predict", json=ROWS).json()
        assert found["model"] == {"name": NAME, "version": 1}
        assert [one["row"] for one in found["predictions"]] == [0, 1]
        assert all(100 <= one["predicted"] <= 101 for one in found["predictions"])
        assert found["doubts"] == []
        table, packed = pd.DataFrame(ROWS), io.BytesIO()
        table.to_parquet(packed)
        bodies = {
            "text/csv": table.to_csv(index=False).encode(),
            "application/vnd.apache.parquet": packed.getvalue(),
            "application/x-ndjson": table.to_json(orient="records", lines=True).encode(),
        }
        for kind, body in bodies.items():
            same = client.post("/predict", content=body, headers={"content-type": kind}).json()
            assert same == found, kind
        doubtful = [{"x": "heavy", "kind": "c"}, *ROWS]
        doubts = client.post("/predict", json={"records": doubtful}).json()["doubts"]
        assert [(one["row"], one["column"], one["value"]) for one in doubts] == [
            (0, "x", "heavy"),
            (0, "kind", "c"),
        ]

        explained = client.post("/explain", json=ROWS).json()["explanations"]
        for one, answer in zip(explained, found["predictions"], strict=True):
            total = one["base"] + sum(one["values"].values())
            assert total == pytest.approx(answer["predicted"], abs=1e-4)

        facts = client.get("/model").json()
        assert (facts["version"], facts["columns"]) == (1, {"x": "number", "kind": "category"})
        api = client.get("/openapi.json").json()
        body = api["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
        assert set(body["schema"]["items"]["properties"]) == {"x", "kind"}
        told = client.get("/metrics").text
        assert 'baton_model_version{name="baton-table-wine"} 1.0' in told

        refusals = {
            "column 'kind' is not a column": client.post("/predict", json=[{"x": 1.0}]),
            "no list of records": client.post("/predict", json=[1, 2]),
            "not JSON": client.post(
                "/predict", content=b"{", headers={"content-type": "application/json"}
            ),
            "is not read": client.post("/predict", content=b"x", headers={"content-type": "a/b"}),
        }
        for said, answer in refusals.items():
            assert answer.status_code == 422, answer.text
            assert said in answer.json()["error"]
        many = pd.DataFrame([ROWS[0]] * 10_001)
        packed = io.BytesIO()
        many.to_parquet(packed)
        for kind, body in {
            "application/json": many.to_json(orient="records").encode(),
            "Application/JSON; charset=utf-8": many.to_json(orient="records").encode(),
            "application/octet-stream": packed.getvalue(),
        }.items():
            long = client.post("/predict", content=body, headers={"content-type": kind})
            assert (long.status_code, "at most 10000" in long.json()["error"]) == (413, True)
        odd = b'[{"x": 0.5, "kind": "a", "\\ud800": 1}]'
        answer = client.post("/predict", content=odd, headers={"content-type": "application/json"})
        assert answer.status_code in {200, 422}

        strangers = {
            "no token": {"Authorization": ""},
            "another token": {"Authorization": "Bearer x"},
            "another name": {"Host": "evil.example"},
            "another page": {"Origin": "http://evil.example"},
        }
        for who, headers in strangers.items():
            answer = client.post("/predict", json=ROWS, headers=headers)
            assert answer.status_code in {401, 403}, who
        page = _of_guide(r"^curl .*/predict$")
        (folder := tmp_path / "reader").mkdir()
        (folder / ".baton").symlink_to(two)
        asked = page.replace("http://127.0.0.1:8100", str(client.base_url).rstrip("/"))
        said = subprocess.run(asked, shell=True, cwd=folder, capture_output=True, check=True)
        assert json.loads(said.stdout)["model"] == {"name": NAME, "version": 1}

        assert client.get("/health", headers={"Authorization": ""}).json() == {"status": "ok"}
        place = two / "serve.token"
        assert place.stat().st_mode & 0o077 == 0


def test_without_a_champion_it_says_so_until_there_is_one(home):  # noqa: F811
    """To probes by 503 alone, and to who is let in with the reason; then it answers."""
    held = Swapped("wine", waits=True)
    app = application(held, settings())
    for why in ("the champion is looked for", "no problem or model 'wine'", "has no champion"):
        assert _asked(app, "/ready") == (503, {"status": "waits for the first champion"})
        for status, found in (_asked(app, "/model"), _asked(app, "/predict", ROWS)):
            assert status == 503
            assert "no model answers yet" in found["error"]
            assert why in found["error"]
        assert [_asked(app, path)[0] for path in ("/health", "/openapi.json")] == [200, 200]
        if "no problem" in why:
            registered(1)
        assert [held.look(), held.look()] == [False, False]
    by_hand(NAME, 1, "ada", "to begin with")
    assert [held.look(), held.look()] == [True, False]
    assert _asked(app, "/ready") == (200, {"status": "ok"})
    assert _asked(app, "/predict", ROWS)[1]["model"] == {"name": NAME, "version": 1}
    body = _asked(app, "/openapi.json")[1]["paths"]["/predict"]["post"]["requestBody"]
    record = body["content"]["application/json"]["schema"]["items"]
    assert set(record["properties"]) == {"x", "kind"}


def _asked(app, path, rows=None):
    """Status and content of an answer, of the application itself."""

    async def ask():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.request("POST" if rows else "GET", path, json=rows)

    answer = asyncio.run(ask())
    return answer.status_code, answer.json()


@pytest.mark.usefixtures("prefect")
def test_a_promotion_swaps_the_model_and_no_request_fails(two):
    """Two clients ask as fast as they can over three promotions, each told of by its event.

    Every answer is one model's alone, and the version that it names.
    """
    answered, stop = [], threading.Event()

    def ask(client):
        while not stop.is_set():
            found = client.post("/predict", json=ROWS * 5)
            answered.append((found.status_code, found.json()))

    with serving(two, **_server()) as client:
        askers = [threading.Thread(target=ask, args=(client,)) for _ in range(2)]
        for one in askers:
            one.start()
        try:
            for n in range(3):
                version = 2 - n % 2
                _, event = by_hand(NAME, version, "ada", f"number {n}")
                tell(event)
                began = time.monotonic()
                wait_for(lambda v=version: client.get("/model").json()["version"] == v, seconds=30)
                assert time.monotonic() - began < 12  # by its event, not by the look after 15 s
        finally:
            stop.set()
            for one in askers:
                one.join(30)
    assert len(answered) > 20
    assert {status for status, _ in answered} == {200}
    versions = set()
    for _, found in answered:
        version = found["model"]["version"]
        versions.add(version)
        values = [one["predicted"] for one in found["predictions"]]
        assert len(values) == 10
        assert all(100 * version <= one <= 100 * version + 1 for one in values)
    assert versions == {1, 2}


@pytest.fixture
def served(home):  # noqa: F811
    """A champion called as the guide has it, whose answers are labels of text."""
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"x": random.random(80), "kind": random.choice(["a", "b"], 80)})
    rows["target"] = np.where((rows.x > 0.5) == (rows.kind == "a"), "high", "low")
    columns = [{"name": "x", "role": "number"}, {"name": "kind", "role": "category"}]
    origin = {
        "problem": "table",
        "parameters": {"path": "wine.csv", "target": "target"},
        "schema": {"columns": columns},
    }
    recipe = models.Recipe("target", Kind.CLASSIFICATION, family="decision_tree", origin=origin)
    fitted = models.fit(rows, recipe)
    data = data_of("wine-target", "target")
    tracking.register.fn(fitted, data, "1" * 32, {}, rows[["x", "kind"]].head(3))
    by_hand("baton-table-wine-target", 1, "ada", "to begin with")
    return home


def test_mlflow_serves_the_champion_as_the_guide_says(served, tmp_path_factory):
    """By the guide's two commands, but for the port: raw columns, answered as Baton answers them.

    A category that the model does not know and a cell that is missing are answered, too; nobody on
    another machine is.
    """
    command, curl = _of_guide(r"^PATH=.* models serve .*$"), _of_guide(r"^curl .*/invocations$")
    rows = json.loads(re.search(r"-d '(.*?)'", curl)[1])["dataframe_records"]
    more = [*rows, {"x": None, "kind": "b"}, {"x": 0.7, "kind": "new"}, {"x": 1, "kind": None}]
    found = champion("baton-table-wine-target").predict(_table(more))["predictions"]
    own, port = [one["predicted"] for one in found], free_port()
    (folder := tmp_path_factory.mktemp("reader")).joinpath(".baton").symlink_to(served)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    with _ended(f"exec env {command.replace('-p 5001', f'-p {port}')}", folder):
        wait_for(lambda: _pings(port), seconds=120)
        asked = curl.replace("127.0.0.1:5001", f"127.0.0.1:{port}")
        said = subprocess.run(asked, shell=True, cwd=folder, capture_output=True, check=True)
        assert json.loads(said.stdout) == {"predictions": own[: len(rows)]}
        place, body = f"http://127.0.0.1:{port}/invocations", {"dataframe_records": more}
        assert httpx.post(place, json=body, timeout=60).json() == {"predictions": own}
        assert _listening(port) == {"127.0.0.1"}
    assert set(own) == {"high", "low"}
    assert {path.name for path in folder.iterdir()} == {".baton", ".venv"}


def _of_guide(pattern):
    (line,) = re.findall(pattern, GUIDE.read_text("utf-8"), re.MULTILINE)
    return line


def _table(rows):
    return read_body(json.dumps(rows).encode(), "application/json", 100)


@contextmanager
def _ended(command, folder):
    """A command of the shell, with all that it starts, for a while."""
    process = subprocess.Popen(
        ["sh", "-c", command],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder.parent)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _pings(port):
    try:
        return httpx.get(f"http://127.0.0.1:{port}/ping").is_success
    except httpx.HTTPError:
        return False


def _listening(port):
    """Addresses of this machine at which somebody listens on a port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    pairs = [line.split()[1].split(":") for line in lines if line.split()[3] == "0A"]
    mine = [bytes.fromhex(host)[::-1] for host, at in pairs if int(at, 16) == port]
    return {socket.inet_ntoa(host) for host in mine}


def _server():
    """Environment by which a process reaches the server of the tests."""
    api = get_current_settings().api
    secret = api.auth_string.get_secret_value() if api.auth_string else ""
    return {"PREFECT_API_URL": api.url, "PREFECT_API_AUTH_STRING": secret}


def test_a_model_without_a_champion_is_one_line(home):  # noqa: F811
    """Exit code 2, and what to do."""
    registered(1)
    done = subprocess.run(
        [*BATON, "serve", "wine", "--port", "0"],
        cwd=ROOT,
        env=os.environ | {"BATON_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "baton-table-wine has no champion" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_that_is_to_wait_for_its_champion_waits_for_no_name_that_is_none(home, capsys):  # noqa: F811
    """A problem's, or a model's that is there."""
    with pytest.raises(SystemExit, match="2"):
        main(["serve", "wine", "--port", "0", "--wait"])
    assert "there is no problem or model 'wine'" in capsys.readouterr().err


def test_a_token_is_made_once_and_an_empty_one_lets_nobody_in(home, monkeypatch):  # noqa: F811
    """Whole at once and for its owner alone; a file that somebody wrote may end with a line."""
    token = token_of(settings())
    assert token_of(settings()) == token
    place = home / "serve.token"
    assert len(token) > 40
    assert place.stat().st_mode & 0o077 == 0
    assert [path.name for path in home.iterdir()] == ["serve.token"]
    place.write_text("mine\n")
    assert token_of(settings()) == "mine"
    place.write_text("")
    with pytest.raises(InputError, match="is empty: remove it"):
        token_of(settings())
    with pytest.raises(ValueError, match="a guard needs a secret"):
        Guard(None, "baton:", 1)


@pytest.mark.parametrize("port", [-1, 70_000])
def test_a_port_that_there_is_not_is_refused(port):
    """In one line."""
    with pytest.raises(InputError, match="ports are 0 to 65535"), listening(port):
        pass


def test_the_same_rows_are_read_alike_as_json_and_as_json_lines():
    """Text that says that nothing is there, and long whole numbers beside nothing."""
    rows = [{"k": "NA", "n": 12345678901234567}, {"k": "b", "n": None}]
    lines = "\n".join(map(json.dumps, rows)).encode()
    same = [
        read_body(body, kind, 10).to_pylist()
        for body, kind in (
            (json.dumps(rows).encode(), "application/json"),
            (lines, "application/x-ndjson"),
        )
    ]
    assert same[0] == same[1]


def test_a_champion_that_is_gone_leaves_the_last_one_answering(two):
    """A version whose files were altered is not taken; /model says why."""
    held = Swapped(NAME)
    by_hand(NAME, 2, "ada", "next")
    for path in (two / "mlflow" / "artifacts").rglob("*"):
        if path.is_file() and held.now.reference.run_id not in str(path):
            path.write_bytes(b"altered")
    altered = not held.look()
    assert altered
    assert (held.now.reference.version, bool(held.trouble)) == (1, True)
