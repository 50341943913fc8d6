"""The image itself, built without an engine and run in a chroot, as deploy/image/engine-free does.

What can be seen of it without building it is in ``tests/test_packaging.py``.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.conftest import ROOT
from tests.e2e.conftest import wait_for
from tests.services import free_port

# Builds a Debian and installs everything; test_packaging.py has what needs no image.
pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(3600)]
ENGINE_FREE = ROOT / "deploy/image/engine-free"
SECRET = "team:secret-of-the-image"
USER = 10001


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Environment in which the image is there; some gigabytes, which are gone afterwards.

    Where IMAGE_WORK says a folder, what is there already is not built again, and stays.
    """
    if os.geteuid() != 0:
        pytest.skip("wants to be root: the image is run by chroot")
    if missing := [one for one in ("buildah", "debootstrap") if shutil.which(one) is None]:
        pytest.skip(f"wants {' and '.join(missing)}, of Debian's packages")
    own = (
        {}
        if "IMAGE_WORK" in os.environ
        else {"IMAGE_WORK": f"{tmp_path_factory.mktemp('image')}/w"}
    )
    told = os.environ | own
    try:
        done = _engine_free(told, "build")
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        yield told
    finally:
        if own:
            _engine_free(told, "remove")
            assert not Path(told["IMAGE_WORK"]).exists()


def _engine_free(told, *arguments):
    return subprocess.run(
        [ENGINE_FREE, *arguments], env=told, capture_output=True, text=True, check=False
    )


@contextmanager
def _running(told, log, *command):
    """A process of the image, which ends with the context, and all that it started with it."""
    before = _of_user()
    with log.open("wb") as said:
        process = subprocess.Popen(
            [ENGINE_FREE, "run", *command], env=told, stdout=said, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()
        wait_for(lambda: _of_user() <= before, 10)


def _of_user():
    """Processes of the image's user."""
    return {one.pid for one in psutil.process_iter(["uids"]) if one.info["uids"].real == USER}


def test_a_chain_completes_in_the_image(built, tmp_path):
    """By nobody in particular, who can write to /data and /tmp and to nothing else."""
    told = built | {"DATA": str(tmp_path / "data")}
    done = _engine_free(told, "run", "baton", "run", "iris", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    made = json.loads(done.stdout)
    assert made["state"] == "COMPLETED"
    assert made["report"].startswith("/data/results/iris/")
    owners = {(one.stat().st_uid, one.stat().st_gid) for one in (tmp_path / "data").rglob("*")}
    assert owners == {(USER, USER)}
    writes = (
        "id -u; for f in /data /tmp /app /opt/venv /; do touch $f/x 2>/dev/null && echo $f; done"
    )
    assert _engine_free(told, "run", "sh", "-c", writes).stdout.split() == [
        "10001",
        "/data",
        "/tmp",
    ]


def test_a_role_of_the_image_serves_and_shows_its_pages(built, tmp_path):
    """Prefect's server with its pages, and the serve process, which the image is by itself."""
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    told = built | {"DATA": str(tmp_path / "data")}
    client = [f"PREFECT_API_URL={api}", f"PREFECT_API_AUTH_STRING={SECRET}"]
    guarded = f"PREFECT_SERVER_API_AUTH_STRING={SECRET}"
    start = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with _running(told, tmp_path / "server.log", *client, guarded, *start):
        wait_for(lambda: _is_there(f"{api}/health"))
        login = tuple(SECRET.split(":"))
        page = httpx.get(api.removesuffix("/api"), auth=login, follow_redirects=True)
        assert page.headers["content-type"].startswith("text/html"), page.text[:300]
        assert "<html" in page.text.lower()
        serving = [*client, "--ready", "/data/ready"]
        with _running(told, tmp_path / "serve.log", *serving) as process:
            wait_for(lambda: (tmp_path / "data/ready").exists() or process.poll() is not None)
            assert process.poll() is None, (tmp_path / "serve.log").read_text()
            named = httpx.post(f"{api}/deployments/filter", json={}, auth=login).json()
            assert "generate-iris" in {one["name"] for one in named}


def _is_there(address):
    with suppress(httpx.HTTPError):
        return httpx.get(address, timeout=2).is_success
    time.sleep(0.5)
    return False


def test_its_figures_are_shown_by_the_command_of_the_page(built):
    """The layers with their bytes, and the seconds until each command is there."""
    program = [sys.executable, ROOT / "benchmarks/image.py", "--tries", "1"]
    program += ["--port", str(free_port())]
    done = subprocess.run(program, env=built, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sizes = [float(one) for one in re.findall(r"^ *(\d+) MB", done.stdout, re.MULTILINE)]
    assert abs(sum(sizes[:-1]) - sizes[-1]) < len(sizes)
    assert sizes[-1] < 2300, "something large came in"
    named = re.findall(r"^ *[\d.]+ s   (.+)$", done.stdout, re.MULTILINE)
    assert len(named) == 5
    assert "`python -m serving`, ready" in named
