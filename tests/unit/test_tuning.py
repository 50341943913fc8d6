"""Searching hyperparameters: spaces, studies, validation, without Prefect."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pandas as pd
import pytest
from pydantic import SecretStr

from baton import models, tuning
from baton.bonds import Bonds
from baton.errors import InputError
from baton.models.registry import FAMILIES
from baton.models.space import Categorical, Float, Int
from baton.settings import Settings
from baton.terms import Kind
from baton.tuning.validation import FOLDED_ROWS
from tests.conftest import ROOT

CLASSES = Kind.CLASSIFICATION


def _search(**changes):
    found = {
        "problem": "spheres",
        "family": "decision_tree",
        "kind": CLASSES,
        "metric": "accuracy",
        "space": {"max_depth": Int(1, 9), "max_features": Float(0.2, 1.0)},
        "data": "ab" * 32,
        "seed": 7,
        "n_trials": 12,
        "start": {"max_depth": 3},
    }
    return tuning.Search(**found | changes)


def shared_search():
    """A search whose study several processes take part in."""
    return _search(n_trials=20, study="shared")


def _objective(params):
    """Best at a depth of 6 and all features."""
    yield 1 - abs(params["max_depth"] - 6) / 10 - (1 - params.get("max_features", 1.0))


def _open(home, search):
    settings = Settings(home=home)
    return tuning.open_study(tuning.open_storage(settings, search.name), search)


def _run(home, search, objective=_objective):
    study = _open(home, search)
    for number in study.plan():
        study.run(number, objective)
    return study


# --- spaces ---------------------------------------------------------------------------------------


def test_a_space_is_read_from_what_a_user_writes():
    """Ranges of both kinds, steps, logarithms and choices."""
    given = {
        "max_depth": [2, 8],
        "learning_rate": {"low": 0.01, "high": 0.3, "log": True},
        "n_estimators": {"low": 50, "high": 500, "step": 50},
        "booster": ["gbtree", "dart"],
        "max_bin": {"choices": [128, 256]},
        "subsample": [0.5, 1],
    }
    assert tuning.chosen_space("xgboost", CLASSES, given, {}) == {
        "max_depth": Int(2, 8),
        "learning_rate": Float(0.01, 0.3, log=True),
        "n_estimators": Int(50, 500, 50),
        "booster": Categorical(("gbtree", "dart")),
        "max_bin": Categorical((128, 256)),
        "subsample": Float(0.5, 1.0),
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_dept": [2, 8]}, "no hyperparameter 'max_dept'"),
        ({"max_depth": [2.5, 8.5]}, "max_depth=2.5"),
        ({"max_depth": [8, 2]}, "empty"),
        ({"max_depth": []}, "no plain values"),
        ({"max_depth": 5}, "no range and no choices"),
        ({"max_depth": {"low": 2}}, "no range and no choices"),
        ({"max_depth": {"low": 2, "high": 8, "lgo": True}}, "no range and no choices"),
        ({"learning_rate": {"low": 0, "high": 1, "log": True}}, "begins above 0"),
        ({"learning_rate": {"low": 0.1, "high": 1, "step": 0}}, "positive"),
        ({"learning_rate": {"low": "a", "high": 1}}, "numbers"),
        ({"booster": ["gbtree", "gblinear"]}, "booster='gblinear'"),
        ({"booster": [["gbtree"]]}, "no plain values"),
        ({"gamma": [0, 1]}, "fixed by model_params"),
    ],
)
def test_a_space_that_is_not_the_models_is_refused(given, said):
    """One line says which entry and why."""
    with pytest.raises(InputError, match="space") as error:
        tuning.chosen_space("xgboost", CLASSES, given, {"gamma": 1.0})
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_familys_own_space_holds_values_that_it_takes(name):
    """Both ends of every range pass the check that a user's values have to pass."""
    for kind in FAMILIES[name].kinds:
        space = tuning.chosen_space(name, kind, {}, {})
        for end in (0, -1):
            given = {
                key: of.choices[end] if isinstance(of, Categorical) else (of.low, of.high)[end]
                for key, of in space.items()
            }
            models.checks.check(name, FAMILIES[name], kind, given)


def test_what_a_user_fixed_is_not_searched():
    """The family's own space loses it, and may lose all."""
    assert "max_depth" not in tuning.chosen_space("xgboost", CLASSES, {}, {"max_depth": 3})
    with pytest.raises(InputError, match="nothing left to tune"):
        tuning.chosen_space("lasso", Kind.REGRESSION, {}, {"alpha": 1.0})


