"""Choosing among candidates: what they answer out of fold, who answers together, what it costs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from baton import models, selection
from baton.evaluation.shapley import Method, margin, shap_values
from baton.models import Blend, Ensemble, Member, Mixing, Recipe, fit_blend
from baton.models.checks import check
from baton.selection.greedy import Answers, grow, parts_of
from baton.selection.portfolio import Candidate
from baton.terms import Kind


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


def _squares(actual):
    return lambda rows, output: -float(((actual[rows] - output) ** 2).mean())


def _answers(outputs, actual, start=(0,), n_parts=5):
    parts = np.arange(len(actual)) % n_parts
    return Answers(tuple(outputs), Mixing.NUMBERS, start, parts, _squares(actual))


def test_candidates_whose_errors_cancel_answer_together():
    """Two of independent errors get about the same weight, one that is wrong gets none."""
    random = np.random.default_rng(0)
    actual = random.normal(size=2000)
    outputs = [actual + random.normal(size=2000) for _ in range(2)] + [-actual]
    found = grow(_answers(outputs, actual))
    assert found.weights.sum() == pytest.approx(1)
    assert found.weights[:2] == pytest.approx([0.5, 0.5], abs=0.1)
    assert found.weights[2] == 0
    assert ((found.honest - actual) ** 2).mean() < 0.6


def test_noise_is_not_selected():
    """Among many candidates that are the same but for noise, few rows add nothing to the start."""
    worse = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        actual = random.normal(size=60)
        good = actual + 0.5 * random.normal(size=60)
        outputs = [good] + [good + 0.3 * random.normal(size=60) for _ in range(20)]
        found = grow(_answers(outputs, actual))
        plain = ((good - actual) ** 2).mean()
        worse += ((found.honest - actual) ** 2).mean() > plain
    assert worse == 0, "what is chosen is judged on rows that did not choose it"


def test_rows_of_one_unit_are_in_one_part():
    units = np.random.default_rng(0).integers(0, 30, 500)
    parts = parts_of(500, units, 0)
    assert all(len(set(parts[units == unit])) == 1 for unit in range(30))
    assert len(set(parts)) == 5


@pytest.mark.parametrize("kind", list(Kind))
def test_the_portfolio_holds_settings_that_its_families_take(kind):
    """Names are single, `good` is first, and each setting is checked as a user's is."""
    found = selection.portfolio(kind)
    assert tuple(one.name for one in found[:2]) == selection.GOOD
    assert len({one.name for one in found}) == len(found)
    for one in found:
        check(one.family, models.family(one.family, kind), kind, one.params)


def test_the_portfolio_goes_without_what_is_not_installed(monkeypatch):
    monkeypatch.setattr(selection.portfolio.__globals__["models"], "FAMILIES", models.FAMILIES)
    monkeypatch.setitem(selection.portfolio.__globals__, "is_installed", lambda: False)
    assert "catboost" not in {one.family for one in selection.portfolio(Kind.REGRESSION)}


def test_what_is_not_expected_to_end_in_time_is_not_begun():
    """Expected by what its family took, else by what others did; refits are reckoned with."""
    slow, quick = Candidate("a", "xgboost", cost=1.0), Candidate("b", "lightgbm", cost=2.0)
    done = [(slow, 10.0)]
    assert selection.expected_seconds(quick, done) == 20.0
    assert selection.expected_seconds(quick, [*done, (quick, 5.0)]) == 5.0
    assert selection.expected_seconds(quick, []) == 0.0
    budget = selection.Budget(60.0, at_once=2, afterwards=0.25)
    assert budget.fits(spent=40.0, expected=28.0)
    assert not budget.fits(spent=40.0, expected=29.0)


def test_rows_of_a_group_and_later_rows_are_answered_by_models_that_did_not_see_them():
    """Groups stay whole, and no answer rests on a later row."""
    from baton.bonds import Bonds

    groups, y = np.repeat(np.arange(20), 5), pd.Series(np.arange(100.0))
    for learned, held in selection.steps_of(y, Kind.REGRESSION, 0, Bonds(groups=groups)):
        assert not set(groups[learned]) & set(groups[held])
    for learned, held in selection.steps_of(y, Kind.REGRESSION, 0, Bonds(times=np.arange(100))):
        assert learned.max() < held.min()


