"""Memory of a long-lived process."""

import gc
import subprocess
import sys
import tempfile
import weakref

import pytest

from serving.memory import _generation, _look, give_back
from tests.conftest import ROOT

FREED = """
import random, sys, time
from pathlib import Path
from serving.memory import give_back

def taken():
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if "Anonymous:" in line)

held = [bytes(random.randint(600, 3000)) for _ in range(50_000)]
most = taken()
held = held[::50]
freed = taken()
if sys.argv[1] == "give back":
    give_back(0.1)
    end = time.monotonic() + 30
    while taken() > most / 2 and time.monotonic() < end:
        time.sleep(0.1)
print(freed / most, taken() / most)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="wants Linux, whose /proc tells")
@pytest.mark.parametrize("gives_back", [False, True])
def test_what_is_freed_between_what_is_used_goes_back(gives_back):
    """It stays otherwise, so this can go when that fails: one in fifty pieces is still in use."""
    if not give_back(3600):
        pytest.skip("wants glibc")
    said = subprocess.run(
        [sys.executable, "-c", FREED, "give back" if gives_back else "keep"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    freed, later = map(float, said.stdout.split())
    assert freed > 0.8
    assert (later < 0.5) is gives_back


WRITERS = """
import asyncio, gc, sys
import aiosqlite
from serving.memory import collect_aside

async def opened(path):
    return await aiosqlite.connect(path, timeout=5, isolation_level=None)

async def left_behind(connection):
    cursor = await connection.execute("select 1")     # and nobody reads the answer
    around = [cursor._cursor]                         # as the frames of an error hold each other
    around.append(around)

async def main(path, is_aside):
    one, other = await opened(path), await opened(path)
    await one.execute("create table t (x unique)")
    await one.execute("insert into t values (1)")
    gc.disable()
    await left_behind(other)
    await other.commit()                 # or its thread would still hold what it did last
    await one.execute("begin immediate")
    waiting = asyncio.create_task(other.execute("begin immediate"))
    await asyncio.sleep(1.5)             # until its thread waits, on a busy machine too
    if is_aside:
        collect_aside(0.05)
        await asyncio.sleep(0.5)
    else:
        gc.collect()
    await one.execute("commit")
    try:
        await waiting
    except aiosqlite.OperationalError as error:
        print(error, end="")
    else:
        print("its turn", end="")
    await one.close(), await other.close()

asyncio.run(main(sys.argv[1], sys.argv[2] == "aside"))
"""


@pytest.mark.parametrize(
    ("where", "said"), [("aside", "its turn"), ("in the loop", "database is locked")]
)
def test_garbage_does_not_keep_a_writer_from_going_on(tmp_path, where, said):
    """Freed in the loop's thread, a cursor waits for who waits for that thread's writer."""
    command = [sys.executable, "-c", WRITERS, tmp_path / "some.db", where]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == (said, 0), done.stderr


def test_garbage_of_every_age_is_collected():
    """The youngest most often, the oldest at last."""
    found = [_generation(n_rounds) for n_rounds in range(1, 61)]
    assert (found[:10], found[-1]) == ([0] * 9 + [1], 2)
    assert found.count(2) == 1


class Ring:
    """Garbage that only a collection finds."""

    def __init__(self):
        self.itself = self


def test_what_outlives_the_first_look_is_looked_at_again_after_an_hour():
    """Garbage of later is found by each look at the old; what was frozen, by the next of all."""
    gc.disable()
    try:
        old, new = Ring(), Ring()
        of_old, of_new = weakref.ref(old), weakref.ref(new)
        del new
        _look(600)
        assert gc.get_freeze_count() > 10_000
        assert of_new() is None
        del old
        new = Ring()
        of_new = weakref.ref(new)
        del new
        _look(660)
        assert (of_old() is None, of_new() is None) == (False, True)
        _look(7800)
        assert of_old() is None
    finally:
        gc.unfreeze()
        gc.enable()


FORKING = """
import gc, os, socket, sys
from serving.warm import Template, sources

listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
template = Template(listener, os.getppid(), sources())
kept = []

def imported():
    kept.extend([number] for number in range(50_000))

def ended():
    template.parent = -1

template.later = [imported, ended]
template.serve()
print(gc.get_freeze_count() > 50_000, len(gc.get_objects()) < 10_000)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="runs are forked on Linux alone")
def test_a_run_looks_at_nothing_that_was_imported_before_it_was_forked():
    """Looking at an object copies its page; what a run makes is all that it collects among."""
    folder = tempfile.mkdtemp()  # a socket's path is short; the template removes it
    done = subprocess.run(
        [sys.executable, "-c", FORKING, f"{folder}/door"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == "True True", done.stderr