# --- studies --------------------------------------------------------------------------------------


def test_a_study_finds_the_better_hyperparameters(tmp_path):
    """The first trial is the family's own; the best is no worse."""
    study = _run(tmp_path, _search(n_trials=40))
    outcomes = study.outcomes()
    assert [one.number for one in outcomes] == list(range(40))
    assert outcomes[0].params == {"max_depth": 3}
    assert study.best().value > 0.9 > outcomes[0].value


def test_the_same_seed_gives_the_same_trials(tmp_path):
    """One at a time, in another storage; another seed gives others."""

    def params(home, seed):
        return [one.params for one in _run(tmp_path / home, _search(seed=seed)).outcomes()]

    assert params("a", 7) == params("b", 7)
    assert params("a", 7) != params("c", 8)


def test_the_first_trials_are_settings_that_are_known_to_do_well(tmp_path):
    """After the family's own; what the space lacks is left as it is where nothing is searched."""
    firsts = ({}, {"max_depth": 8, "min_samples_leaf": 4}, {"max_depth": 99})
    study = _run(tmp_path, _search(n_trials=4, firsts=firsts))
    params = [one.params for one in study.outcomes()]
    assert params[:2] == [{"max_depth": 3}, {"max_depth": 8}]
    assert all(set(one) == {"max_depth", "max_features"} for one in params[2:])


def test_several_families_are_searched_in_one_study(tmp_path):
    """Each begins with its own; a trial has one family, and no hyperparameter of another's."""
    space = {
        "model": Categorical(("decision_tree", "lasso")),
        "decision_tree.max_depth": Int(1, 9),
        "lasso.alpha": Float(0.1, 1.0),
    }
    search = _search(
        family="decision_tree+lasso",
        space=space,
        start={"decision_tree.max_depth": 3, "lasso.alpha": 0.5, "lasso.max_iter": 9},
        firsts=({"model": "decision_tree"}, {"model": "lasso"}),
        n_trials=12,
    )

    def objective(params):
        name, own = search.settings(params)
        assert set(own) == ({"max_depth"} if name == "decision_tree" else {"alpha", "max_iter"})
        yield own.get("max_depth", 0) / 10

    study = _run(tmp_path, search, objective)
    over = study.outcomes()
    assert not any(one.error for one in over)
    assert over[0].params == {"model": "decision_tree", "decision_tree.max_depth": 3}
    assert over[1].params == {"model": "lasso", "lasso.alpha": 0.5}
    assert search.settings(study.best().params)[0] == "decision_tree"
    table = tuning.as_table(over, search.space)
    assert table["param_lasso.alpha"][0].as_py() is None


@pytest.mark.parametrize("name", FAMILIES)
def test_what_does_well_on_many_tables_fits_into_every_familys_search(name):
    """Each of the portfolio's settings changes a hyperparameter that is searched."""
    from baton import models, selection

    for kind in models.family(name).kinds:
        space = models.family(name).space(kind)
        for given in selection.settings_of(name, kind):
            assert set(given) & set(space)


def test_a_study_that_was_interrupted_goes_on_without_repeating_what_is_over(tmp_path):
    """The same trials as without the interruption, each run once."""
    began = []

    def recorded(params):
        began.append(params)
        if len(began) == 6:
            raise KeyboardInterrupt
        yield from _objective(params)

    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path / "a", _search(), recorded)
    study = _run(tmp_path / "a", _search(), recorded)
    assert len(began) == 13
    assert began[5] == began[6], "the interrupted trial keeps its hyperparameters"
    whole = _run(tmp_path / "b", _search())
    assert [o.params for o in study.outcomes()] == [o.params for o in whole.outcomes()]
    assert [o.value for o in study.outcomes()] == [o.value for o in whole.outcomes()]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_study_of_every_familys_own_space_is_opened_again(tmp_path, name):
    """Choices among them: what a storage gives back is what was put there."""
    kind = next(iter(FAMILIES[name].kinds))
    space = tuning.chosen_space(name, kind, {}, {})
    search = _search(family=name, kind=kind, space=space, start={}, n_trials=2, study="again")
    first = _open(tmp_path, search).plan()
    assert _open(tmp_path, search).plan() == first


