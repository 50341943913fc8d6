"""Commands for whoever runs it, against a standing Baton: ``status``, ``logs``, ``doctor``."""

import json
import signal
import subprocess

import pytest
from sklearn.datasets import load_wine

from tests.conftest import ROOT
from tests.e2e.conftest import BATON, BRIEFLY, wait_for

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def wine(tmp_path_factory):
    """A table of a user's own."""
    path = tmp_path_factory.mktemp("operate") / "cellar.csv"
    load_wine(as_frame=True).frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def chain(up, wine):
    """A chain of it that waits for approval, as `baton run --json` prints it."""
    asked = ["-p", f"path={wine}", "-p", "target=target", "-p", "model=decision_tree"]
    answer = up.baton("run", "table", *asked, "-p", "approve=true", *BRIEFLY, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["state"] == "PAUSED"
    return answer.json


@pytest.fixture(scope="module")
def refused(up, tmp_path_factory):
    """A chain that fails in its first stage: every row has the same answer."""
    path = tmp_path_factory.mktemp("refused") / "same.json"
    lines = [{"a": n, "y": "no"} for n in range(50)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    answer = up.baton("announce", "table", "-p", f"path={path}", "-p", "target=y", "--json")
    assert answer.code == 0, answer.err

    def has_failed():
        seen = up.baton("status", answer.json["chain"], "--json")
        return seen.code == 0 and seen.json["state"] == "FAILED" and seen.json

    return wait_for(has_failed)


def test_status_says_what_a_chain_is_about_and_what_it_waits_for(up, chain):
    """In the list and in detail; for people, and ready for a script."""
    listed = {one["chain"]: one for one in up.baton("status", "--json").json}
    one = up.baton("status", chain["chain"], "--json").json
    for seen in (listed[chain["chain"]], one):
        assert (seen["source"], seen["target"]) == ("cellar.csv", "target")
        assert (seen["family"], seen["score"]["metric"]) == ("decision_tree", "accuracy")
        assert seen["score"]["value"] == chain["metrics"]["accuracy"]
        assert seen["model"]["version"] == chain["model"]["version"]
        assert (seen["waits_for"]["what"], seen["waits_for"]["stage"]) == ("approval", "promote")
    assert one["metrics"] == chain["metrics"]
    shown = up.baton("status").out
    assert chain["chain"] in shown
    flat = " ".join(shown.replace("│", " ").split())
    assert "cellar.csv" in flat and "waits for" in flat
    detail = up.baton("status", chain["chain"][:8]).out
    assert "waits for approval, for " in detail
    assert f"`baton approve {chain['chain']}`" in detail


def test_a_log_has_the_lines_of_all_runs_in_the_order_of_time(up, chain):
    """With their stages and subflows; by stage and level; one JSON object a line."""
    asked = ["logs", chain["chain"][:8]]

    def whole():
        lines = [json.loads(one) for one in up.baton(*asked, "--json").out.splitlines()]
        return lines if any("Suspending" in one["message"] for one in lines) else None

    lines = wait_for(whole, 60)
    assert [one["at"] for one in lines] == sorted(one["at"] for one in lines)
    stages = list(dict.fromkeys(one["stage"] for one in lines))
    assert stages == ["generate", "train", "evaluate", "promote"]
    parts = {one["part"] for one in lines if one["stage"] == "evaluate"}
    assert {None, "performance", "importance", "explanations"} <= parts
    of_train = up.baton(*asked, "--stage", "train").out.splitlines()
    assert len(of_train) >= sum(one["stage"] == "train" for one in lines)
    assert any("fitted decision_tree on" in line for line in of_train)
    assert up.baton(*asked, "--stage", "generate", "--level", "error").out == ""


def test_a_followed_log_ends_with_its_chain_and_its_exit_code(up, chain, refused):
    """A mistake in the input is 2, with the line that says it; one that waits for a person is 0."""
    failed = up.baton("logs", refused["chain"], "--follow")
    assert failed.code == 2, failed.err
    assert refused["error"] in failed.err
    assert "generate" in failed.out
    waiting = up.baton("logs", chain["chain"], "--follow", "--stage", "promote")
    assert waiting.code == 0
    assert f"`baton approve {chain['chain']}`" in waiting.err
    nobody = up.baton("logs", "0" * 12)
    assert (nobody.code, "no chains" in nobody.err) == (2, True)


def _followed(up, chain):
    return subprocess.Popen(
        [*BATON, "logs", chain, "--follow"],
        cwd=ROOT,
        env=up.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


def test_a_log_is_followed_while_its_chain_runs_and_ctrl_c_ends_only_the_look(up, wine):
    """The chain goes on, and who follows it to its end sees its last line."""
    asked = ["-p", f"path={wine}", "-p", "target=alcohol", "-p", "model=lasso", *BRIEFLY]
    chain = up.baton("announce", "table", *asked, "--json").json["chain"]
    wait_for(lambda: up.baton("status", chain, "--json").code == 0)
    whole, left = _followed(up, chain), _followed(up, chain)
    assert "generate" in left.stdout.readline()
    left.send_signal(signal.SIGINT)
    _, said = left.communicate(timeout=60)
    assert (left.returncode, said.splitlines()[-1]) == (130, "baton: interrupted")
    out, said = whole.communicate(timeout=300)
    assert whole.returncode == 0, said
    assert "announced baton.model.promoted" in out.splitlines()[-1]
    assert up.baton("status", chain, "--json").json["state"] == "COMPLETED"


def test_all_is_well_with_a_baton_that_stands(up):
    """Each line has a sign; nothing is said to be wrong, and no secret is said."""
    answer = up.baton("doctor", "--json")
    told = {one["what"]: one["verdict"] for one in answer.json["findings"]}
    wrong = [one for one in answer.json["findings"] if one["verdict"] == "bad"]
    assert (wrong, answer.code, answer.json["counts"]["bad"]) == ([], 0, 0)
    for what in ("Prefect server", "clock", "deployments", "serve process", "automations"):
        assert told[what] == "good"
    assert told["Prefect's database"] == told["MLflow's store"] == "good"
    assert up.secret[1] not in answer.out


def test_a_doctor_is_asked_where_nothing_stands_and_by_another_home(up, tmp_path):
    """No home is made for it; what answers at PREFECT_API_URL is looked at, by its login."""
    nowhere = up.baton("doctor", BATON_HOME=str(tmp_path / "none"))
    assert nowhere.code == 0, nowhere.out
    assert "! Prefect server       none stands" in nowhere.out
    assert "✓ home" in nowhere.out and not (tmp_path / "none").exists()
    there = {"BATON_HOME": str(tmp_path / "none"), "PREFECT_API_URL": up.api}
    refused = up.baton("doctor", **there)
    assert refused.code == 1
    assert "does not know this login → set PREFECT_API_AUTH_STRING" in refused.out
    known = up.baton("doctor", PREFECT_API_AUTH_STRING=":".join(up.secret), **there)
    assert known.code == 0, known.out
    assert "✓ serve process" in known.out
    assert up.secret[1] not in refused.out + known.out
