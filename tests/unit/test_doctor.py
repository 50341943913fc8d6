"""What `baton doctor` says of versions, home, ports, databases and a server."""

import json
import os
import socket
import sqlite3
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from packaging.requirements import Requirement

from baton import mlflow_internals
from baton.chain import manifest
from baton.cli import browser, examining
from baton.cli.checkup import chain, databases, home, ports, server, tools, versions
from baton.cli.checkup.finding import Finding, Verdict, shown
from baton.disk import RESERVE
from baton.errors import InputError
from baton.settings import Settings
from serving.embedded import Addresses
from tasks.platform import api, prefect_internals
from tests.conftest import ROOT

CHAIN = manifest.read(ROOT / "prefect.yaml")
GOOD, DOUBTFUL, BAD = Verdict


def _told(findings):
    """Verdict and fact of each, by what it is of; each that is not good has a fix."""
    found = {one.what: one for one in findings}
    assert all(one.fix or one.verdict is GOOD for one in found.values())
    return {what: (one.verdict, one.fact) for what, one in found.items()}


def test_versions_are_held_beside_what_is_declared_and_pinned(tmp_path):
    """Python, packages outside their range, missing ones, and those that are not as tested."""
    assert versions.of_python("3.12.1", ">=3.11,<3.14").verdict is GOOD
    assert versions.of_python("3.10.9", ">=3.11,<3.14").verdict is BAD
    wanted = ["prefect<2", "no-such-thing>=1", "httpx>=0.1", 'catboost>=99; extra == "catboost"']
    told = _told(versions.of_packages(map(Requirement, wanted)))
    assert told["prefect"][0] is told["no-such-thing"][0] is BAD
    assert told["catboost"][0] is DOUBTFUL
    assert "httpx" not in told and told["mlflow"][0] is GOOD
    pins = tmp_path / "constraints.txt"
    pins.write_text("prefect==1.0  # old\n# a remark\n\nhttpx==0.1 ; sys_platform == 'nowhere'\n")
    assert (
        "1 packages are not as tested: prefect" in _told(versions.of_pins(pins))["constraints"][1]
    )
    assert list(versions.of_pins(tmp_path / "none")) == []


def test_the_versions_here_are_well():
    """Those that the tests run with."""
    found = versions.findings(ROOT / "constraints.txt")
    assert {one.verdict for one in found} == {GOOD}


def test_a_home_is_looked_at_by_owner_mode_secrets_and_room(tmp_path, monkeypatch):
    """One that is not there yet is no fault."""
    place = tmp_path / "home"
    assert {one.verdict for one in home.findings(Settings(home=place))} == {GOOD}
    place.mkdir(0o755)
    (place / "auth").write_text("baton:hush")
    (place / "auth").chmod(0o644)
    told = _told(home.findings(Settings(home=place)))
    assert told["home's mode"] == (DOUBTFUL, "755: others may look into it")
    assert told["auth"][0] is BAD
    assert "hush" not in str(told)
    monkeypatch.setattr(os, "geteuid", lambda: place.stat().st_uid + 1)
    assert home.of_owner(place).verdict is DOUBTFUL
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert home.of_owner(place).verdict is BAD
    (tmp_path / "file").touch()
    assert _told(home.findings(Settings(home=tmp_path / "file")))["home"][0] is BAD


@pytest.mark.parametrize(
    ("free", "verdict"), [(RESERVE - 1, BAD), (2**29, DOUBTFUL), (2**31, GOOD)]
)
def test_room_is_said_before_there_is_none(tmp_path, monkeypatch, free, verdict):
    """Below what a stage leaves free, none begins."""
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr(home.shutil, "disk_usage", lambda _: usage)
    assert home.of_room(tmp_path).verdict is verdict


