"""A Baton that reaches behind no library's public face."""

import pytest

from tests.e2e.conftest import BRIEFLY

pytestmark = [pytest.mark.e2e, pytest.mark.long]  # tests/integration/test_prefect_internals.py


@pytest.mark.timeout(600)  # every run imports everything anew
def test_with_every_reach_switched_off_a_chain_completes(home):
    """BATON_INTERNALS=0: slower, and otherwise the same; nobody warns of what was asked for."""
    answer = home.baton("run", "iris", *BRIEFLY, "--json", timeout=540, BATON_INTERNALS="0")
    assert answer.code == 0, answer.err
    assert answer.json["state"] == "COMPLETED"
    assert {stage["state"] for stage in answer.json["stages"]} == {"COMPLETED"}
    said = "".join(log.read_text("utf-8") for log in (home.path / "logs").glob("*.log"))
    assert "Finished in state Completed" in said
    assert "internals" not in said
