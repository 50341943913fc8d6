"""What reaches behind Prefect's public face: needed, working, and done without.

Of each reach: that it is needed, so that it goes when Prefect has mended what it is for; that it
works; and that without its names Baton goes on, slower, with one warning.
"""

import asyncio
import os
import ssl
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from datetime import timedelta
from inspect import getsource, signature
from threading import Event
from types import SimpleNamespace
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa
from docket import Docket
from prefect import context, flow_engine
from prefect.client import orchestration
from prefect.client.schemas.objects import FlowRun
from prefect.runner import Runner
from prefect.server.api import background_workers, server
from prefect.server.database import configurations
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.settings import (
    PREFECT_API_TLS_INSECURE_SKIP_VERIFY,
    PREFECT_API_URL,
    temporary_settings,
)

from serving import warm_client
from tasks.platform import prefect_internals
from tasks.platform.prefect_internals import (
    ask_in_time,
    keep_application,
    look_seldom,
    make_writers_wait,
    read_settings_again,
    serve_standing,
    share_certificates,
    start_runs_by,
    take_turns,
    watch_suspension_aside,
)
from tests.processes import wait_for

NAME = ContextVar("name")


@pytest.fixture(autouse=True)
def _as_prefect_has_it(monkeypatch):
    """What the reaches replace is put back; engines are kept by loop and address: none here."""
    begin = AioSqliteConfiguration.begin_transaction
    monkeypatch.setattr(AioSqliteConfiguration, "begin_transaction", begin)
    monkeypatch.setattr(server, "create_app", server.create_app)
    monkeypatch.setattr(background_workers, "Worker", background_workers.Worker)
    monkeypatch.setattr(orchestration, "ssl", ssl)
    stock = flow_engine.observe_flow_run_suspension
    monkeypatch.setattr(flow_engine, "observe_flow_run_suspension", stock)
    monkeypatch.setattr(configurations, "ENGINES", {})


def _warnings(caplog):
    ours = [r for r in caplog.records if r.name == prefect_internals.__name__]
    return [record.message for record in ours]


REACHES = {
    "start_runs_by": lambda: start_runs_by(_runner(lambda run: None), lambda: "true", _nowhere),
    "watch_suspension_aside": watch_suspension_aside,
    "take_turns": lambda: take_turns(_runner(None), lambda going: True, lambda due, going: due),
    "ask_in_time": lambda: ask_in_time(_runner(None), _at_once, lambda: None),
    "serve_standing": lambda: serve_standing(SimpleNamespace(), uuid4(), "generate-iris"),
    "read_settings_again": read_settings_again,
    "share_certificates": share_certificates,
    "make_writers_wait": make_writers_wait,
    "keep_application": keep_application,
    "look_seldom": lambda: look_seldom(1.0),
    "migrations": prefect_internals.migrations,
}


async def _at_once():
    pass


def _nowhere(run):
    return None


NAMES = {
    "watch_suspension_aside": (flow_engine, "observe_flow_run_suspension"),
    "read_settings_again": (context, "refresh_global_settings_context"),
    "share_certificates": (orchestration, "ssl"),
    "make_writers_wait": (configurations, "AioSqliteConfiguration"),
    "keep_application": (server, "create_app"),
    "look_seldom": (background_workers, "Worker"),
}


@pytest.mark.parametrize("name", REACHES)
def test_each_reach_is_one_that_can_be_switched_off(name, caplog, no_internals):
    """BATON_INTERNALS=0 leaves Prefect as it is and says nothing."""
    places = [*NAMES.values(), (AioSqliteConfiguration, "begin_transaction")]
    before = [getattr(*place) for place in places]
    assert REACHES[name]() is None
    assert [getattr(*place) for place in places] == before
    assert not _warnings(caplog)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_gone_is_said_once(name, caplog, monkeypatch):
    """No reach stops the process that wants it."""
    with monkeypatch.context() as patch:
        patch.delattr(*NAMES[name])
        assert REACHES[name]() is None
        assert REACHES[name]() is None
    assert len(_warnings(caplog)) == 1


def test_every_reach_is_tested_here():
    """One that is added is tested too."""
    ours = {n for n, f in vars(prefect_internals).items() if hasattr(f, "__wrapped__")}
    parts = {"_set_command", "_set_entrypoint", "_as_writer", "_aside"}
    parts |= {"cache", "reach", "asynccontextmanager", "contextmanager"}
    assert ours - parts == set(REACHES)