def test_a_port_is_free_or_held_by_somebody(tmp_path):
    """By this home's Baton, which is well, or by another process, which is named."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        place.listen()
        number = place.getsockname()[1]
        port = ports.Port("port of Prefect", number, "set another")
        said = ports.of_port(port, {})
        assert (said.verdict, f"(process {os.getpid()})" in said.fact) == (DOUBTFUL, True)
        standing = Addresses(7, f"http://127.0.0.1:{number}/api")
        own = ports.own_ports(standing, ())
        assert ports.of_port(port, own).fact == f"{number}: this home's Baton, process 7"
    assert ports.of_port(port, {}).fact == f"{number} is free"
    assert ports.of_port(ports.Port("any", 0, ""), {}).verdict is GOOD
    serving = [manifest.Answering(problem="iris", port=9000)]
    told = ports.wanted(Settings(home=tmp_path, prefect_port=1), serving)
    assert [one.number for one in told] == [1, 5000, 8200, 8100, 9000]


def _database(path, revision):
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table alembic_version (version_num text)")
        connection.execute("insert into alembic_version values (?)", [revision])
    return path


@pytest.mark.parametrize("migrations", [prefect_internals.migrations, mlflow_internals.migrations])
def test_a_database_is_migrated_or_older_or_newer(tmp_path, migrations, no_internals, monkeypatch):
    """By the revisions that the installed library has; without its internals it is not said."""
    assert migrations() is None
    place = _database(tmp_path / "a.db", "unknown")
    assert databases.of_file("a", place, None, "").verdict is GOOD
    monkeypatch.setenv("BATON_INTERNALS", "1")
    from baton.settings import settings

    settings.cache_clear()
    known, heads = databases.revisions(migrations())
    assert len(heads) == 1 and len(known) > 20
    old = min(known - heads)
    for revision, verdict in ((*heads, GOOD), (old, DOUBTFUL), ("unknown", BAD)):
        place = _database(tmp_path / revision / "a.db", revision)
        before = place.read_bytes()
        assert databases.of_file("a", place, migrations(), "mend").verdict is verdict
        assert place.read_bytes() == before


def test_a_database_that_is_damaged_or_is_none_is_said(tmp_path):
    """And one that is not there yet is none that is missing."""
    place = tmp_path / "mlflow.db"
    assert databases.of_file("a", place, None, "").verdict is GOOD
    assert not place.exists()
    place.write_text("no database, though it is long enough for its head" * 9)
    assert databases.of_file("a", place, None, "").verdict is BAD
    _database(tmp_path / "b.db", "x")
    with closing(sqlite3.connect(tmp_path / "b.db")) as connection, connection:
        connection.execute("drop table alembic_version")
    assert databases.of_file("a", tmp_path / "b.db", None, "").verdict is BAD


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("postgresql://ann:hush@127.0.0.1:9/mlflow", "postgresql://127.0.0.1:9/mlflow"),
        ("http://ann:hush@127.0.0.1:9", "http://127.0.0.1:9 does not answer"),
        ("nonsense", "is no address"),
    ],
)
def test_a_store_that_is_out_of_reach_is_said_without_its_password(tmp_path, uri, said):
    """Whatever kind of store it is."""
    found = databases.of_store(Settings(home=tmp_path, mlflow_tracking_uri=uri))
    assert found.verdict is BAD and said in found.fact
    assert "hush" not in json.dumps(found.facts)
    assert shown("https://ann:hush@host/a?password=hush") == "https://host/a"


def test_prefect_yaml_is_read_with_its_flows(tmp_path):
    """A key that Prefect overlooks, and a parameter that a flow has not, are said."""
    found, said = chain.declared(ROOT / "prefect.yaml")
    assert found == CHAIN
    assert _told(said)["prefect.yaml"] == (GOOD, "17 deployments, as their flows take them")
    text = (ROOT / "prefect.yaml").read_text()
    for old, new, fact in (
        ("    triggers:", "    trigers:", "unknown key"),
        (
            "          trained: ",
            "          taught: ",
            "taught is no parameter of flows/evaluate.py",
        ),
    ):
        place = tmp_path / "prefect.yaml"
        place.write_text(text.replace(old, new, 1))
        found, said = chain.declared(place)
        assert found is None
        assert fact in _told(said)["prefect.yaml"][1]


class _Server:
    """A Prefect server that serves what is declared, but for what a test changes."""

    def __init__(self):
        now = datetime.now(UTC)
        self.date, self.status, self.version = now, 200, "3.8.8"
        self.deployments = [
            {"name": one.name, "tags": ["baton"], "work_pool_name": None, "last_polled": _iso(now)}
            for one in CHAIN.deployments
        ]
        self.automations = [{"name": one, "enabled": True} for one in CHAIN.automations]
        self.workers = []

    def __call__(self, request):
        if self.status != httpx.codes.OK:
            return httpx.Response(self.status)
        path = request.url.path.removeprefix("/api/")
        answers = {
            "admin/version": self.version,
            "deployments/filter": self.deployments,
            "automations/filter": self.automations,
            "work_pools/gpu/workers/filter": self.workers,
        }
        headers = {"Date": format_datetime(self.date, usegmt=True)}
        return httpx.Response(200, json=answers.get(path, {}), headers=headers)


def _iso(at):
    return at.isoformat().replace("+00:00", "Z")


def _of(server_):
    transport = httpx.MockTransport(server_)
    with api.Client(api.Access("http://ann:hush@prefect.test/api"), (), transport) as client:
        found = list(server.findings(client, CHAIN, is_own=False))
    assert "hush" not in str(found)
    return _told(found)


def test_a_server_that_serves_the_chain_is_well():
    """Reachable, of this version, at the same time, with all that is declared."""
    told = _of(_Server())
    assert {verdict for verdict, _ in told.values()} == {GOOD}
    assert list(told) == [
        "Prefect server",
        "server's database",
        "clock",
        "deployments",
        "serve process",
        "automations",
    ]


@pytest.mark.parametrize(
    ("status", "said"), [(401, "login"), (503, "503"), (404, "is no Prefect API")]
)
def test_a_server_that_is_none_for_us_is_said_in_a_line(status, said):
    """It refuses the login, is not there, or is another one."""
    asked = _Server()
    asked.status = status
    told = _of(asked)
    assert list(told) == ["Prefect server"]
    assert told["Prefect server"][0] is BAD
    assert said in told["Prefect server"][1]


@pytest.mark.parametrize(
    ("seconds", "verdict"), [(0, GOOD), (-9, DOUBTFUL), (30, DOUBTFUL), (600, BAD), (-600, BAD)]
)
def test_a_clock_that_differs_is_said(seconds, verdict):
    """A run that is due by the server's clock may lie ahead by the one here."""
    asked = _Server()
    asked.date += timedelta(seconds=seconds)
    assert _of(asked)["clock"][0] is verdict