def _table(kind, n=300, classes=2):
    random = np.random.default_rng(1)
    frame = pd.DataFrame(random.normal(size=(n, 3)), columns=["a", "b", "c"])
    frame["d"] = pd.Categorical(random.choice(["x", "y", "z"], n))
    value = frame["a"] + (frame["d"] == "x") + 0.3 * random.normal(size=n)
    labels = [f"k{i}" for i in range(max(classes, 2))]
    label = pd.qcut(value, len(labels), labels=labels).astype(object)
    return frame.assign(label=label if kind is Kind.CLASSIFICATION else value)


def test_out_of_fold_answers_are_kept_and_found_again():
    """Each row once, every class a column, and the costs beside them."""
    table = _table(Kind.CLASSIFICATION, classes=3)
    recipe = Recipe("label", Kind.CLASSIFICATION, "logistic_regression")
    steps = selection.steps_of(table["label"], Kind.CLASSIFICATION, 0)
    classes = ("k0", "k1", "k2")
    found = selection.predict_out_of_fold(
        table, "label", classes, steps, lambda rows: models.fit(rows, recipe)
    )
    assert found.rows.tolist() == list(range(300))
    np.testing.assert_allclose(found.output.sum(axis=1), 1.0)
    assert (np.asarray(classes)[found.output.argmax(axis=1)] == table["label"]).mean() > 0.7
    again = selection.OutOfFold.of_table(found.table({"candidate": "l"}))
    np.testing.assert_array_equal(again.output, found.output)
    assert again.cost == found.cost
    assert found.cost.n_bytes > 0 and found.cost.rows_per_second > 0


FEW = {"n_estimators": 20, "early_stopping": False}


def _blend(kind, *families, mixing):
    params = {name: FEW if name in {"xgboost", "lightgbm", "catboost"} else {} for name in families}
    params |= {"extra_trees": {"n_estimators": 5}}
    weight = 1 / len(families)
    return Blend(
        tuple(Member(name, Recipe("label", kind, name, params[name]), weight) for name in families),
        mixing,
    )


EXACT = [
    (Kind.CLASSIFICATION, 2, ("xgboost", "lightgbm", "catboost"), Mixing.MARGINS, Method.TREE),
    (Kind.CLASSIFICATION, 3, ("xgboost", "logistic_regression"), Mixing.MARGINS, Method.MEAN),
    (Kind.REGRESSION, 0, ("lightgbm", "extra_trees"), Mixing.NUMBERS, Method.TREE),
    (Kind.REGRESSION, 0, ("xgboost", "lasso"), Mixing.NUMBERS, Method.MEAN),
]


@pytest.mark.parametrize(("kind", "classes", "families", "mixing", "method"), EXACT)
def test_an_ensemble_is_explained_exactly_where_its_members_are(
    kind, classes, families, mixing, method
):
    """Base value and Shapley values add up to the ensemble's margin, which makes its answer."""
    table = _table(kind, classes=classes)
    rows = table.drop(columns="label")
    model = fit_blend(table, _blend(kind, *families, mixing=mixing))
    found = shap_values(model, rows, background=rows)
    output = margin(model, rows)
    np.testing.assert_allclose(found.values.sum(axis=1) + found.base_values, output, atol=1e-4)
    assert found.method is method
    if kind is Kind.REGRESSION:
        np.testing.assert_allclose(output[:, 0], model.predict(rows), rtol=1e-5)
        return
    from scipy.special import expit, softmax

    proba = softmax(output, axis=1) if classes > 2 else expit(output[:, 0])
    answered = model.predict_proba(rows)
    np.testing.assert_allclose(answered if classes > 2 else answered[:, 1], proba, atol=1e-5)


def test_an_ensemble_of_probabilities_is_explained_over_a_background_sample():
    table = _table(Kind.CLASSIFICATION, n=60)
    rows = table.drop(columns="label")
    families = ("xgboost", "extra_trees")
    model = fit_blend(table, _blend(Kind.CLASSIFICATION, *families, mixing=Mixing.PROBABILITIES))
    assert model.explain is models.Explain.ANY
    found = shap_values(model, rows.head(3), background=rows)
    total = found.values.sum(axis=1) + found.base_values
    np.testing.assert_allclose(total[:, 0], model.predict_proba(rows.head(3))[:, 1], atol=1e-6)
    assert found.method is Method.ENUMERATED
    assert found.classes == ("k1",)


