"""Object stores as a source of tables, and watched buckets, on a store that speaks S3.

No Prefect server stands here: what arrives is kept. That a task tries again is in
``test_sources.py``.
"""

import logging
import os
import re
import signal

import pytest

from baton.chain import arrivals
from baton.chain.arrivals import State
from baton.chain.manifest import Watch
from baton.errors import InputError
from baton.problems.table import problem
from baton.settings import settings
from baton.sources import places
from baton.stores import objects
from baton.stores.objects import NoAccessError
from serving.watching import watched
from tasks import arrivals as taking
from tests import buckets
from tests.buckets import BUCKET, KEYS
from tests.integration.test_arriving import TABLE, arriving, found
from tests.processes import wait_for
from tests.services import free_port

TEXT = TABLE.to_csv(index=False).encode()
OTHER = TABLE.assign(x=TABLE["x"] + 1000).to_csv(index=False).encode()
PLACE = f"s3://{BUCKET}/in/"


@pytest.fixture(scope="module")
def standing():
    with buckets.object_store() as store:
        yield store


@pytest.fixture
def store(standing, tmp_path):
    """A store whose bucket is empty, which this process reads, with a home of its own."""
    listed = standing.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    for one in listed:
        standing.delete(one["Key"])
    with buckets.reading(standing, BATON_HOME=str(tmp_path / "home")):
        yield standing


def params(path, **more):
    return problem.params(path=path, target="y", **more)


def test_a_table_is_read_from_a_bucket_and_anew_where_it_was_overwritten(store, monkeypatch):
    """Also within the second in which it was written, by as many bytes: the etag tells."""
    received = []
    opened = objects.opened
    monkeypatch.setattr(objects, "opened", lambda one: (received.append(one), opened(one))[1])
    store.put("wine.csv", TEXT)
    given = params(f"s3://{BUCKET}/wine.csv")
    first = problem.fingerprint(given)
    assert len(problem.load(given)) == len(TABLE) and len(received) == 1
    same = TEXT.replace(b"\n7,1\n", b"\n7,0\n")
    assert len(same) == len(TEXT) != same.count(b"x")
    store.put("wine.csv", same)
    assert problem.fingerprint(given) != first and len(received) == 2
    store.put("wine.csv", TEXT)
    assert problem.fingerprint(given) == first


def test_a_folder_a_pattern_and_a_second_file_are_read(store):
    """Objects that an overwriting changed are read anew, and they alone."""
    for month in range(1, 4):
        store.put(f"in/2021-0{month}.csv", TEXT)
    store.put("in/below/2021-04.csv", TEXT)
    store.put("in/_SUCCESS", b"")
    store.put("test.csv", OTHER)
    assert len(problem.load(params(PLACE))) == 3 * len(TABLE)
    assert len(problem.load(params(f"{PLACE}2021-0[12].csv"))) == 2 * len(TABLE)
    held = problem.load(params(PLACE, test_path=f"s3://{BUCKET}/test.csv"))
    assert len(held) == 4 * len(TABLE)
    before = places.files(PLACE)
    store.put("in/2021-02.csv", TEXT.replace(b"\n7,1\n", b"\n7,0\n"))
    after = places.files(PLACE)
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True]


def test_new_rows_and_labels_are_read_from_a_bucket(store):
    """As from any place of files."""
    from tasks.labelling import labels_of

    store.put("new.csv", TABLE[["x"]].to_csv(index=False).encode())
    store.put("labels.csv", TEXT)
    new = params(f"s3://{BUCKET}/new.csv")
    assert problem.unseen_fingerprint(new) and len(problem.unseen(new)) == len(TABLE)
    assert len(labels_of(f"s3://{BUCKET}/labels.csv", ("x", "y"))) == len(TABLE)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (f"s3://{BUCKET}/none.csv", f"there is no object s3://{BUCKET}/none.csv: check the key"),
        (f"s3://{BUCKET}/none/", "no object stands in"),
        ("s3://attic/wine.csv", "there is no bucket s3://attic at http://127.0.0.1"),
        ("s3://attic/in/", "there is no bucket s3://attic at http://127.0.0.1"),
    ],
)
def test_what_is_not_in_a_store_is_said(store, path, said):
    """In one line, with the key told from the bucket."""
    with pytest.raises(InputError, match=re.escape(said)):
        problem.fingerprint(params(path))


