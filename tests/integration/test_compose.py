"""Every role of compose.yaml on the loopback, by its own commands, variables and health checks.

PostgreSQL and Redis are those of this machine; what their two images do is not run here.
"""

import httpx
import pytest

from tests import services
from tests.e2e.conftest import wait_for

TOKENS = {"ANNOUNCE_TOKEN": "announced-by", "SERVE_TOKEN": "asked-by"}
SECONDS = 600


@pytest.fixture(scope="module")
def standing(team, tmp_path_factory, answering):
    """The servers of the session, else of this module."""
    if team:
        yield team
        return
    with answering(services.team(tmp_path_factory.mktemp("compose"), n_servers=1)) as found:
        yield found


def _by(name):
    return {"Authorization": f"Bearer {TOKENS[name]}"}


# tests/integration/test_team.py starts the same servers, test_arriving.py and test_answers.py the
# other two alone
@pytest.mark.long
@pytest.mark.timeout(1200)
def test_every_role_of_compose_carries_a_chain(standing):
    """Data is announced by one, learnt from by another, answered for by a third; all are well."""
    with (
        standing.role("serve") as serving,
        standing.role("arriving", "ANNOUNCE_PORT", **TOKENS) as arriving,
        standing.role("answers", "SERVE_PORT", SERVE_PROBLEM="iris", **TOKENS) as answers,
    ):
        asked = {"options": {"model": "decision_tree", "explain_rows": 5, "n_repeats": 1}}
        place = f"{arriving.address}/announce/iris"
        assert httpx.post(place, json=asked).status_code == 401
        told = httpx.post(place, json=asked, headers=_by("ANNOUNCE_TOKEN"), timeout=120)
        assert told.status_code == 202, told.text
        assert httpx.get(f"{answers.address}/ready").status_code == 503, "there is no champion yet"
        wait_for(lambda: httpx.get(f"{answers.address}/ready").is_success, SECONDS)
        said = _answered(answers)
        assert said["model"] == {"name": "baton-iris", "version": 1}
        assert len(said["predictions"]) == 1
        assert all(standing.is_well(one) for one in (serving, arriving, answers))
        arriving.end()
        assert not standing.is_well(arriving)


def _answered(answers):
    row = dict.fromkeys(
        ["sepal_length_cm", "sepal_width_cm", "petal_length_cm", "petal_width_cm"], 1.0
    )
    answer = httpx.post(
        f"{answers.address}/predict", json=[row], headers=_by("SERVE_TOKEN"), timeout=60
    )
    assert answer.status_code == 200, answer.text
    return answer.json()