def _runner(resolve):
    return SimpleNamespace(_scheduled_run_poller=SimpleNamespace(_resolve_starter=resolve))


def test_a_run_is_started_by_the_command_that_is_given(prefect, tmp_path, event_loop_run):
    """Prefect's runner has no such setting; with the change, it is that command's process."""
    assert not {"command", "job_variables"} & set(signature(Runner).parameters)
    script, said = tmp_path / "said.py", tmp_path / "said"
    script.write_text(
        "import os\n"
        "told = [os.environ[f'PREFECT__FLOW_{one}'] for one in ('RUN_ID', 'ENTRYPOINT')]\n"
        f"open({str(said)!r}, 'w').write(' '.join(told))\n"
    )

    async def start():
        async with Runner(name="r", pause_on_shutdown=False) as runner:
            line = f"{sys.executable} {script}"
            assert start_runs_by(runner, lambda: line, lambda run: "flows.train.train")
            run = FlowRun(flow_id=uuid4())
            await runner._scheduled_run_poller._resolve_starter(run).start(run)
            return run

    run = event_loop_run(start())
    assert said.read_text() == f"{run.id} flows.train.train"


def test_only_the_runs_that_are_chosen_begin(prefect, event_loop_run):
    """Prefect's limit takes the oldest and knows no run that must be let in; here each is asked."""
    assert "limit" in signature(Runner).parameters
    kept, first = uuid4(), FlowRun(flow_id=uuid4())
    due, told = [FlowRun(flow_id=uuid4(), id=kept), first, FlowRun(flow_id=uuid4())], []

    async def ask():
        async with Runner(name="r", pause_on_shutdown=False) as runner:
            poller = runner._scheduled_run_poller
            poller._get_scheduled_flow_runs = lambda: asyncio.sleep(0, due)
            poller._submitting_flow_run_ids.add(kept)

            def chosen(found, going):
                told.append((found, set(going)))
                return found[:1]

            assert take_turns(runner, lambda going: len(told) < 1, chosen)
            return await poller._get_scheduled_flow_runs(), await poller._get_scheduled_flow_runs()

    assert event_loop_run(ask()) == ([first], [])
    assert told == [(due[1:], {kept})]


def test_a_runner_asks_when_it_is_told_to(prefect, event_loop_run):
    """Prefect's knows a number of seconds alone; here it waits to be told, and tells of an end."""
    assert "query_seconds" in signature(Runner).parameters
    said = []

    async def ask():
        async with Runner(name="r", pause_on_shutdown=False, query_seconds=600) as runner:
            poller = runner._scheduled_run_poller
            turns = asyncio.Queue()
            poller._get_scheduled_flow_runs = lambda: asyncio.sleep(0, said.append("asked") or [])
            poller._submit_run = lambda *run: asyncio.sleep(0, said.append(run))
            assert ask_in_time(runner, turns.get, lambda: said.append("ended"))
            asking = asyncio.create_task(poller.run())
            for n in (1, 2):
                turns.put_nowait(None)
                async with asyncio.timeout(20):
                    while len(said) < n:
                        await asyncio.sleep(0.01)
            await poller._submit_run("run")
            asking.cancel()

    event_loop_run(ask())
    assert said == ["asked", "asked", ("run",), "ended"]


def test_a_run_begins_while_its_suspension_is_not_watched_yet(monkeypatch):
    """Prefect's engine waits for the connection; it is made aside, and ended with the run."""
    assert "ready_event.wait()" in getsource(flow_engine.observe_flow_run_suspension)
    connects, said = Event(), []

    @contextmanager
    def watched(run, request):
        said.append((run, request, NAME.get()))
        connects.wait(30)
        said.append("connected")
        yield
        said.append("ended")

    monkeypatch.setattr(flow_engine, "observe_flow_run_suspension", watched)
    assert watch_suspension_aside()
    NAME.set("of the run")
    with flow_engine.observe_flow_run_suspension("run", "request"):
        assert "connected" not in said, "it is at work already"
        connects.set()
        wait_for(lambda: "connected" in said, 30, 0.01)
    wait_for(lambda: "ended" in said, 30, 0.01)
    assert said[0] == ("run", "request", "of the run")