def test_who_has_no_access_is_told_and_what_arrives_counts_later(store):
    """It is not the table that is damaged: nothing is entered in the ledger."""
    from tasks.platform import orders

    store.put("wine.csv", TEXT)
    asked = orders.data_set("table", {"path": f"s3://{BUCKET}/wine.csv", "target": "y"})
    with store.locked():
        for path in (f"s3://{BUCKET}/wine.csv", f"s3://{BUCKET}/"):
            with pytest.raises(
                NoAccessError, match=r"is denied .*: set AWS_ACCESS_KEY_ID"
            ) as error:
                problem.fingerprint(params(path))
            assert not any(secret in str(error.value) for secret in KEYS.values())
        with pytest.raises(taking.AgainError, match="is denied"):
            taking.arrive(asked, None)
        assert arrivals.found(settings()) == []
    taking.arrive(asked, None)
    assert len(arrivals.found(settings())) == 1


def test_a_store_that_is_away_or_silent_is_a_connection_error(store, monkeypatch):
    """Which a task tries again; neither is waited for without end."""
    monkeypatch.setattr(objects, "_SILENT_SECONDS", 1.0)
    away = f"http://127.0.0.1:{free_port()}"
    with buckets.silent_server() as silent:
        for endpoint in (away, silent):
            with (
                buckets.reading(store, BATON_S3_ENDPOINT=endpoint),
                pytest.raises(ConnectionError, match=f"cannot be reached at {endpoint}") as error,
            ):
                places.files(PLACE)
            assert "\n" not in str(error.value)


WATCH = {
    "problem": "table",
    "folder": PLACE,
    "files": "*.csv",
    "parameters": {"target": "y", "model": "xgboost"},
    "key": r"(\d{4}-\d{2})\.csv",
}


def watching(**changes):
    """What watches the bucket in this process."""
    return watched(Watch(**(WATCH | changes)), None, None)


def known():
    return [(one.source, one.state, one.repeated) for one in arrivals.found(settings())]


def test_each_object_is_taken_once_also_by_the_next_watcher(store):
    """One that is overwritten by other content counts anew, one that is uploaded again does not."""
    for name in ("wine-2021-03.csv", "_SUCCESS.csv", ".hidden.csv", "b.csv.part", "notes.txt"):
        store.put(f"in/{name}", TEXT)
    store.put("in/below/deep.csv", TEXT)
    for _ in range(2):
        one = watching()
        one.look()
        one.look()
    (first,) = arrivals.found(settings())
    assert (first.key, first.source, first.repeated) == ("2021-03", "wine-2021-03.csv", 0)
    assert first.event.generate.parameters["path"] == f"{PLACE}wine-2021-03.csv"
    store.put("in/wine-2021-03.csv", TEXT.replace(b"\n7,1\n", b"\n7,0\n"))
    one.look()
    assert len(known()) == 2
    store.put("in/wine-2021-03.csv", TEXT + b"200,0\n")
    one.look()
    assert len(known()) == 3
    store.put("in/wine-2021-03.csv", TEXT)
    watching().look()
    assert len(known()) == 3 and known()[0][2] == 1
    store.delete("in/wine-2021-03.csv")
    one.look()
    assert not any((settings().home / "arrivals" / "watched").iterdir())


def test_an_object_that_cannot_be_read_keeps_no_other(store, monkeypatch):
    """A damaged one is in the ledger; one that may not be read now is looked at again."""
    store.put("in/a-torn.csv", b"x,z\n1,2\n")
    store.put("in/b.csv", TEXT)
    store.put("in/c?.csv", TEXT)
    look = objects.look

    def denied(place):
        if place.name == "b.csv":
            raise NoAccessError("access is denied")
        return look(place)

    one = watching(key="")
    monkeypatch.setattr(objects, "look", denied)
    one.look()
    store.put("in/d.csv", OTHER)
    one.look()
    assert [(s, state) for s, state, _ in known()] == [
        ("a-torn.csv", State.DAMAGED),
        ("d.csv", State.KEPT),
    ]
    monkeypatch.setattr(objects, "look", look)
    monkeypatch.setattr("serving.taking.LOOK_SECONDS", 0.0)
    one = watching(key="")
    one.look()
    assert [source for source, *_ in known()] == ["a-torn.csv", "d.csv", "b.csv"]