def test_an_ensemble_at_rest_is_json_and_its_members_own_files(tmp_path):
    """It is loaded as what it was, weights and all, and holds no pickle."""
    table = _table(Kind.CLASSIFICATION)
    blend = _blend(Kind.CLASSIFICATION, "xgboost", "logistic_regression", mixing=Mixing.MARGINS)
    model = fit_blend(table, blend, {"problem": "table"})
    model.save(tmp_path / "it")
    again = models.load(tmp_path / "it")
    assert isinstance(again, Ensemble)
    assert (again.weights, again.names, again.origin) == (model.weights, model.names, model.origin)
    rows = table.drop(columns="label")
    np.testing.assert_array_equal(again.predict_proba(rows), model.predict_proba(rows))
    suffixes = {path.suffix for path in (tmp_path / "it").rglob("*") if path.is_file()}
    assert suffixes == {".json", ".ubj", ".skops"}
    models.check_file(model, tmp_path / "it", rows)


def test_permutation_importance_of_an_ensemble_is_scikit_learns():
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.inspection import permutation_importance as theirs
    from sklearn.metrics import make_scorer, mean_squared_error

    from baton.evaluation import importance

    table = _table(Kind.REGRESSION)
    rows = table.drop(columns="label")
    model = fit_blend(table, _blend(Kind.REGRESSION, "lightgbm", "lasso", mixing=Mixing.NUMBERS))
    found = importance.permutation_importance(model, rows, table["label"], "rmse", 2, 0)

    class Wrapped(RegressorMixin, BaseEstimator):
        def fit(self, X, y): ...

        def predict(self, X):
            return model.predict(X)

    scorer = make_scorer(lambda y, p: -(mean_squared_error(y, p) ** 0.5))
    wanted = theirs(Wrapped(), rows, table["label"], scoring=scorer, n_repeats=2, random_state=0)
    np.testing.assert_allclose(found.mean, wanted.importances_mean, rtol=1e-6)


def _ground(kind, actual, metric, classes=()):
    return selection.Ground(kind, metric, actual, classes)


def test_the_leaderboard_says_whether_the_first_is_better_by_more_than_noise():
    """One that is worse by far is behind; one that is as good is not."""
    random = np.random.default_rng(0)
    actual = random.normal(size=500)
    error = random.normal(size=500)
    cost = selection.Cost(1.0, 0.2, 1000.0, 10)
    entries = [
        selection.Entry("bad", "lasso", {}, actual + 3 * error, cost),
        selection.Entry("first", "xgboost", {}, actual + error, cost),
        selection.Entry(
            "twin", "lightgbm", {}, actual + error + 0.01 * random.normal(size=500), cost
        ),
    ]
    lines = selection.lines_of(_ground(Kind.REGRESSION, actual, "rmse"), entries)
    by_name = {line.candidate: line for line in lines}
    assert lines[-1].candidate == "bad"
    assert by_name["bad"].is_behind
    assert not any(by_name[name].is_behind for name in ("first", "twin"))
    assert lines[0].low < lines[0].score < lines[0].high
    assert "may be noise" in selection.verdict(lines)
    assert "more than noise" in selection.verdict((lines[0], lines[2]))
    assert selection.of_table(selection.as_table(lines)) == lines