def test_what_is_missing_on_a_server_is_said():
    """Another version, a deployment, who takes runs, automations that are gone, off or double."""
    asked = _Server()
    asked.version = "3.7.0"
    for one in asked.deployments:
        one["last_polled"] = _iso(datetime.now(UTC) - timedelta(hours=2))
    asked.deployments.pop()
    first, second, third = asked.automations[:3]
    second["enabled"] = False
    asked.automations.remove(first)
    asked.automations.append(third)
    told = _of(asked)
    assert told["Prefect server"][0] is DOUBTFUL
    assert told["deployments"] == (BAD, "1 of 17 are missing: reconcile")
    assert told["serve process"] == (BAD, "none stands: the last one asked for runs 2 h ago")
    said = [(one.verdict, one.fact) for one in server.of_automations(asked.automations, CHAIN)]
    assert [verdict for verdict, _ in said] == [BAD, BAD, DOUBTFUL]
    for name, (_, fact) in zip((first, second, third), said, strict=True):
        assert name["name"] in fact


def test_a_pool_wants_a_worker_that_lives():
    """By its sign of life; who serves is asked only where something is served."""
    asked = _Server()
    for one in asked.deployments:
        one["work_pool_name"] = "gpu"
    assert _of(asked)["work pool gpu"] == (BAD, "no worker is online")
    beat = _iso(datetime.now(UTC) - timedelta(minutes=5))
    asked.workers = [{"status": "OFFLINE", "last_heartbeat_time": beat}]
    assert _of(asked)["work pool gpu"][1] == "no worker is online, the last sign of life 5 min ago"
    asked.workers[0]["status"] = "ONLINE"
    told = _of(asked)
    assert told["work pool gpu"][0] is GOOD
    assert "serve process" not in told


def test_what_cannot_be_looked_at_keeps_none_of_the_others():
    """It is a finding by itself."""

    def broken():
        yield Finding("a", GOOD, "is well")
        raise PermissionError("not for you")

    first, second = examining._looked_at("home", broken())
    assert (first.what, second.what, second.verdict) == ("a", "home", BAD)
    assert "not for you" in second.fact


@contextmanager
def _browsers(monkeypatch, found):
    class Browser:
        name, opened = found, []

        def open(self, address):
            self.opened.append(address)
            return True

    def get():
        if found is None:
            raise browser.webbrowser.Error("none")
        return Browser()

    monkeypatch.setattr(browser.webbrowser, "get", get)
    yield Browser.opened


def test_a_page_is_opened_where_there_is_a_browser(tmp_path, monkeypatch):
    """One of a terminal is none; without one it is said in a line."""
    with _browsers(monkeypatch, "firefox") as opened:
        browser.open_page(tmp_path / "report.html")
        assert opened == [(tmp_path / "report.html").as_uri()]
        assert next(tools.findings()).verdict is GOOD
    for name in (None, "w3m"):
        with (
            _browsers(monkeypatch, name),
            pytest.raises(InputError, match="there is no browser here"),
        ):
            browser.open_page(tmp_path / "report.html")
        assert next(tools.findings()).verdict is DOUBTFUL