def test_a_runner_that_cannot_be_told_asks_as_prefect_has_it(caplog):
    """At its fixed times, and nothing of it is replaced."""
    poller = SimpleNamespace(_get_scheduled_flow_runs=_at_once, _submit_run=_at_once)
    assert ask_in_time(SimpleNamespace(_scheduled_run_poller=poller), _at_once, print) is None
    assert poller._get_scheduled_flow_runs is _at_once
    assert len(_warnings(caplog)) == 1


def test_a_runner_that_lets_nobody_in_starts_cold(caplog):
    """Nothing is made ready for a command that nothing would run."""
    for gone in (SimpleNamespace(), SimpleNamespace(_scheduled_run_poller=SimpleNamespace())):
        assert start_runs_by(gone, lambda: pytest.fail("made ready"), _nowhere) is None
    assert all("runs start cold" in said for said in _warnings(caplog))
    assert len(_warnings(caplog)) == 2, "one for each name"


def test_a_starter_without_a_command_starts_as_prefect_has_it(caplog):
    """The run goes on, and asks where its flow is; one warning of each for all runs."""
    stock = SimpleNamespace()
    runner = _runner(lambda run: stock)
    assert start_runs_by(runner, lambda: "true", lambda run: "flows.train.train")
    resolve = runner._scheduled_run_poller._resolve_starter
    assert [resolve(None), resolve(None)] == [stock, stock]
    assert vars(stock) == {}
    assert len(_warnings(caplog)) == 2


SETTINGS = """
import os
from prefect.settings import PREFECT_API_URL
from tasks.platform.prefect_internals import read_settings_again

os.environ["PREFECT_API_URL"] = "http://127.0.0.1:9/api"
before = PREFECT_API_URL.value()
read_settings_again()
print(before, PREFECT_API_URL.value())
"""


def test_settings_are_read_again(tmp_path):
    """Prefect keeps what it read at its import, which in a fork is another's."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    environment = kept | {"PREFECT_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", SETTINGS],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["None", "http://127.0.0.1:9/api"], done.stderr


SERVING = """
import sys, time
from pathlib import Path
from serving.template import start_template

start_template(Path(sys.argv[1]))
time.sleep(60)
"""


@pytest.mark.long  # a run starts cold in tests/unit/test_warm_client.py
def test_a_template_that_cannot_read_settings_again_leaves_runs_to_start_cold(tmp_path):
    """It ends, and the process of a run is an interpreter of its own."""
    environment = os.environ | {"BATON_INTERNALS": "0"}
    address = tmp_path / "door"
    serving = subprocess.Popen([sys.executable, "-c", SERVING, str(address)], env=environment)
    try:
        while not address.exists():
            assert serving.poll() is None
            time.sleep(0.1)
        client = [sys.executable, "-I", "-S", warm_client.__file__, str(address), str(tmp_path)]
        ran = subprocess.run(
            client, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        serving.kill()
        serving.wait()
    assert "Invalid flow run id" in ran.stderr, "what prefect.engine says where it has no run"


async def _two_writers(path):
    """Both read before either writes; return how many wrote."""
    configuration = AioSqliteConfiguration(f"sqlite+aiosqlite:///{path}")
    engine = await configuration.engine()
    async with engine.begin() as connection:
        await connection.execute(sa.text("create table t (n integer)"))
    both_read = asyncio.Barrier(2)

    async def read_and_write():
        session = await configuration.session(engine)
        async with session, configuration.begin_transaction(session):
            await session.execute(sa.text("select count(*) from t"))
            with suppress(TimeoutError, asyncio.BrokenBarrierError):  # the other may have to wait
                await asyncio.wait_for(both_read.wait(), 0.5)
            await session.execute(sa.text("insert into t values (1)"))

    done = await asyncio.gather(read_and_write(), read_and_write(), return_exceptions=True)
    await engine.dispose()
    return done


def test_of_two_writers_that_have_read_prefect_turns_one_away(tmp_path):
    """Why `make_writers_wait` is there; it can go when this fails."""
    done = asyncio.run(_two_writers(tmp_path / "x.db"))
    assert any("locked" in str(error) for error in done)


def test_writers_wait_for_each_other(tmp_path):
    """With the change, both have written."""
    make_writers_wait()
    assert asyncio.run(_two_writers(tmp_path / "x.db")) == [None, None]


def test_what_a_writer_reads_beside_its_transaction_does_not_wait_for_its_end(tmp_path):
    """Prefect does so where a work queue is paused: it would wait for itself, a minute long."""
    make_writers_wait()
    assert asyncio.run(_beside(tmp_path / "x.db")) == 0


async def _beside(path):
    """Rows that another session sees, while a transaction has written."""
    configuration = AioSqliteConfiguration(f"sqlite+aiosqlite:///{path}")
    engine = await configuration.engine()
    async with engine.begin() as connection:
        await connection.execute(sa.text("create table t (n integer)"))
    session = await configuration.session(engine)
    async with session, configuration.begin_transaction(session):
        await session.execute(sa.text("insert into t values (1)"))
        other = await configuration.session(engine)
        async with other:
            counted = other.execute(sa.text("select count(*) from t"))
            found = (await asyncio.wait_for(counted, 20)).scalar_one()
    await engine.dispose()
    return found


def test_writers_that_cannot_be_told_to_wait_are_left_alone(tmp_path, monkeypatch, caplog):
    """A begin that takes other arguments is not replaced: the server works as Prefect's does."""
    begin = AioSqliteConfiguration.begin_transaction

    @asynccontextmanager
    async def other(self, session):
        async with begin(self, session) as begun:
            yield begun

    monkeypatch.setattr(AioSqliteConfiguration, "begin_transaction", other)
    make_writers_wait()
    assert AioSqliteConfiguration.begin_transaction is other
    assert None in asyncio.run(_two_writers(tmp_path / "x.db"))
    assert len(_warnings(caplog)) == 1