def test_more_trials_of_a_study_go_on_from_those_it_has(tmp_path):
    """A named study grows."""
    first = [o.params for o in _run(tmp_path, _search(study="mine", n_trials=5)).outcomes()]
    study = _run(tmp_path, _search(study="mine", n_trials=8))
    assert [o.params for o in study.outcomes()][:5] == first
    assert len(study.outcomes()) == 8


def test_a_trial_that_crashes_is_recorded_and_the_study_goes_on(tmp_path):
    """Its error is kept in one line; the others count."""

    def brittle(params):
        if params["max_depth"] > 6:
            raise RuntimeError("too\ndeep")
        yield from _objective(params)

    outcomes = _run(tmp_path, _search(n_trials=20), brittle).outcomes()
    failed = [one for one in outcomes if one.state == "fail"]
    assert failed
    assert {one.error for one in failed} == {"RuntimeError: too deep"}
    assert len(outcomes) == 20


def test_a_score_that_is_no_number_is_a_failed_trial(tmp_path):
    """It must not be the best."""
    study = _run(tmp_path, _search(n_trials=3), lambda _: iter([float("nan")]))
    assert {one.state for one in study.outcomes()} == {"fail"}
    with pytest.raises(InputError, match=r"no trial came to a score.*is nan"):
        study.best()


def test_hopeless_trials_are_given_up(tmp_path):
    """Those below the median of their step stop there."""
    steps = []

    def long(params):
        for step in range(3):
            steps.append(step)
            yield next(_objective(params)) + step / 100

    outcomes = _run(tmp_path, _search(n_trials=30), long).outcomes()
    pruned = [one for one in outcomes if one.state == "pruned"]
    assert pruned
    assert len(steps) < 90
    complete = [one.value for one in outcomes if one.state == "complete"]
    assert max(complete) >= max(one.value for one in pruned)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metric": "log_loss"}, "metric is accuracy, now log_loss"),
        ({"data": "cd" * 32}, "data"),
        ({"space": {"max_depth": Int(1, 10)}}, "space differs in max_depth, max_features"),
        ({"family": "random_forest"}, "model is decision_tree"),
        ({"seed": 8}, "seed is 7, now 8"),
    ],
)
def test_a_study_of_another_search_is_refused_and_kept(tmp_path, change, said):
    """One line says what differs; the journal is byte for byte what it was."""
    _run(tmp_path, _search(study="mine"))
    journal = tmp_path / "studies" / "mine.journal"
    before = journal.read_bytes()
    with pytest.raises(InputError, match="left as it is") as error:
        _open(tmp_path, _search(study="mine", **change))
    assert said in str(error.value)
    assert _lines(journal.read_bytes()) == _lines(before)


def _lines(journal):
    """Entries that say something; opening a study that is there writes that it was wanted."""
    return [line for line in map(json.loads, journal.splitlines()) if line["op_code"] != 0]


def test_a_study_that_baton_did_not_begin_is_refused(tmp_path):
    """Its trials mean something else."""
    import optuna

    storage = tuning.open_storage(Settings(home=tmp_path), "theirs")
    theirs = optuna.create_study(storage=storage, study_name="theirs", direction="minimize")
    theirs.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    with pytest.raises(InputError, match=r"Baton did not begin it.*minimize"):
        _open(tmp_path, _search(study="theirs"))


# --- storage --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.replace(b'"op_code":4', b'"op_code":', 1),
        lambda content: b"\x00\xff\x00 no journal\n" + content,
        lambda content: content.replace(b"{", b"[", 1).replace(b"}\n", b"]\n", 1),
        lambda content: b"3\n" + content,
        lambda content: content + b"{half\n",
        lambda content: content[: len(content) // 2] + b"\n",
        lambda content: content.replace(b'"values":[0.', b'"values":[1.', 1),
        lambda content: b'"sha257"'.join(content.rsplit(b'"sha256"', 1)),
        lambda content: b"",
    ],
)
def test_a_damaged_journal_goes_on_from_before_the_damage(tmp_path, damage):
    """It is put aside as it is, the study has as many trials again, and no score that is wrong."""
    found = _run(tmp_path, _search()).outcomes()
    (journal,) = (tmp_path / "studies").glob("*.journal")
    damaged = damage(journal.read_bytes())
    journal.write_bytes(damaged)
    again = _run(tmp_path, _search()).outcomes()
    assert [one.number for one in again] == [one.number for one in found]
    assert again[0].value == found[0].value
    for one, was in zip(again, found, strict=True):
        assert one.value == was.value or one.params != was.params
    kept = [one.read_bytes() for one in journal.parent.glob("*.aside*")]
    assert kept == ([damaged] if damaged else [])


