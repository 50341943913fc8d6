"""Baton as a user runs it: the command in a process of its own, in a home of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from filelock import FileLock

from baton import scaffold
from baton.chain import manifest
from tests.conftest import ROOT
from tests.processes import is_alive, wait_for

BATON = [str(Path(sys.executable).with_name("baton"))]


EACH = """
import json, os, sys, tempfile, traceback
import pandas, polars, pyarrow.csv, sklearn.ensemble, sklearn.linear_model
from baton.cli import main

answers = []
for arguments in json.load(sys.stdin):
    files = [tempfile.TemporaryFile() for _ in range(2)]
    child = os.fork()
    if child == 0:
        for descriptor, file in enumerate(files, 1):
            os.dup2(file.fileno(), descriptor)
        code = 1
        try:
            main(arguments)
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    status = os.waitpid(child, 0)[1]
    said = [os.pread(file.fileno(), 10**7, 0).decode() for file in files]
    answers.append([os.waitstatus_to_exitcode(status), *said])
print(json.dumps(answers))
"""
"""The command again and again: starting Python and importing is most of a short one's time."""

BRIEFLY = ["-p", "importance_rows=50", "-p", "n_repeats=1", "-p", "explain_rows=20"]
"""What keeps the evaluation of many rows short."""


@dataclass
class Answer:
    """What the command said."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@dataclass
class Home:
    """A home and the commands that use it."""

    path: Path
    api: str = ""
    mlflow: str = ""
    process: subprocess.Popen | None = None
    site: str = ""
    """Folder of packages beside Baton's own."""

    def environment(self, **more):
        drop = {"PREFECT_API_URL", "PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS"}
        kept = {k: v for k, v in os.environ.items() if k not in drop}
        # Ports that nobody listens on by habit; a busy one is replaced by a free one.
        own = ("PREFECT", "MLFLOW", "ANNOUNCE", "PAGES")
        names = [f"BATON_{name}_PORT" for name in own]
        ports = dict.fromkeys(names, "0")
        packages = {"PYTHONPATH": self.site} if self.site else {}
        return kept | {"BATON_HOME": str(self.path)} | ports | packages | more

    def baton(self, *arguments, timeout=600, cwd=ROOT, **environment):
        done = subprocess.run(
            [*BATON, *map(str, arguments)],
            cwd=cwd,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def begin_run(self, *arguments, **environment):
        """Begin `baton run spheres`, and do not wait for its end."""
        return subprocess.Popen(
            [*BATON, "run", "spheres", *arguments],
            cwd=ROOT,
            env=self.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell that started the tests in its background has them ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )

    def baton_each(self, commands, timeout=600):
        """Run many commands, each in a process of its own that is forked after the imports."""
        done = subprocess.run(
            [sys.executable, "-c", EACH],
            input=json.dumps([[str(one) for one in command] for command in commands]),
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=True,
        )
        return [Answer(*answer) for answer in json.loads(done.stdout)]

    def start(self, *more, pages=False, **environment):
        """Start `baton up` and wait until it says that it is ready."""
        self.process = subprocess.Popen(
            [*BATON, "up", *([] if pages else ["--no-mlflow"]), *more],
            cwd=ROOT,
            env=self.environment(**environment),
            stdout=(self.path / "up.out").open("wb"),
            stderr=subprocess.STDOUT,
        )
        end = time.monotonic() + 300
        while "ready" not in (said := (self.path / "up.out").read_text()):
            assert self.process.poll() is None, said
            assert time.monotonic() < end, said
            time.sleep(0.2)
        addresses = json.loads((self.path / "up.json").read_text())
        self.api, self.mlflow = addresses["prefect"], addresses["mlflow"]
        if self.mlflow:  # who first asks has its server started, and waits
            httpx.get(f"{self.mlflow}/health", timeout=300)

    def stop(self, signum=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signum)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(40)
            self.process.kill()
        return self.process.wait() if self.process else None

    @property
    def secret(self):
        """What `baton up` asks for; a server of somebody else's asks for nothing."""
        place = self.path / "auth"
        return tuple(place.read_text().split(":")) if place.exists() else None

    def ask(self, method, path, content=None):
        """Ask the API as a program of the user does."""
        address = f"{self.api}/{path}"
        return httpx.request(
            method, address, json=content, auth=self.secret, timeout=90, verify=False
        )

    def post(self, path, content):
        for _ in range(5):  # a server whose SQLite is busy says 503
            answer = self.ask("POST", path, content)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(1)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def runs(self, flow, **conditions):
        wanted = {"flows": {"name": {"any_": [flow]}}, "flow_runs": conditions or None}
        return self.post("flow_runs/filter", {k: v for k, v in wanted.items() if v})

    def runs_of(self, chain):
        """Runs of a chain."""
        return self.post("flow_runs/filter", {"flow_runs": {"tags": {"all_": [f"chain:{chain}"]}}})

    def ended(self, chain):
        """Wait until a chain has ended, and return what `baton status` says of it then.

        The server is asked meanwhile: the command would be started anew for each look.
        """

        def is_over():
            found = [(run["state_type"], run["name"]) for run in self.runs_of(chain)]
            return any(
                state in {"FAILED", "CRASHED", "CANCELLED"}
                or (state == "COMPLETED" and name.startswith("promote "))
                for state, name in found
            )

        wait_for(is_over)
        return self.baton("status", chain, "--json").json

    def wait_until_empty(self, seconds=60):
        """Wait until no process of this home is left; name those that are."""
        try:
            wait_for(lambda: not self.processes(), seconds)
        except AssertionError:
            left = list(self.commands().values())
            raise AssertionError(f"after {seconds} s there were still {left}") from None

    def commands(self):
        """Command lines of the living processes, by their ids."""
        found = {}
        for pid in self.processes():
            with suppress(OSError):  # it has just ended
                content = Path(f"/proc/{pid}/cmdline").read_bytes()
                found[pid] = content.replace(b"\0", b" ").decode(errors="replace")
        return found

    def process_of(self, run_id):
        """Process that stands for a run."""
        mark = f"PREFECT__FLOW_RUN_ID={run_id}".encode()
        for pid, command in self.commands().items():
            with suppress(OSError):  # it has just ended
                environment = Path(f"/proc/{pid}/environ").read_bytes()
                if "warm_client" in command and mark in environment:
                    return pid
        return None

    def address_of(self, page):
        """Where Baton's pages show a page of the results, behind their own address."""
        return f"/results/{Path(page).relative_to(self.path / 'results').as_posix()}"

    def processes(self):
        """Ids of the living processes whose environment names this home."""
        mark = f"BATON_HOME={self.path}".encode()
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if is_alive(place.name) and mark in (place / "environ").read_bytes().split(b"\0"):
                    found.append(int(place.name))
        return found


def declared_automations():
    """Names of the automations that prefect.yaml makes: one for each trigger."""
    return {
        f"{entry.name}__automation_{place + 1}"
        for entry in manifest.read(ROOT / "prefect.yaml").deployments
        for place in range(len(entry.triggers))
    }


@contextmanager
def fresh_home(path):
    """A home whose processes have all ended afterwards, also when the test failed."""
    home = Home(path)
    try:
        yield home
    finally:
        home.stop()
        for pid in home.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A home whose databases have their schemas and nothing else, for others to begin with."""
    path = tmp_path_factory.getbasetemp().parent / "prepared"
    with FileLock(f"{path}.lock"):
        if not (path / "whole").exists():
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
            with fresh_home(path) as found:
                found.start()
            (path / "whole").touch()
    return path


def _furnished(path, prepared):
    for name in ("prefect", "mlflow"):
        shutil.copytree(prepared / name, path / name)
    return path


@pytest.fixture
def empty_home(tmp_path):
    """A home as a user has it who never ran anything."""
    with fresh_home(tmp_path) as found:
        yield found


@pytest.fixture
def home(tmp_path, prepared):
    """A home with databases in which nothing has happened."""
    with fresh_home(_furnished(tmp_path, prepared)) as found:
        yield found


MOONS = """[build-system]
requires = ["poetry-core>=2.0"]
build-backend = "poetry.core.masonry.api"

[project]
name = "baton-moons"
version = "1.0"

[project.entry-points."baton.problems"]
moons = "baton_moons:problem"
"""


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Packages of somebody else's: the problem that the README shows, what `baton new` writes."""
    written = tmp_path_factory.mktemp("written")
    moons = written / "baton-moons"
    moons.mkdir()
    (moons / "pyproject.toml").write_text(MOONS)
    readme = (ROOT / "README.md").read_text("utf-8")
    code = re.search(r"```python\n(.*?)```", readme, re.DOTALL).group(1)
    (moons / "baton_moons.py").write_text(code)
    for what, name in [(scaffold.What.PROBLEM, "halves"), (scaffold.What.MODEL, "bags")]:
        scaffold.write(scaffold.new(what, name), written / f"baton-{name}")
    return written


@pytest.fixture(scope="session")
def site(tmp_path_factory, written):
    """Folder in which these are installed."""
    site = tmp_path_factory.mktemp("site")
    uv = [Path(sys.executable).with_name("uv"), "pip", "install", "--python", sys.executable]
    options = ["--no-build-isolation", "--no-deps", "--target", site]
    subprocess.run([*uv, *options, *written.iterdir()], check=True, capture_output=True)
    return site


@pytest.fixture(scope="package")
def up(tmp_path_factory, prepared, site):
    """A home in which `baton up` is running; it ends with these tests: idle, it takes time, too."""
    with fresh_home(_furnished(tmp_path_factory.mktemp("up"), prepared)) as found:
        found.site = str(site)
        found.start()
        yield found