def _ask(times):
    """Ask for the application as every action of an automation does."""
    from prefect.server.api.clients import BaseClient

    clients = [BaseClient() for _ in range(times)]
    assert len({id(client._http_client._transport.app) for client in clients}) == 1


def test_the_application_is_looked_up_once(monkeypatch):
    """Prefect writes all settings down at every action; with the change, once."""
    from prefect.settings import Settings

    asked = []
    hash_key = Settings.hash_key
    monkeypatch.setattr(Settings, "hash_key", lambda self: asked.append(1) or hash_key(self))
    _ask(4)
    assert len(asked) >= 4, "Prefect has mended it: `keep_application` can go"
    keep_application()
    asked.clear()
    _ask(4)
    assert len(asked) <= 1


async def _begun_while_it_rests():
    """Whether a server's worker begins what is due at once before it looks again."""
    begun = asyncio.Event()

    async def work():
        begun.set()

    async with (
        Docket(name=uuid4().hex, url=f"memory://{uuid4().hex}") as docket,
        background_workers.Worker(docket) as worker,
    ):
        docket.register(work)
        at_work = asyncio.create_task(worker.run_forever())
        try:
            await asyncio.sleep(2)  # it has looked, and rests
            await docket.add(work)()
            await asyncio.wait_for(begun.wait(), 20)
        finally:
            at_work.cancel()
        return {worker.scheduling_resolution, worker.minimum_check_interval}


def test_a_server_looks_seldom_for_put_off_work_and_begins_at_once_what_is_due():
    """Prefect's looks four times a second."""
    (often,) = asyncio.run(_begun_while_it_rests())
    assert often < timedelta(seconds=1), "Prefect has mended it: `look_seldom` can go"
    look_seldom(60.0)
    assert asyncio.run(_begun_while_it_rests()) == {timedelta(seconds=60)}


def _contexts_of_clients(monkeypatch, times):
    """How often certificates are read for so many clients."""
    from prefect.client.orchestration import get_client

    read = []
    load = ssl.SSLContext.load_default_certs
    monkeypatch.setattr(
        ssl.SSLContext, "load_default_certs", lambda self, *of: read.append(1) or load(self, *of)
    )
    settings = {PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_API_TLS_INSECURE_SKIP_VERIFY: 1}
    with temporary_settings(settings):
        for _ in range(times):
            with suppress(httpx.HTTPError), get_client(sync_client=True):
                pass
    return len(read)


def test_certificates_are_read_once_for_all_clients_of_a_process(monkeypatch):
    """Prefect reads them for each; with the change, once. It can go when the first half fails."""
    assert _contexts_of_clients(monkeypatch, 3) >= 3
    share_certificates()
    assert _contexts_of_clients(monkeypatch, 3) == 1