def test_a_journal_without_checksums_that_is_none_is_refused_and_kept(tmp_path):
    """Of what Optuna alone has written, nobody knows where the damage begins."""
    _run(tmp_path, _search(study="mine"))
    journal = tmp_path / "studies" / "mine.journal"
    before = b'{"op_code":4,"worker_id":"x"}\n' + journal.read_bytes()
    journal.write_bytes(before)
    with pytest.raises(InputError, match=r"mine\.journal is damaged.*left as it is"):
        _open(tmp_path, _search(study="mine"))
    assert journal.read_bytes() == before


def test_half_a_line_of_a_killed_process_is_dropped(tmp_path):
    """What was whole before it stays, and the study goes on."""
    _run(tmp_path, _search(study="mine", n_trials=5))
    journal = tmp_path / "studies" / "mine.journal"
    journal.write_bytes(journal.read_bytes() + b'{"op_code":5,"wor')
    assert len(_run(tmp_path, _search(study="mine", n_trials=8)).outcomes()) == 8


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u@127.0.0.1:9/x", "cannot be reached"),
        ("mysql://u@127.0.0.1:9/x", "cannot be reached"),
        ("postgresql://u:pw@127.0.0.1:9/x", "BATON_STUDY_PASSWORD"),
        ("sqlite:///x.db", "no address of postgresql"),
        ("nonsense", "no address of postgresql"),
    ],
)
def test_a_storage_that_is_none_is_refused_without_the_password(tmp_path, url, said):
    """One line, the password in none."""
    settings = Settings(home=tmp_path, study_storage=url, study_password=SecretStr("hush"))
    with pytest.raises(InputError) as error:
        tuning.open_storage(settings, "mine")
    assert said in str(error.value)
    assert "hush" not in str(error.value)
    assert "\n" not in str(error.value)


# --- several processes ----------------------------------------------------------------------------

WORKER = """
import sys, time
from pathlib import Path
from baton import tuning
from baton.models.space import Int
from baton.settings import Settings
from tests.unit.test_tuning import shared_search
mark = Path(sys.argv[2])
search = shared_search()
study = tuning.open_study(tuning.open_storage(SETTINGS, search.name), search)

def objective(params):
    with mark.open("a") as file:
        file.write(f"{params}\\n")
    time.sleep(0.1)
    yield 0.5

for number in map(int, sys.stdin):
    study.run(number, objective)
    print(number, flush=True)
"""


