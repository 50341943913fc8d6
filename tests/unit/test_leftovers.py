"""What a home holds that nothing needs: by what refers to it, its age, and never by a link."""

import json
import os
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from baton.chain import leftovers, looks
from baton.chain.leftovers import Busy, Kind
from baton.chain.looks import Look
from baton.lineage import with_lineage
from baton.settings import Settings

NOW = datetime.now(UTC)
MONTH = timedelta(days=30)
OLD, SINCE = NOW - 2 * MONTH, NOW - MONTH
MODEL = "baton-spheres"
NOBODY = Busy()


@pytest.fixture
def home(tmp_path):
    found = Settings(home=tmp_path / "home")
    for folder in (found.results, found.chains, found.locks):
        folder.mkdir(parents=True)
    return found


def aged(path, at=OLD):
    """Have a file, or all in a folder, be of this time."""
    inner = list(path.rglob("*")) if path.is_dir() and not path.is_symlink() else []
    for one in [*inner, path]:
        os.utime(one, (at.timestamp(), at.timestamp()), follow_symlinks=False)
    return path


def made(path, content="x" * 100, at=OLD):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return aged(path, at)


def result(home, digit, at=OLD, problem="spheres"):
    """A folder of results; its key."""
    key = f"{problem}/{digit * 16}"
    made(home.results / key / "raw.parquet", at=at)
    return aged(home.results / key, at) and key


def record(home, chain, version, *keys, at=OLD, problem="spheres"):
    """Record of a chain that refers to these folders."""
    model = {"name": f"baton-{problem}", "version": version}
    tables = [{"key": f"{key}/raw.parquet"} for key in keys]
    content = {"chain": chain, "problem": problem, "model": model, "tables": tables}
    return made(home.chains / f"{chain}.json", json.dumps(content), at)


def looked(home, needed=(), busy=NOBODY, since=SINCE):
    keep = leftovers.kept(home, needed, busy, since)
    return leftovers.found(home, keep, busy, since)


def paths(items, kind):
    return {one.path for one in items if one.kind is kind}


def test_what_a_needed_version_refers_to_stays_and_the_rest_goes(home):
    """By its record, whichever chain's; the record of another old version goes with its results."""
    mine, other, shared, orphan = (result(home, digit) for digit in "abcd")
    kept = record(home, "1" * 12, 1, mine, shared)
    gone = record(home, "2" * 12, 2, other, shared)
    items = looked(home, {(MODEL, 1)})
    assert paths(items, Kind.RECORD) == {gone}
    assert paths(items, Kind.RESULT) == {home.results / other, home.results / orphan}
    assert kept.exists()
    kinds = [one.kind for one in items]
    assert kinds == sorted(kinds, key=list(Kind).index), "who refers goes first"
    assert {one.n_bytes for one in items if one.kind is Kind.RESULT} == {
        leftovers.size_of(home.results / other)
    }


def test_what_is_young_stays_and_so_does_what_it_refers_to(home):
    """Also an old folder that a young chain found, and one of which a single file is young."""
    found, touched = result(home, "a"), result(home, "b")
    record(home, "1" * 12, 2, found, at=NOW)
    made(home.results / touched / "row-7.png", at=NOW)
    young = result(home, "c", at=NOW)
    assert looked(home) == []
    assert {found, touched, young} <= {
        f"{one.parent.name}/{one.name}" for one in leftovers.folders_of_results(home.results)
    }
    assert len(looked(home, since=NOW + MONTH)) == 4


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-9], lambda text: text + "}", lambda _: "{}"]
)
def test_a_record_that_cannot_be_read_stays_with_what_it_names(home, damage):
    """It is not put aside either: that is for who asks for its chain."""
    key = result(home, "a")
    path = record(home, "1" * 12, 2, key)
    text = damage(path.read_text())
    made(path, text)
    items = looked(home)
    assert paths(items, Kind.RECORD) == set()
    assert (paths(items, Kind.RESULT) == set()) == (key in text)
    assert path.read_text() == text


def test_nothing_of_a_chain_that_is_not_over_is_found(home):
    """Of one that waits, what its runs name; of one at work, nothing of its problem, no file."""
    named, other, elsewhere = (
        result(home, "a"),
        result(home, "b"),
        result(home, "c", problem="iris"),
    )
    path = record(home, "1" * 12, 2, other)
    download = made(home.home / "downloads" / "host" / "a.csv")
    waiting = Busy(frozenset({"1" * 12}), text=f'{{"key": "{named}/raw.parquet"}}')
    items = looked(home, busy=waiting)
    assert paths(items, Kind.RECORD) == set()
    assert paths(items, Kind.RESULT) == {home.results / elsewhere}
    assert paths(items, Kind.DOWNLOAD) == {download}
    at_work = Busy(problems=frozenset({"spheres"}))
    assert [one.path for one in looked(home, busy=at_work)] == [home.results / elsewhere]
    assert path.exists()


def _table(path, metadata, at=OLD):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"a": [1]}).replace_schema_metadata(metadata), path)
    aged(path.parent, at)
    return path


