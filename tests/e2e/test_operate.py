"""Commands for whoever runs it, against a standing Baton: status, logs, doctor, replay, report."""

import html
import json
import signal
import subprocess
from pathlib import Path

import httpx
import pytest
from sklearn.datasets import load_wine

from tests.conftest import ROOT
from tests.e2e.conftest import BATON, BRIEFLY, wait_for
from tests.e2e.visiting import site_of

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
    assert answer.json["decision"] is None
    assert f"`baton approve {answer.json['chain']}`" in answer.err
    return answer.json


@pytest.fixture(scope="module")
def refused(up, tmp_path_factory):
    """A chain that fails in its first stage: every row has the same answer."""
    path = tmp_path_factory.mktemp("refused") / "same.json"
    lines = [{"a": n, "y": "no"} for n in range(50)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    answer = up.baton("announce", "table", "-p", f"path={path}", "-p", "target=y", "--json")
    assert answer.code == 0, answer.err
    found = up.ended(answer.json["chain"])
    assert found["state"] == "FAILED"
    return found


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


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({}, "'' is no answer: press Approve or Reject"),
        ({"answer": "maybe"}, "'maybe' is no answer"),
        ({"answer": "no", "by": "x" * 101}, "A name has at most 100 characters."),
        ({"answer": "yes", "becuase": "it is good"}, "the form has no field 'becuase'"),
    ],
)
def test_a_mistake_in_the_form_answers_no_chain(up, chain, typed, said):
    """What is no answer is not taken for a no: one line, and the chain waits on."""
    page = f"{site_of(up)}/chains/{chain['chain']}/approval"
    answer = httpx.post(page, data=typed, auth=up.secret, timeout=60)
    assert (answer.status_code, said in html.unescape(answer.text)) == (422, True), answer.text
    assert up.baton("status", chain["chain"], "--json").json["state"] == "PAUSED"


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
    wait_for(lambda: up.runs_of(chain))
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


@pytest.fixture(scope="module")
def ended(up, wine):
    """A chain that ended, as `baton run --json` prints it."""
    asked = ["-p", f"path={wine}", "-p", "target=alcohol", "-p", "model=lasso", *BRIEFLY]
    answer = up.baton("run", "table", *asked, "--json")
    assert answer.code == 0, answer.err
    return answer.json


def test_a_stage_of_an_ended_chain_begins_again_with_other_options(up, ended):
    """As a chain of its own, on the results that it began with."""
    again = up.baton("replay", ended["chain"], "--from", "evaluate", "-p", "n_repeats=2", "--json")
    assert again.code == 0, again.err
    made = again.json
    assert made["chain"] != ended["chain"]
    assert [one["stage"] for one in made["stages"]] == ["evaluate", "promote"]
    assert not made["stages"][0]["cached"]
    assert made["model"] == ended["model"]
    assert made["results"]["features"] == ended["results"]["features"]
    assert made["results"]["metrics"] != ended["results"]["metrics"]
    same = up.baton("replay", ended["chain"], "--from", "train", "--json").json
    assert [one["cached"] for one in same["stages"]] == [True, True, True]
    assert same["results"] == ended["results"]


@pytest.mark.long  # from later ones above; what is asked for then: tests/unit/test_replay.py
def test_a_chain_begins_again_from_its_first_stage(up, ended):
    """With another parameter of the problem; the others are as they were."""
    whole = up.baton("replay", ended["chain"], "--from", "generate", "-p", "seed=3", "--json")
    assert whole.code == 0, whole.err
    assert whole.json["stages"][0]["stage"] == "generate"
    assert whole.json["title"] == ended["title"]
    assert whole.json["results"]["features"] != ended["results"]["features"]


def test_what_cannot_begin_again_is_said_in_a_line(up, chain, ended):
    """No such chain or stage, one that is not over, an idle option, results that are gone."""
    known = ["replay", ended["chain"], "--from"]
    asked = {
        "no chains": ["replay", "0" * 12, "--from", "train"],
        "stage tune never ran in chain": [*known, "tune"],
        "is not over: waits for approval": ["replay", chain["chain"], "--from", "evaluate"],
        "is settled before stage promote": [*known, "promote", "-p", "folds=3"],
        "--from": ["replay", ended["chain"]],
    }
    for said, answer in zip(asked, up.baton_each(list(asked.values())), strict=True):
        _is_one_line(answer, said)
    features = Path(ended["results"]["features"])
    hidden = features.rename(features.with_suffix(".hidden"))
    try:
        _is_one_line(up.baton(*known, "train"), "features.parquet was cleaned away")
    finally:
        hidden.rename(features)


def _is_one_line(answer, said):
    assert (answer.code, said in answer.err) == (2, True), answer.err
    assert "Traceback" not in answer.err


def test_a_report_is_opened_where_there_is_a_browser(up, ended, tmp_path):
    """Its path is printed in any case."""
    seen = tmp_path / "seen"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    browser.chmod(0o700)
    opened = up.baton("report", ended["chain"], "--open", BROWSER=f"{browser} %s")
    assert opened.code == 0, opened.err
    path = opened.out.strip()
    assert wait_for(seen.exists) and seen.read_text().strip() == Path(path).as_uri()
    nowhere = up.baton("report", ended["chain"], "--open", PATH="/nowhere", DISPLAY="")
    assert (nowhere.code, nowhere.out.strip()) == (2, path)
    assert "there is no browser here" in nowhere.err


def test_a_chain_waits_for_a_person_and_goes_on(up, chain):
    """No process waits; the answer is in the history. Who is not asked cannot answer.

    The last test of these: the others look at a chain that waits.
    """
    (run,) = (one for one in up.runs("promote") if f"chain:{chain['chain']}" in one["tags"])
    assert run["state_type"] == "PAUSED"
    assert up.process_of(run["id"]) is None

    asked = ["approve", chain["chain"][:6], "--reason", "agreed with the clinic", "--json"]
    answer = up.baton(*asked)
    assert answer.code == 0, answer.err
    assert answer.json["decision"]["promoted"]
    assert "agreed with the clinic" in answer.json["decision"]["reason"]
    entry = up.baton("history", "cellar-target", "--json").json["decisions"][-1]
    assert entry["by"] != "gate"
    late = up.baton("approve", chain["chain"])
    assert (late.code, "does not wait for approval" in late.err) == (2, True)
    nobody = up.baton("approve", "0" * 12)
    assert (nobody.code, "there is no chain" in nobody.err) == (2, True)
