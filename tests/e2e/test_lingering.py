"""A Baton that stays for a while after `baton run`."""

import os
import signal

import pytest

from tests.e2e.conftest import BRIEFLY, wait_for

pytestmark = pytest.mark.e2e

RUN = ("run", "iris", *BRIEFLY, "--json")


def _lingering(home):
    """Process that stays."""
    (pid,) = [p for p, said in home.commands().items() if said.endswith("-m serving.lingering ")]
    return pid


def _ran(home, **environment):
    answer = home.baton(*RUN, **environment)
    assert answer.code == 0, answer.err
    assert answer.json["state"] == "COMPLETED"


@pytest.mark.long  # tests/unit/test_lingering.py has who lingers, when that ends, and who ends it
def test_the_next_run_finds_what_the_last_one_left(home):
    """By whichever command; it ends by itself, by `baton down`, or killed, and leaves nothing."""
    _ran(home, BATON_LINGER="10m")
    first = _lingering(home)
    _ran(home)
    assert _lingering(home) == first
    answer = home.baton("down")
    assert (answer.code, answer.err) == (0, "")
    assert f"(process {first}, since " in answer.out
    home.wait_until_empty()
    _ran(home, BATON_LINGER="5s")
    home.wait_until_empty()
    _ran(home, BATON_LINGER="10m")
    os.kill(_lingering(home), signal.SIGKILL)
    home.wait_until_empty()
    assert home.baton("down").out.startswith("no Baton lingers in ")


@pytest.mark.long
def test_baton_up_takes_over_and_the_chain_goes_on(home):
    """It says so in one line; who waits for the chain sees its end."""
    runner = home.begin_run("-p", "rows=30000", *BRIEFLY, "--json", BATON_LINGER="10m")
    wait_for(lambda: any("warm_client" in said for said in home.commands().values()), 300)
    home.start()
    said = (home.path / "up.out").read_text()
    assert said.count("which lingered, has made way; its chains go on here") == 1
    _, said = runner.communicate(timeout=500)
    assert runner.returncode == 0, said
    refused = home.baton("down")
    assert refused.code == 2
    assert refused.err.startswith("baton: `baton up` (process ")
    assert home.stop() == 143
    home.wait_until_empty()