def _worker(code, home, mark):
    return subprocess.Popen(
        [sys.executable, "-c", code, str(home), str(mark)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def share(home, settings, code):
    """Two processes run 20 trials of one study; one is killed in the middle of its third."""
    search = shared_search()
    numbers = tuning.open_study(tuning.open_storage(settings, search.name), search).plan()
    marks = [home / "one", home / "two"]
    workers = [_worker(code, home, mark) for mark in marks]
    done = set()
    try:
        waiting = numbers[::-1]
        for _ in range(2):  # the first is killed in its third trial
            workers[0].stdin.write(f"{waiting.pop()}\n")
            workers[0].stdin.flush()
            done.add(int(workers[0].stdout.readline()))
        lost = waiting.pop()
        workers[0].stdin.write(f"{lost}\n")
        workers[0].stdin.flush()
        while len(marks[0].read_text().splitlines()) < 3:
            time.sleep(0.01)
        workers[0].send_signal(signal.SIGKILL)
        workers[0].wait()
        rest, _ = workers[1].communicate("".join(f"{n}\n" for n in [*waiting, lost]), timeout=240)
        done |= set(map(int, rest.split()))
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    return search, done, [mark.read_text().splitlines() for mark in marks]


def check_shared(settings, search, done, began):
    """None lost, none twice but the one that was cut short, and that with its hyperparameters."""
    study = tuning.open_study(tuning.open_storage(settings, search.name), search)
    assert done == set(range(20))
    assert [one.state for one in study.outcomes()] == ["complete"] * 20
    assert study.plan() == []
    first, second = began
    assert (len(first), len(second)) == (3, 18)
    assert second[-1] == first[-1]


def test_two_processes_share_a_study_and_one_is_killed(tmp_path):
    """On the journal: 20 trials, none lost, none twice."""
    code = WORKER.replace("SETTINGS", "Settings(home=Path(sys.argv[1]))")
    settings = Settings(home=tmp_path)
    check_shared(settings, *share(tmp_path, settings, textwrap.dedent(code)))


def test_a_journal_says_the_same_however_it_is_written(tmp_path):
    """BATON_FAST=0: each line is on the disk when it was appended; the trials are the same."""
    search = _search(study="mine")
    found = []
    for home, is_fast in ((tmp_path / "quick", True), (tmp_path / "slow", False)):
        settings = Settings(home=home, fast=is_fast)
        study = tuning.open_study(tuning.open_storage(settings, "mine"), search)
        for number in study.plan():
            study.run(number, _objective)
        found.append([(one.state, one.value, one.params) for one in study.outcomes()])
    assert found[0] == found[1]


def test_hyperparameters_are_on_file_before_a_trial_runs(tmp_path):
    """A process that is killed in the middle of it has told them; another reads them."""
    study, other = (_open(tmp_path, _search(study="mine")) for _ in range(2))
    study.plan()
    seen = []

    def looking(params):
        running = [one for one in other.inner.get_trials() if one.state.name == "RUNNING"]
        seen.append((running[0].params, params))
        yield 1.0

    for number in range(8):
        study.run(number, looking)
    assert all(told.items() <= params.items() for told, params in seen)
    assert all(told for told, _ in seen)


@pytest.mark.usefixtures("fast_paths")
def test_what_is_over_is_on_the_disk(tmp_path, monkeypatch):
    """The end of every trial is, and not each of its hyperparameters."""
    study = _open(tmp_path, _search(study="mine"))
    study.plan()
    lines = []
    fsync = os.fsync

    def noting(number):
        fsync(number)
        lines.append((tmp_path / "studies" / "mine.journal").read_bytes().splitlines()[-1])

    monkeypatch.setattr(os, "fsync", noting)
    for number in range(4):
        study.run(number, _objective)
    assert [json.loads(line)["state"] for line in lines] == [1] * 4


# --- validation -----------------------------------------------------------------------------------


def _table(n_rows, seed=0):
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": draw.normal(size=n_rows), "b": draw.normal(size=n_rows)})
    return frame.assign(y=(frame.a + 0.3 * draw.normal(size=n_rows) > 0).astype(int))


def _fit(rows):
    return models.fit(
        rows, models.Recipe("y", CLASSES, family="decision_tree", params={"max_depth": 2})
    )


def test_few_rows_are_cross_validated():
    """Five folds that part the rows; the score is the mean so far."""
    rows = _table(200)
    found = tuning.validation_of(rows.y, CLASSES, seed=1)
    held = np.sort(np.concatenate([held for _, held in found.steps]))
    assert held.tolist() == list(range(200))
    scores = list(found.scores(rows, "y", "accuracy", _fit))
    assert len(scores) == 5
    every = [list(found.scores(rows, "y", "accuracy", _fit))[-1] for _ in range(2)]
    assert every[0] == every[1] == scores[-1]
    assert scores[-1] > 0.8


def test_of_many_rows_a_part_is_held_out():
    """The first step learns from a quarter; no held-out row is ever learned from."""
    rows = _table(FOLDED_ROWS + 1)
    (few, held), (rest, again) = tuning.validation_of(rows.y, CLASSES, seed=1).steps
    assert held.tolist() == again.tolist()
    assert len(held) == pytest.approx(len(rows) / 5, rel=0.01)
    assert set(few) <= set(rest)
    assert len(few) == int(len(rest) / 4)
    assert not set(rest) & set(held)


def test_groups_are_kept_together():
    """No group is on both sides of a step."""
    rows = _table(300)
    groups = np.arange(300) // 3
    for learned, held in tuning.validation_of(rows.y, CLASSES, 0, Bonds(groups)).steps:
        assert not set(groups[learned]) & set(groups[held])


@pytest.mark.parametrize("n_rows", [300, FOLDED_ROWS + 1])
def test_what_is_scored_is_later(n_rows):
    """No step learns from a row that is later than one it scores, whether there are few or many."""
    rows = _table(n_rows)
    times = np.random.default_rng(0).permutation(n_rows)
    steps = tuning.validation_of(rows.y, CLASSES, 0, Bonds(times=times)).steps
    for learned, held in steps:
        assert times[learned].max() < times[held].min()
    assert times[steps[-1][1]].max() == n_rows - 1