def test_what_was_answered_of_a_period_stays(home):
    """It is predicted once: its answer, and the tables that this refers to."""
    key, other = result(home, "a"), result(home, "b")
    place = home.results / "periods" / MODEL / ("0" * 16) / "period=2021-01" / "answers.parquet"
    _table(place, {b"baton.ready": json.dumps({"raw": {"key": f"{key}/new.parquet"}}).encode()})
    assert paths(looked(home), Kind.RESULT) == {home.results / other}
    assert place.exists()


def _look(home, chain, version, page, at):
    look = Look(chain=chain, at=at, version=version, is_drifted=False, reason="r", page=page)
    looks.append(home, MODEL, look)


def test_the_last_look_at_a_champions_rows_stays_and_the_log_of_all(home):
    """A version that predicted of late is needed, too: labels of its rows may come yet."""
    first, last, other = (result(home, digit) for digit in "abc")
    _look(home, "1" * 12, 1, f"{first}/drift_1.html", OLD)
    _look(home, "2" * 12, 1, f"{last}/drift_2.html", OLD + timedelta(hours=1))
    _look(home, "3" * 12, 2, f"{other}/drift_3.html", OLD)
    items = looked(home, {(MODEL, 1)})
    assert paths(items, Kind.RESULT) == {home.results / first, home.results / other}
    evaluated = result(home, "d")
    path = record(home, "4" * 12, 2, evaluated)
    _look(home, "5" * 12, 2, "", NOW)
    items = looked(home)
    assert path not in paths(items, Kind.RECORD)
    assert home.results / evaluated not in paths(items, Kind.RESULT)
    assert len(list((home.results / "looks" / MODEL).iterdir())) == 4


def test_a_file_that_was_sent_stays_where_a_kept_chain_was_made_of_it(home):
    """Its features say so: it cannot be sent again."""
    needed = made(home.home / "piped" / ("a" * 16) / "stdin").parent
    gone = aged(made(home.home / "piped" / ("b" * 16) / "stdin").parent)
    waiting = aged(made(home.home / "piped" / ("c" * 16) / "stdin").parent)
    aged(needed)
    key = "table/" + "d" * 16
    facts = {"parameters": {"path": str(needed / "stdin")}}
    table = with_lineage(pa.table({"a": [1]}), facts)
    (home.results / key).mkdir(parents=True)
    pq.write_table(table, home.results / key / "features.parquet")
    aged(home.results / key)
    record(home, "1" * 12, 1, key, problem="table")
    busy = Busy(text=json.dumps({"path": str(waiting / "stdin")}))
    items = looked(home, {("baton-table", 1)}, busy)
    assert paths(items, Kind.SENT) == {gone}


def test_files_that_are_not_whole_put_aside_or_downloaded_are_found(home):
    """Those of others are not: databases, notebooks, a demo's home, the ledger of arrivals."""
    kept = result(home, "a")
    record(home, "1" * 12, 1, kept)
    partial = [
        made(home.results / ".new" / "spheres.x.raw.parquet"),
        made(home.chains / f".{'0' * 32}.partial"),
        made(home.home / "piped" / ".new-abc"),
        made(home.home / "downloads" / "host" / "b.csv.partial"),
    ]
    aside = [
        made(home.results / kept / "raw.parquet.aside2"),
        made(home.home / "prefect" / "prefect.db.aside"),
        made(home.home / "downloads" / "host" / "a.csv.aside"),
    ]
    aged(home.results / kept)
    copy = made(home.home / "downloads" / "host" / "a.csv")
    for name in ("a.csv.json", "a.csv.lock", "b.csv.partial.json"):
        made(home.home / "downloads" / "host" / name)
    for name in (
        "notebooks/mine.py.aside",
        "demo/results/x.aside",
        "mlflow/artifacts/x.aside",
        "arrivals/00000001-ab.json.aside",
        "mlflow/mlflow.db",
        "auth",
    ):
        made(home.home / name)
    items = looked(home, {(MODEL, 1)})
    assert paths(items, Kind.PARTIAL) == set(partial)
    assert paths(items, Kind.ASIDE) == set(aside)
    assert paths(items, Kind.DOWNLOAD) == {copy}
    assert {one.about for one in items if one.kind is Kind.DOWNLOAD} == {"host"}
    assert len(items) == 8
    assert leftovers.counted(items)[Kind.PARTIAL, ""] == (4, 400)


def test_a_link_leads_nowhere(home, tmp_path):
    """Neither a folder of results, nor one of a problem, nor one of files that is a link."""
    outside = tmp_path / "outside"
    for name in ("a" * 16, "b" * 16):
        made(outside / name / "raw.parquet")
        aged(outside / name)
    made(outside / "host" / "a.csv")
    (home.results / "spheres").mkdir()
    (home.results / "spheres" / ("a" * 16)).symlink_to(outside / ("a" * 16))
    (home.results / "linked").symlink_to(outside)
    (home.results / leftovers.GONE).symlink_to(outside)
    for name in ("downloads", "piped"):
        (home.home / name).symlink_to(outside)
    (home.chains / f"{'1' * 12}.json").symlink_to(outside / "host" / "a.csv")
    assert looked(home, since=NOW + MONTH) == []


def test_a_home_in_which_nothing_is_has_nothing_left_over(tmp_path):
    """Nor is anything made there to see that."""
    assert looked(Settings(home=tmp_path / "none")) == []
    assert not (tmp_path / "none").exists()
