"""The champion over HTTP: who is let in, what is answered, and that a swap harms no request."""

import io
import json
import os
import re
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
from baton.errors import InputError
from baton.settings import settings
from baton.terms import Kind
from serving.answers import Swapped, listening, token_of
from serving.guard import Guard
from tasks.answering import read_body
from tasks.platform import tracking
from tasks.platform.events import tell
from tasks.promotion import by_hand
from tests.conftest import ROOT
from tests.integration.test_registered_models import data_of, home  # noqa: F401
from tests.processes import wait_for

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
        (page,) = re.findall(r"^curl .*$", GUIDE.read_text("utf-8"), re.MULTILINE)
        (folder := tmp_path / "reader").mkdir()
        (folder / ".baton").symlink_to(two)
        asked = page.replace("http://127.0.0.1:8100", str(client.base_url).rstrip("/"))
        said = subprocess.run(asked, shell=True, cwd=folder, capture_output=True, check=True)
        assert json.loads(said.stdout)["model"] == {"name": NAME, "version": 1}

        assert client.get("/health", headers={"Authorization": ""}).json() == {"status": "ok"}
        place = two / "serve.token"
        assert place.stat().st_mode & 0o077 == 0


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