def test_a_bucket_that_is_gone_is_said_once_and_looked_at_again(store, caplog):
    """So is a store that lets nobody in, or is away; what comes then is taken."""
    caplog.set_level(logging.INFO, "baton.arriving")
    one = watching(folder="s3://cask/in/")
    for _ in range(3):
        one.look()
    with store.locked():
        for _ in range(3):
            one.look()
    store.client.create_bucket(Bucket="cask")
    store.put("in/wine.csv", TEXT, bucket="cask")
    one.look()
    said = [record.getMessage() for record in caplog.records if record.name == "baton.arriving"]
    assert len(said) == 4, said
    assert "there is no bucket s3://cask" in said[0] and "looked at again every 30 s" in said[0]
    assert "s3://cask/in/ is denied" in said[1]
    assert "arrival 1" in said[2] and said[3] == "s3://cask/in/ is looked at again"
    assert all("\n" not in line for line in said)


def test_a_store_that_goes_away_between_two_objects_is_not_asked_for_each(store, monkeypatch):
    """What was not taken is taken when it is back."""
    for number in range(20):
        store.put(f"in/{number:02}.csv", TEXT + b"%d,1\n" % (200 + number))
    look, asked = objects.look, []

    def away(place):
        asked.append(place)
        raise ConnectionError("away")

    one = watching(key="")
    monkeypatch.setattr(objects, "look", away)
    listed = objects.listed
    monkeypatch.setattr(objects, "listed", lambda place: _once(listed, place))
    _once.calls = 0
    one.look()
    assert len(asked) == 1 and known() == []
    monkeypatch.setattr(objects, "look", look)
    monkeypatch.setattr(objects, "listed", _once.listed)
    watching(key="").look()
    assert [source for source, *_ in known()] == [f"{number:02}.csv" for number in range(20)]


def _once(listed, place):
    """A list, the first time; after it the store is away."""
    _once.calls, _once.listed = _once.calls + 1, listed
    if _once.calls > 1:
        raise ConnectionError("away")
    return listed(place)


@pytest.mark.parametrize("n", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_many_objects_are_taken_in_their_order(tmp_path, monkeypatch, n):
    """None is lost, and none taken twice; a folder stands for the store here."""
    buckets.in_place_of_a_store(monkeypatch, tmp_path)
    monkeypatch.setenv("BATON_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    folder = tmp_path / BUCKET / "in"
    folder.mkdir(parents=True)
    for number in range(n):
        path = folder / f"{(number * 7) % n:04}.csv"
        path.write_text(f"x,y\n1,a\n{number},b\n")
        os.utime(path, (1_600_000_000 + number // 10,) * 2)
    taken = []
    real = taking.arrive
    monkeypatch.setattr(
        "serving.taking.arrive",
        lambda asked, *a, **k: (taken.append(asked), real(asked, *a, **k))[1],
    )
    for _ in range(2):
        watching(key="").look()
    every = arrivals.found(settings())
    wanted = sorted(range(n), key=lambda number: (number // 10, (number * 7) % n))
    assert [one.source for one in every] == [f"{(number * 7) % n:04}.csv" for number in wanted]
    assert len(taken) == n and {one.state for one in every} == {State.KEPT}
    settings.cache_clear()


@pytest.mark.long  # the next watcher is tried above, in one process
def test_a_watched_bucket_survives_kill_9(store, tmp_path, monkeypatch):
    """The process of `baton up` itself repeats nothing; a bucket that is gone is no hindrance."""
    for name, value in store.environment().items():
        monkeypatch.setenv(name, value)
    every = [WATCH | {"folder": "s3://cask-gone/in/"}, WATCH]
    store.put("in/wine-2021-03.csv", TEXT)
    with arriving(tmp_path, every) as (_, home, process):
        (first,) = found(home, 1)
        assert first.event.generate.parameters["path"] == f"{PLACE}wine-2021-03.csv"
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    store.put("in/wine-2021-05.csv", TEXT + b"200,0\n")
    with arriving(tmp_path, every) as (_, home, process):
        assert [(one.key, one.repeated) for one in found(home, 2)] == [
            ("2021-03", 0),
            ("2021-05", 0),
        ]


def test_a_silent_store_keeps_no_folder_and_no_process(store, tmp_path, monkeypatch):
    """A file beside is taken meanwhile, and the process ends when it is told."""
    (tmp_path / "incoming").mkdir()
    (tmp_path / "incoming" / "wine-2021-04.csv").write_bytes(OTHER)
    with buckets.silent_server() as silent:
        for name, value in store.environment(BATON_S3_ENDPOINT=silent).items():
            monkeypatch.setenv(name, value)
        every = [WATCH, WATCH | {"folder": "incoming"}]
        with arriving(tmp_path, every) as (_, home, process):
            assert found(home, 1)[0].key == "2021-04"
            process.terminate()
            assert wait_for(lambda: process.poll() is not None, seconds=30)