def test_a_difference_of_grouped_rows_is_drawn_by_group():
    """Rows that repeat a group's luck do not make it surer."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 50)
    actual = np.zeros(600)
    luck = np.repeat(random.normal(size=12), 50)
    one, other = 1.0 + 0.4 * luck, np.ones(600)
    by_row = selection.difference("rmse", actual, one, other)
    by_group = selection.difference("rmse", actual, one, other, units=groups)
    assert by_group.high - by_group.low > 3 * (by_row.high - by_row.low)


def test_rows_that_do_not_count_decide_nothing():
    """Score, interval and ranking are those of the other rows; difference of pairs likewise."""
    random = np.random.default_rng(0)
    actual, weights = random.normal(size=400), np.repeat([1.0, 0.0], 200)
    misled = np.where(weights > 0, 0.3, 9.0) * random.normal(size=400)
    cost = selection.Cost(1.0, 0.2, 1000.0, 10)
    entries = [
        selection.Entry("good_where_it_counts", "lasso", {}, actual + misled, cost),
        selection.Entry("even", "xgboost", {}, actual + random.normal(size=400), cost),
    ]
    ground = replace(_ground(Kind.REGRESSION, actual, "rmse"), weights=weights)
    first, second = selection.lines_of(ground, entries)
    assert first.candidate == "good_where_it_counts"
    assert first.score == pytest.approx(float(np.sqrt((misled[:200] ** 2).mean())))
    assert first.low < first.score < first.high < 1
    assert second.is_behind
    assert second.behind == pytest.approx(second.score - first.score)
    rows = np.arange(100, 300)
    assert ground.score(rows, (actual + misled)[rows]) == pytest.approx(
        -float(np.sqrt((misled[100:200] ** 2).mean()))
    )


def test_candidates_answer_out_of_fold_together():
    """By their weights; `good` is the two boosters alike."""
    cost, rows = selection.Cost(1.0, 0.2, 1000.0, 10), np.arange(2)
    answers = {
        name: selection.OutOfFold(rows, np.full(2, value), cost)
        for name, value in (("xgboost", 1.0), ("lightgbm", 2.0), ("lasso", 5.0))
    }
    places, both = selection.answers_of({"good": 1.0}, Mixing.NUMBERS, answers)
    assert (places.tolist(), both.tolist()) == ([0, 1], [1.5, 1.5])
    _, other = selection.answers_of({"xgboost": 0.75, "lasso": 0.25}, Mixing.NUMBERS, answers)
    assert other.tolist() == [2.0, 2.0]


def test_voting_families_come_in_only_for_more_than_noise():
    """Exact Shapley values are not given up for nothing."""
    random = np.random.default_rng(0)
    actual = np.array(["n", "y"])[random.integers(0, 2, 800)]
    truth = (actual == "y").astype(float)

    def seen(noise):
        p = 1 / (1 + np.exp(-(2 * (2 * truth - 1) + noise * random.normal(size=800))))
        return np.column_stack([1 - p, p])

    candidates = [Candidate(name, name) for name in ("xgboost", "lightgbm", "random_forest")]
    ground = _ground(Kind.CLASSIFICATION, actual, "accuracy", ("n", "y"))
    assert ground.deciding == "log_loss"
    same = {"xgboost": seen(2), "lightgbm": seen(2)}
    idle = selection.choose_blend(ground, candidates, same | {"random_forest": same["xgboost"]})
    assert idle.mixing is Mixing.MARGINS
    strong = selection.choose_blend(ground, candidates, same | {"random_forest": seen(0.1)})
    assert strong.weights == {"random_forest": 1.0}


def test_what_is_not_better_than_good_by_more_than_noise_is_not_taken():
    """The default stays where nothing helps, and where nothing else was tried."""
    random = np.random.default_rng(0)
    actual = random.normal(size=300)
    names = ("xgboost", "lightgbm", "lasso")
    candidates = [Candidate(name, name) for name in names]
    shared = random.normal(size=300)
    outputs = {name: actual + shared + 0.01 * random.normal(size=300) for name in names}
    ground = _ground(Kind.REGRESSION, actual, "rmse")
    good = {"xgboost": 0.5, "lightgbm": 0.5}
    assert selection.choose_blend(ground, candidates, outputs).weights == good
    assert selection.choose_blend(ground, candidates[:2], outputs).weights == good
    helped = outputs | {"lasso": actual - shared}
    assert selection.choose_blend(ground, candidates, helped).weights["lasso"] > 0.4


def test_one_that_is_far_ahead_answers_alone():
    """What an ensemble begins with is no burden to it."""
    random = np.random.default_rng(0)
    actual = random.normal(size=300)
    candidates = [Candidate(name, name) for name in ("xgboost", "lightgbm", "lasso")]
    outputs = {one.name: actual + 3 * random.normal(size=300) for one in candidates}
    outputs["lasso"] = actual + 0.01 * random.normal(size=300)
    ground = _ground(Kind.REGRESSION, actual, "rmse")
    assert selection.choose_blend(ground, candidates, outputs).weights == {"lasso": 1.0}
