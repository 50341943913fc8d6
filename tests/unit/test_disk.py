"""Damaged files that are read back, and disks that do not take what is written."""

import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from baton import disk, identity
from baton.chain import records
from baton.chain.events import ModelEvaluated
from baton.errors import InputError, StorageError
from baton.settings import Settings
from serving import databases, embedded, holder
from tests.unit.test_contracts import READY, TABLE

EVALUATED = ModelEvaluated.model_validate(
    {
        "chain": READY["chain"],
        "problem": "spheres",
        "data": READY,
        "model": {"name": "baton-spheres", "version": 1, "run_id": "0" * 32, "digest": "a" * 64},
        **dict.fromkeys(
            ("predictions", "metrics", "permutation_importance", "shap_global", "shap_local"), TABLE
        ),
        "report": {"key": "spheres/0123456789abcdef/report.html", "digest": "a" * 64},
        "scores": {"accuracy": 0.9166},
        "intervals": {"accuracy": (0.8, 0.95)},
    }
)


def flips(content):
    """The content with one bit changed, at each of its bytes."""
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << (place % 8)
        yield bytes(changed)


def damaged(content):
    """The content cut, emptied, with a bit changed, and something else in its place."""
    return [content[: len(content) // 2], b"", *flips(content), b"[]", b"{}", b"7", b"\xff\xfe"]


def test_an_id_of_a_home_is_that_of_every_process(tmp_path):
    """Processes that ask at once for the first time agree, and none sees half of it."""
    code = (
        "import sys; from pathlib import Path; from baton import identity;"
        "from baton.settings import Settings; sys.stdin.read();"
        "print(identity.of_home(Settings(home=Path(sys.argv[1]))))"
    )
    asking = [
        subprocess.Popen(
            [sys.executable, "-c", code, tmp_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for one in asking:
        one.stdin.close()
    found = {one.stdout.read().strip() for one in asking}
    assert [one.wait() for one in asking] == [0] * 4
    assert found == {(tmp_path / "id").read_text()}


def test_a_damaged_id_is_put_aside_and_all_agree_on_another(tmp_path):
    """Whatever bit of it was changed; the same from then on."""
    settings = Settings(home=tmp_path)
    place = tmp_path / "id"
    identity.of_home(settings)
    for content in damaged(place.read_bytes()):
        place.write_bytes(content)
        with ThreadPoolExecutor(4) as pool:
            found = set(pool.map(identity.of_home, [settings] * 4))
        assert found == {place.read_text()} != {content.decode("latin-1")}
        for kept in tmp_path.glob("id.aside*"):
            assert kept.read_bytes() == content
            kept.unlink()


@pytest.fixture
def record(tmp_path):
    """Settings of a home with the record of one chain, its file and what it says."""
    settings = Settings(home=tmp_path)
    records.keep(settings, EVALUATED)
    return settings, settings.chains / f"{EVALUATED.chain}.json", EVALUATED


def test_a_damaged_record_is_said_and_never_believed(record):
    """No bit of it can change and leave an answer."""
    settings, place, said = record
    content = place.read_bytes()
    for damage in damaged(content):
        place.write_bytes(damage)
        with pytest.raises(InputError, match="is damaged: it was put aside") as told:
            records.find(settings)
        assert "\n" not in str(told.value)
        (kept,) = place.parent.glob("*.aside*")
        assert kept.read_bytes() == damage
        kept.unlink()
    place.write_bytes(content)
    assert records.find(settings) == said


def test_a_record_from_before_there_were_checksums_is_read(record):
    """What an earlier version of Baton left is no damage."""
    settings, place, said = record
    place.write_text(json.dumps(said.payload()))
    assert records.find(settings) == said


def test_who_holds_a_home_is_known_or_not(tmp_path):
    """A damaged record of the holder gives no error, and can be said."""
    settings = Settings(home=tmp_path)
    holder.record(settings, "http://127.0.0.1:4200/api")
    place = tmp_path / "holder.json"
    for content in damaged(place.read_bytes()):
        place.write_bytes(content)
        assert "waiting for" in holder.waiting_for(settings)
        assert embedded.awaited(settings, pytest.fail, serving=False) is None


def test_damaged_addresses_are_no_addresses(tmp_path):
    """Nobody is asked by a damaged address, and none raises."""
    settings = Settings(home=tmp_path)
    (tmp_path / "auth").write_text("user:secret")
    place = tmp_path / "up.json"
    told = {"pid": 1, "prefect": "http://127.0.0.1:9/api", "mlflow": "", "has_own_mlflow": False}
    for content in damaged(json.dumps(told).encode()):
        place.write_bytes(content)
        assert embedded.found(settings) is None


def test_what_others_find_a_baton_by_is_written_anew(tmp_path):
    """Addresses and secret that are gone or altered while it stands, in the next half second."""
    running, said = embedded.Processes(Settings(home=tmp_path)), []
    place = tmp_path / "auth"
    with running.keep(place, b"user:secret"):
        for content in damaged(b"user:secret"):
            place.write_bytes(content)
            running.tend(said.append)
            assert place.read_bytes() == b"user:secret"
        place.unlink()
        running.tend(said.append)
        assert place.read_bytes() == b"user:secret"
    assert not place.exists()
    assert all("is written anew" in line for line in said)


FULL = """
import sys
from pathlib import Path
from baton import disk
from baton.errors import StorageError

home = Path(sys.argv[1])
kept = home / "kept"
kept.write_bytes(b"whole")
try:
    disk.require_room(home, 60 * 2**20)
    print("room")
except StorageError as error:
    print(error)
try:
    with disk.told(home):
        (home / "big").write_bytes(b"x" * 80 * 2**20)
except StorageError as error:
    print(error)
print(kept.read_bytes())
"""


def in_a_mount(options, script, *arguments, prepare=":"):
    """Run a script where ARG 1 is a mount of its own; skip where no namespace can be made."""
    mount = f"mount -t tmpfs -o {options} tmpfs {arguments[0]} && {prepare}"
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    try:
        subprocess.run([*command, mount], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no disk can be mounted in a namespace here: {error}")
    run = f'{mount} && exec {sys.executable} -c "$0" "$@"'
    return subprocess.run(
        [*command, run, script, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_a_full_disk_is_said_in_one_line(tmp_path):
    """Before writing, by what is free; and where it fills up meanwhile."""
    done = in_a_mount("size=64m", FULL, tmp_path)
    before, meanwhile, kept = done.stdout.splitlines()
    assert before.startswith(f"the disk of {tmp_path} is full: 60.0 MB to be written and")
    assert "64.0 MB are free" in before
    assert meanwhile.startswith(f"{tmp_path} cannot be written or read (No space left on device")
    assert kept == "b'whole'"
    assert not done.stderr


READ_ONLY = """
import sys
from pathlib import Path
from baton import disk
from baton.errors import StorageError

home = Path(sys.argv[1])
for attempt in (lambda: disk.require_room(home), lambda: (home / "file").write_bytes(b"x")):
    try:
        with disk.told(home):
            attempt()
    except StorageError as error:
        print(error)
"""


def test_a_read_only_folder_is_said_in_one_line(tmp_path):
    """To root too, whom modes do not stop."""
    done = in_a_mount(
        "size=1m", READ_ONLY, tmp_path, prepare=f"mount -o remount,ro tmpfs {tmp_path}"
    )
    asked, tried = done.stdout.splitlines()
    assert asked.startswith(f"{tmp_path} cannot be written (")
    assert tried.startswith(f"{tmp_path}/file cannot be written or read (Read-only file system;")


def test_an_error_that_no_disk_is_the_reason_of_stays_what_it_is(tmp_path):
    """A defect keeps its type."""
    with pytest.raises(KeyError), disk.told(tmp_path):
        raise KeyError("x")
    with pytest.raises(StorageError, match="database or disk is full"), disk.told(tmp_path):
        raise RuntimeError("(sqlite3.OperationalError) database or disk is full")


@pytest.fixture
def database(tmp_path):
    """Settings of a home and the database of Prefect in it."""
    place = tmp_path / "prefect" / "prefect.db"
    place.parent.mkdir()
    with closing(sqlite3.connect(place)) as connection:
        connection.execute("create table runs (name text)")
        connection.executemany("insert into runs values (?)", [("x" * 500,)] * 100)
        connection.commit()
    return Settings(home=tmp_path), place


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"\0garbage" * 2000,
        lambda content: content[:4096] + b"\xff" * 4096 + content[8192:],
    ],
)
def test_a_damaged_database_is_put_aside_and_said(database, damage):
    """With its log, which would be taken for that of the new one."""
    settings, place = database
    place.with_name("prefect.db-wal").write_bytes(b"log")
    damaged, said = damage(place.read_bytes()), []
    place.write_bytes(damaged)
    databases.put_damaged_aside(settings, said.append)
    assert not place.exists()
    assert not place.with_name("prefect.db-wal").exists()
    assert place.with_name("prefect.db.aside").read_bytes() == damaged
    assert len(said) == 1
    assert "put aside as" in said[0]


def test_a_whole_database_is_left_alone(database):
    """One that another process has locked, too."""
    settings, place = database
    with closing(sqlite3.connect(place)) as holder:
        holder.execute("begin exclusive")
        databases.put_damaged_aside(settings, pytest.fail)
    databases.put_damaged_aside(settings, pytest.fail)
    assert list(place.parent.glob("*.aside*")) == []
