"""The second walk of docs/how-to/why.md, by the commands that stand there: break, ask, mend.

A plain Prefect server with a work pool stands for a team's; the repository is a copy, whose
``prefect.yaml`` is broken and mended.
"""

import re
import shlex
import shutil
import signal
import subprocess
from contextlib import contextmanager, suppress

import pytest

from tests.conftest import ROOT
from tests.e2e.conftest import wait_for
from tests.e2e.team import BIN, environment_of, plain_server

pytestmark = [pytest.mark.e2e, pytest.mark.long]  # a worker starts each stage cold
PAGE = (ROOT / "docs/how-to/why.md").read_text("utf-8").partition("on a team's server")[2]
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
RIGHT, WRONG = "prefect.resource.id: baton.model.*", "prefect.resource.id: baton.modell.*"


class Walk:
    """Somebody in a clone, who has the page before them."""

    def __init__(self, home, folder):
        self.home, self.folder = home, folder
        self.commands = iter(COMMANDS)
        self.chain = ""

    def environment(self):
        of_copy = f"{self.folder}:{self.folder / 'src'}"
        return environment_of(self.home, PREFECT_WORKER_QUERY_SECONDS="1", PYTHONPATH=of_copy)

    def begin(self, said):
        """Type the page's next command, which is the one that is meant."""
        command = next(self.commands)
        assert command == f".venv/bin/{said}"
        typed = shlex.split(command.replace("3f9c1a", self.chain).removeprefix(".venv/bin/"))
        return subprocess.Popen(
            [BIN / typed[0], *typed[1:]],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def type(self, said, code=0):
        """Type it, and read what it says."""
        process = self.begin(said)
        out, err = process.communicate(timeout=600)
        assert process.returncode == code, out + err
        return " ".join(out.split())

    def trigger(self, old, new):
        """Change the trigger of ``promote``."""
        place = self.folder / "prefect.yaml"
        before, name, rest = place.read_text("utf-8").partition("  - name: promote\n")
        assert old in rest
        place.write_text(before + name + rest.replace(old, new, 1), "utf-8")

    def evaluated(self):
        """Chain whose evaluation was announced."""
        return next(iter(self.told("baton.model.evaluated")), None)

    def is_over(self):
        """Whether promotion was decided about, or nothing more comes."""
        ends = ("baton.model.promoted", "baton.model.rejected", "baton.chain.failed")
        return any(one.startswith(self.chain) for one in self.told(*ends))

    def told(self, *names):
        """Chains of which one of these events told."""
        found = self.home.post("events/filter", {"filter": {"event": {"name": names}}})
        return [one["payload"]["chain"] for one in found["events"]]


@pytest.fixture
def walk(tmp_path):
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("flows", "serving", "tasks", "src", "notebooks"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "prefect.yaml", folder)
    (tmp_path / "home").mkdir()
    with plain_server(tmp_path / "home") as home:
        yield Walk(home, folder)


@contextmanager
def _going(process):
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):  # a worker waits for its runs
            process.communicate(timeout=20)
        process.kill()
        process.communicate()


def test_the_walk_of_the_page(walk):
    """The stage that did not run is explained, and runs on what was made, once it is mended."""
    walk.trigger(RIGHT, WRONG)
    walk.type("prefect work-pool create baton --type process")
    assert " 0 changed, 0 removed" in walk.type("baton deploy")
    with _going(walk.begin("baton worker --pool baton")):
        walk.type("baton run iris")
        walk.chain = wait_for(walk.evaluated, 600)[:6]
        told = walk.type("baton why-not promote --chain 3f9c1a")
        assert "resource.id is 'baton.modell.*', the event has 'baton.model.iris'" in told
        walk.trigger(WRONG, RIGHT)
        change = walk.type("baton deploy --check", code=1)
        assert "0 to make, 1 to change, 0 to remove" in change
        assert "0 made, 1 changed, 0 removed" in walk.type("baton deploy")
        wait_for(walk.is_over, 600)
        assert "waits for" not in walk.type("baton status 3f9c1a")
        walk.type("baton replay 3f9c1a --from promote")
        assert "promote completed" in walk.type("baton why")
    assert next(walk.commands, None) is None
