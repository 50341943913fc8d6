"""Metrics, their intervals, and what they are compared with."""

import time
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as theirs
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from baton import models
from baton.errors import InputError
from baton.evaluation import curves, intervals, metrics, validation
from baton.metric import Metric
from baton.terms import GROUP, Kind


def predictions(n_rows, n_classes, seed=0, strength=2.0):
    random = np.random.default_rng(seed)
    codes = random.integers(0, n_classes, n_rows)
    weights = np.exp(random.normal(size=(n_rows, n_classes)) + strength * np.eye(n_classes)[codes])
    return codes, weights / weights.sum(axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_multiclass_values_are_scikit_learns():
    """Every classification metric of three classes is scikit-learn's own number."""
    y, proba = predictions(400, 3)
    found = metrics.classification(y, proba, [0, 1, 2])
    guess = proba.argmax(axis=1)
    assert found == pytest.approx(
        {
            "accuracy": theirs.accuracy_score(y, guess),
            "balanced_accuracy": theirs.balanced_accuracy_score(y, guess),
            "mcc": theirs.matthews_corrcoef(y, guess),
            "f1_macro": theirs.f1_score(y, guess, average="macro"),
            "log_loss": theirs.log_loss(y, proba),
            "roc_auc": theirs.roc_auc_score(y, proba, multi_class="ovr"),
            "average_precision": theirs.average_precision_score(y, proba),
            "brier": theirs.brier_score_loss(y, proba),
        },
        rel=1e-12,
    )


def test_binary_values_are_scikit_learns_for_labels_that_are_strings():
    """Two classes are ranked and calibrated by the second one's probability."""
    y, proba = predictions(300, 2)
    labels = np.array(["no", "yes"])[y]
    found = metrics.classification(labels, proba, ("no", "yes"))
    assert found["roc_auc"] == pytest.approx(theirs.roc_auc_score(y, proba[:, 1]))
    assert found["average_precision"] == pytest.approx(
        theirs.average_precision_score(y, proba[:, 1])
    )
    assert found["brier"] == pytest.approx(theirs.brier_score_loss(y, proba[:, 1]))


def test_regression_values_are_scikit_learns():
    """Every regression metric is scikit-learn's own number."""
    random = np.random.default_rng(0)
    y = random.normal(size=100) + 5
    guess = y + random.normal(size=100)
    assert metrics.regression(y, guess) == {
        "rmse": theirs.root_mean_squared_error(y, guess),
        "mae": theirs.mean_absolute_error(y, guess),
        "median_ae": theirs.median_absolute_error(y, guess),
        "r2": theirs.r2_score(y, guess),
        "mape": theirs.mean_absolute_percentage_error(y, guess),
    }


@pytest.mark.parametrize("labels", [["a", "b"], [False, True], [1, 2], [0.5, 1.5]])
def test_labels_of_any_type_are_classes(labels):
    """Strings, booleans, integers and floats are told apart as labels."""
    y, proba = predictions(50, 2)
    values = pd.Series(np.array(labels)[y])
    expected = metrics.classification(y, proba, [0, 1])
    assert metrics.classification(values, proba, labels) == expected
    assert metrics.classification(values.astype("category"), proba, labels) == expected


def test_float32_probabilities_are_taken_without_a_warning():
    """Rows that sum to 1 in 32 bits only are as good as any."""
    y, proba = predictions(1000, 5)
    found = metrics.classification(y, proba.astype(np.float32), range(5))
    assert found == pytest.approx(metrics.classification(y, proba, range(5)), rel=1e-5)


def test_one_class_among_the_rows_leaves_out_what_needs_two():
    """MCC, ROC AUC and average precision are absent, not NaN, and nothing warns."""
    _, proba = predictions(20, 2)
    found = metrics.classification(np.zeros(20, int), proba, [0, 1])
    absent = {"mcc", "roc_auc", "average_precision"}
    assert set(found) == set(metrics.names(Kind.CLASSIFICATION)) - absent
    assert np.isfinite(list(found.values())).all()


def test_a_class_absent_from_the_rows_leaves_out_the_rankings():
    """One-vs-rest of a class without rows is not defined, so its mean is absent."""
    y, proba = predictions(60, 4)
    kept = y != 3
    found = metrics.classification(y[kept], proba[kept], range(4))
    assert {"roc_auc", "average_precision"}.isdisjoint(found)
    assert {"log_loss", "mcc", "brier"} <= set(found)


def test_a_label_that_the_model_never_saw_counts_as_wrong():
    """It has probability 0: accuracy falls, log loss is finite."""
    found = metrics.classification(["a", "b", "z"], [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]], "ab")
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert 10 < found["log_loss"] < 20


def test_labels_of_another_type_are_refused():
    """Strings where the model knows integers are an error of the caller's, said in one line."""
    with pytest.raises(InputError, match="no label is a class of the model: found '0'"):
        metrics.classification(["0", "1"], [[0.9, 0.1], [0.1, 0.9]], [0, 1])


@pytest.mark.parametrize(
    ("y", "guess", "absent"),
    [
        ([3.0], [2.0], {"r2"}),
        ([3.0, 3.0], [2.0, 4.0], {"r2"}),
        ([0.0, 1.0], [0.5, 0.5], {"mape"}),
        ([], [], set(Metric)),
    ],
)
def test_undefined_regression_metrics_are_left_out(y, guess, absent):
    """R² of equal targets and MAPE of a zero target are absent, and nothing warns."""
    found = metrics.regression(y, guess)
    assert set(found) == set(metrics.names(Kind.REGRESSION)) - absent


@pytest.mark.parametrize("n_classes", [2, 3, 26])
def test_one_metric_is_the_same_alone(n_classes):
    """`score` gives what `classification` gives."""
    y, proba = predictions(600, n_classes)
    found = metrics.classification(y, proba, range(n_classes))
    assert {name: metrics.score(name, y, proba, range(n_classes)) for name in found} == found


def test_an_unknown_metric_is_named_with_the_known_ones():
    """A misspelt metric fails with the fact and the fix."""
    with pytest.raises(
        InputError, match=r"'acuracy'; did you mean 'accuracy'\? there are: accuracy, "
    ):
        metrics.parse("acuracy")


def test_every_metric_says_how_it_is_read():
    """Direction, kind and unit are known of every metric."""
    assert set(metrics.INFO) == set(Metric) == set(metrics.GREATER_IS_BETTER)
    assert metrics.GREATER_IS_BETTER[Metric.R2] and not metrics.GREATER_IS_BETTER[Metric.BRIER]


# --- intervals


def resampled_by_hand(kind, y, output, classes, n_resamples, seed):
    """Row indices of the very resamples, through scikit-learn."""
    children = np.random.SeedSequence([seed, 1]).spawn(n_resamples)
    found = []
    for child in children:
        rows = np.random.default_rng(child).integers(0, len(y), len(y))
        found.append(metrics.evaluate(kind, y[rows], output[rows], classes))
    return found


def by_rows(found, names, n_units):
    quantiles, t = {}, stats.t(n_units - 1).ppf(0.975) * np.sqrt(n_units / (n_units - 1))
    tails = stats.norm.cdf([-t, t])
    for name in names:
        values = [one[name] for one in found if name in one]
        quantiles[name] = tuple(np.quantile(values, tails))
    return quantiles


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("n_ties", [None, 8])
def test_class_intervals_are_those_of_resampled_rows(n_classes, n_ties):
    """Weighted losses and rankings equal scikit-learn's metrics of the resampled rows, ties too."""
    y, proba = predictions(120, n_classes)
    if n_ties:
        proba = np.round(proba * n_ties) + 1
        proba /= proba.sum(axis=1, keepdims=True)
    found = intervals.bootstrap(Kind.CLASSIFICATION, y, proba, range(n_classes), n_resamples=12)
    rows = resampled_by_hand(Kind.CLASSIFICATION, y, proba, range(n_classes), 12, 0)
    names = ["log_loss", "brier", "roc_auc", "average_precision"]
    for name, expected in by_rows(rows, names, 120).items():
        assert found[name] == pytest.approx(expected, rel=1e-9), name


def test_regression_intervals_are_those_of_resampled_rows():
    """Weighted sums and the weighted median equal scikit-learn's of the resampled rows."""
    random = np.random.default_rng(1)
    y = random.normal(size=75) + 5
    guess = y + random.normal(size=75)
    found = intervals.bootstrap(Kind.REGRESSION, y, guess, n_resamples=15)
    rows = resampled_by_hand(Kind.REGRESSION, y, guess, (), 15, 0)
    for name, expected in by_rows(rows, metrics.names(Kind.REGRESSION), 75).items():
        assert found[name] == pytest.approx(expected, rel=1e-9), name


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.integers(5, 60), st.integers(0, 10_000), st.integers(-3, 3))
def test_confusion_metrics_are_scikit_learns(n_classes, n_rows, seed, strength):
    """Accuracy, balanced accuracy, MCC and F1 of any confusion matrix are scikit-learn's."""
    y, proba = predictions(n_rows, n_classes, seed, strength)
    guess = proba.argmax(axis=1)
    matrix = theirs.confusion_matrix(y, guess, labels=range(n_classes))
    found = intervals._of_confusion(matrix[None].astype(float))
    expected = metrics.classification(y, proba, range(n_classes))
    for name, values in found.items():
        if name in expected:
            assert values[0] == pytest.approx(expected[name], abs=1e-12), name


def test_intervals_hold_the_value_and_shrink_with_rows():
    """An interval is around its metric, and a hundred times the rows make it about a tenth."""
    widths = []
    for n_rows in (200, 20_000):
        y, proba = predictions(n_rows, 3)
        values = metrics.classification(y, proba, range(3))
        found = intervals.bootstrap(Kind.CLASSIFICATION, y, proba, range(3))
        assert set(found) == set(values)
        assert all(found[name][0] < values[name] < found[name][1] for name in values)
        widths.append(found["accuracy"][1] - found["accuracy"][0])
    assert widths[1] == pytest.approx(widths[0] / 10, rel=0.35)


def test_intervals_depend_on_the_seed_only():
    """The same seed gives the same intervals, threads or not; another seed gives others."""
    y, proba = predictions(12_000, 3)
    first, again, other = (
        intervals.bootstrap(Kind.CLASSIFICATION, y, proba, range(3), n_resamples=50, seed=seed)
        for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize("n_rows", [0, 1, 2])
def test_intervals_of_hardly_any_rows_are_finite_or_absent(n_rows):
    """No row, one row and two rows give no NaN and no warning."""
    y, proba = predictions(n_rows, 2)
    for found in (
        intervals.bootstrap(Kind.CLASSIFICATION, y, proba, [0, 1]),
        intervals.bootstrap(Kind.REGRESSION, y, proba[:, 0]),
    ):
        assert np.isfinite(list(found.values())).all()


def test_rows_that_were_all_right_are_no_proof():
    """Of 50 right rows the accuracy's interval is Wilson's, and 7 % could be otherwise."""
    y = np.arange(50) % 2
    found = intervals.bootstrap(Kind.CLASSIFICATION, y, np.eye(2)[y], [0, 1])
    assert found["accuracy"] == pytest.approx((0.9286524, 1.0))
    of_25 = 1 - 0.025 ** (1 / 25)
    for name in ("balanced_accuracy", "f1_macro", "roc_auc", "average_precision"):
        assert found[name] == pytest.approx((1 - of_25, 1.0)), name
    assert found["mcc"] == pytest.approx((1 - 2 * of_25, 1.0))
    assert found["log_loss"][1] == pytest.approx((1 - 0.025 ** (1 / 50)) * np.log(2))
    numbers = intervals.bootstrap(Kind.REGRESSION, y + 1.0, y + 1.0)
    assert numbers["rmse"] == pytest.approx((0.0, 0.5 * (1 - 0.025 ** (1 / 50))))
    assert numbers["r2"][0] < 1


def test_whole_units_are_drawn():
    """Metrics of resampled customers are scikit-learn's of all of the customers' rows."""
    y, proba = predictions(150, 3)
    units = np.random.default_rng(0).integers(0, 30, 150)
    found = intervals.bootstrap(
        Kind.CLASSIFICATION, y, proba, range(3), units=units, n_resamples=12
    )
    y_number, guess = proba[:, 0] * 9 + 5, proba[:, 1] * 9
    numbers = intervals.bootstrap(Kind.REGRESSION, y_number, guess, units=units, n_resamples=12)
    classes, values = [], []
    for child in np.random.SeedSequence([0, 1]).spawn(12):
        drawn = np.random.default_rng(child).integers(0, 30, 30)
        rows = np.concatenate([np.flatnonzero(units == one) for one in drawn])
        classes.append(metrics.evaluate(Kind.CLASSIFICATION, y[rows], proba[rows], range(3)))
        values.append(metrics.evaluate(Kind.REGRESSION, y_number[rows], guess[rows]))
    ranked = ["log_loss", "brier", "roc_auc", "average_precision"]
    for name, expected in by_rows(classes, ranked, 30).items():
        assert found[name] == pytest.approx(expected, rel=1e-9), name
    for name, expected in by_rows(values, metrics.names(Kind.REGRESSION), 30).items():
        assert numbers[name] == pytest.approx(expected, rel=1e-9), name


def test_units_of_one_row_are_rows():
    """Metrics of the confusion matrix too, but for the draws."""
    y, proba = predictions(4_000, 3)
    by_row, by_unit = (
        intervals.bootstrap(Kind.CLASSIFICATION, y, proba, range(3), units=units)
        for units in (None, np.arange(4_000))
    )
    for name, (low, high) in by_row.items():
        assert by_unit[name] == pytest.approx((low, high), abs=0.3 * (high - low)), name
    assert by_row["log_loss"] == by_unit["log_loss"]


def test_rows_of_one_unit_have_no_interval():
    """How customers differ is not known of one."""
    y, proba = predictions(50, 2)
    zeros = np.zeros(50, int)
    assert intervals.bootstrap(Kind.CLASSIFICATION, y, proba, [0, 1], units=zeros) == {}


@pytest.mark.parametrize("kind", list(Kind))
def test_intervals_of_customers_cover(kind):
    """95 % intervals hold the truth of 30 customers about as often; those of rows do not."""
    covered = {True: 0, False: 0}
    for seed in range(80):
        y, output, truth, units = of_customers(kind, 30, 12, seed)
        name = "accuracy" if kind is Kind.CLASSIFICATION else "mae"
        for is_by_unit in covered:
            given = units if is_by_unit else None
            low, high = intervals.bootstrap(kind, y, output, [0, 1], units=given, seed=seed)[name]
            covered[is_by_unit] += low <= truth <= high
    assert covered[True] / 80 >= 0.88
    assert covered[False] / 80 < 0.75


def of_customers(kind, n_customers, size, seed):
    """Answers to rows of customers, each as hard to predict as its customer is; and the truth."""
    rng = np.random.default_rng(seed)
    units = np.repeat(np.arange(n_customers), size)
    if kind is Kind.CLASSIFICATION:
        easy = rng.beta(2, 0.5, n_customers)[units]
        right = rng.random(len(units)) < easy
        y = rng.integers(0, 2, len(units))
        return y, np.eye(2)[np.where(right, y, 1 - y)] * 0.8 + 0.1, 0.8, units
    scale = rng.exponential(1.0, n_customers)[units]
    y = rng.normal(size=len(units))
    return y, y + scale * rng.normal(size=len(units)), np.sqrt(2 / np.pi), units


def test_very_many_rows_get_fewer_resamples_never_fewer_rows():
    """The number of resamples is public, 200 up to 1.5 million rows and at least 50."""
    assert [intervals.resamples(n) for n in (0, 10**6, 3 * 10**6, 10**8)] == [200, 200, 100, 50]


def test_intervals_are_quick():
    """Fifty thousand rows of three classes take well under ten seconds on a loaded machine."""
    y, proba = predictions(50_000, 3)
    begun = time.perf_counter()
    intervals.bootstrap(Kind.CLASSIFICATION, y, proba, range(3))
    assert time.perf_counter() - begun < 10


# --- baseline, folds, plots


def quick_fit(table):
    params = {"n_estimators": 10, "n_jobs": 1}
    return models.fit(table, models.Recipe("y", Kind.CLASSIFICATION, params=params))


def test_the_baseline_knows_frequencies_and_nothing_else():
    """A class baseline ranks at chance; a regression baseline predicts the training mean."""
    train, test = np.array([0, 0, 0, 1]), np.array([0, 1, 1, 0])
    found = metrics.baseline(Kind.CLASSIFICATION, train, test, [0, 1])
    assert found["accuracy"] == found["roc_auc"] == 0.5
    assert found["mcc"] == 0.0
    assert metrics.baseline(Kind.REGRESSION, [1.0, 3.0], [2.0, 4.0])["mae"] == 1.0


def test_the_baseline_of_string_labels_keeps_the_classes_order():
    """The most frequent label is predicted wherever it stands among the classes."""
    train = np.array(["b"] * 8 + ["a"] * 2)
    found = metrics.baseline(Kind.CLASSIFICATION, train, np.array(["b", "b", "a"]), ["c", "b", "a"])
    assert found["accuracy"] == pytest.approx(2 / 3)


def test_cross_validation_scores_every_fold():
    """Five folds give five scores of every metric that all of them define, repeatably."""
    y, proba = predictions(300, 3, strength=1.0)
    table = pd.DataFrame(np.log(proba), columns=["a", "b", "c"]).assign(y=y)
    found, again = (
        validation.cross_validate(table, "y", Kind.CLASSIFICATION, folds=5, seed=3, fit=quick_fit)
        for _ in range(2)
    )
    assert found == again
    assert {len(values) for values in found.scores.values()} == {5}
    assert found.mean["accuracy"] == pytest.approx(np.mean(found.scores["accuracy"]))
    assert 0 < found.std["accuracy"] < 0.2


def test_cross_validation_of_a_class_of_one_row():
    """A class that stands in one fold only costs the rankings, not the run."""
    y, proba = predictions(100, 2)
    table = pd.DataFrame(np.log(proba), columns=["a", "b"]).assign(y=np.where(y, "yes", "no"))
    table.loc[0, "y"] = "once"
    found = validation.cross_validate(table, "y", Kind.CLASSIFICATION, folds=3, fit=quick_fit)
    assert "accuracy" in found.mean and "roc_auc" not in found.mean


def test_cross_validation_of_too_few_rows_names_the_fix():
    """More folds than rows fail in one line."""
    table = pd.DataFrame({"a": [1.0, 2.0], "y": [1.0, 2.0]})
    with pytest.raises(InputError, match="2 rows are too few for 5 folds; ask for fewer folds"):
        validation.cross_validate(table, "y", Kind.REGRESSION)


def test_confusion_counts_true_by_predicted():
    """Rows are true labels, columns predicted ones, an unseen label comes last."""
    found = curves.confusion(["b", "b", "a", "z"], ["b", "a", "a", "a"], ["a", "b"])
    assert found.to_numpy().tolist() == [[1, 0, 0], [1, 1, 0], [1, 0, 0]]
    assert found.index.tolist() == found.columns.tolist() == ["a", "b", "z"]


@pytest.mark.parametrize("n_classes", [2, 4])
def test_calibration_counts_every_row_once_per_curve(n_classes):
    """Bins of every curve hold all rows, and observed parts average to the class's part."""
    y, proba = predictions(500, n_classes)
    found = curves.calibration(y, proba, range(n_classes))
    assert set(found["class"]) == ({1} if n_classes == 2 else set(range(n_classes)))
    for label, curve in found.groupby("class"):
        assert curve["n_rows"].sum() == 500
        part = (curve["observed"] * curve["n_rows"]).sum() / 500
        assert part == pytest.approx((y == label).mean())


def test_curves_leave_out_classes_without_rows():
    """ROC and precision-recall curves exist only where they are defined."""
    y, proba = predictions(200, 3)
    kept = y != 2
    for curve in (curves.roc, curves.precision_recall):
        assert set(curve(y[kept], proba[kept], range(3))["class"]) == {0, 1}
        assert curve(np.zeros(9, int), proba[:9], range(3)).empty


def test_folds_keep_groups_together():
    """No group is on both sides of a fold, of a classification or a regression."""
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 20, 200)
    table = pd.DataFrame({"x": rng.random(200), "group": groups, "y": rng.integers(0, 2, 200)})
    for kind in Kind:
        seen = []

        def fit(rows, kind=kind, seen=seen):
            held = set(groups) - set(rows["group"])
            seen.append(held)
            return models.fit(rows, models.Recipe("y", kind, family="decision_tree"))

        hanging = table.assign(**{GROUP: groups})
        validation.cross_validate(hanging, "y", kind, folds=5, fit=fit)
        assert set.union(*seen) == set(groups)
        assert sum(map(len, seen)) == len(set(groups))


def test_differences_are_of_the_same_resamples():
    """What is hard for both cancels out: the interval is narrower than those of each apart."""
    random = np.random.default_rng(0)
    y = random.normal(size=300)
    hard = 3 * random.normal(size=300)
    one, other = y + hard, y + hard + 0.5 * random.normal(size=300)
    low, high = intervals.differences(Kind.REGRESSION, y, (one, other))["rmse"]
    apart = intervals.bootstrap(Kind.REGRESSION, y, one)["rmse"]
    truth = metrics.regression(y, other)["rmse"] - metrics.regression(y, one)["rmse"]
    assert low < truth < high
    assert high - low < 0.5 * (apart[1] - apart[0])


@pytest.mark.parametrize("is_by_unit", [False, True])
def test_intervals_of_differences_cover(is_by_unit):
    """Of two models that are equally good, at least nine of ten intervals hold zero."""
    held = {"accuracy": 0, "log_loss": 0}
    for seed in range(60):
        random = np.random.default_rng(seed)
        units = np.repeat(np.arange(40), 5) if is_by_unit else None
        shared = np.repeat(random.normal(size=40), 5) if is_by_unit else 0.0
        y = (random.normal(size=200) + shared > 0).astype(int)
        answers = []
        for _ in range(2):
            noise = np.repeat(random.normal(size=40), 5) if is_by_unit else random.normal(size=200)
            chance = 1 / (1 + np.exp(-(y - 0.5) - noise))
            answers.append(np.column_stack([1 - chance, chance]))
        found = intervals.differences(
            Kind.CLASSIFICATION, y, tuple(answers), ([0, 1], [0, 1]), units=units, seed=seed
        )
        for name in held:
            held[name] += found[name][0] <= 0 <= found[name][1]
    assert min(held.values()) >= 54


def test_differences_that_are_wanted_are_those_of_all():
    """The same resamples; what no table of confusions says is drawn only where it is wanted."""
    random = np.random.default_rng(1)
    y = random.integers(0, 3, 400)
    answers = tuple(random.dirichlet(np.ones(3), 400) for _ in range(2))
    asked = (Kind.CLASSIFICATION, y, answers, ([0, 1, 2], [0, 1, 2]))
    every = intervals.differences(*asked)
    few = intervals.differences(*asked, wanted=[Metric.ACCURACY, Metric.F1_MACRO])
    assert "roc_auc" in every and "roc_auc" not in few
    assert few.items() <= every.items() and {"accuracy", "f1_macro"} <= few.keys()
    assert intervals.differences(*asked, wanted=[Metric.ACCURACY, Metric.LOG_LOSS]) == every


def test_differences_of_confusions_are_those_of_resampled_rows():
    """Of rows drawn one by one, each model scored on the same; spread and ends agree."""
    random = np.random.default_rng(2)
    y = random.integers(0, 3, 500)
    said = [
        np.where(random.random(500) < share, y, random.integers(0, 3, 500)) for share in (0.4, 0.6)
    ]
    answers = tuple(0.1 + np.eye(3)[one] for one in said)
    found = intervals.differences(
        Kind.CLASSIFICATION, y, answers, ([0, 1, 2], [0, 1, 2]), n_resamples=4000
    )
    rows = random.integers(0, 500, (4000, 500))
    drawn = [(one[rows] == y[rows]).mean(1) for one in said]
    mcc = [[theirs.matthews_corrcoef(y[row], one[row]) for row in rows[:1000]] for one in said]
    expected = {"accuracy": drawn[1] - drawn[0], "mcc": np.subtract(mcc[1], mcc[0])}
    for name, values in expected.items():
        low, high = found[name]
        assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.01)
        assert (high - low) / (2 * 1.96) == pytest.approx(values.std(), rel=0.1)


def test_medians_that_are_not_wanted_are_not_drawn():
    """What is drawn is the same as where all is wanted."""
    random = np.random.default_rng(3)
    y = random.normal(size=200)
    asked = (Kind.REGRESSION, y, (y + 0.1, y + random.normal(size=200)))
    every = intervals.differences(*asked)
    few = intervals.differences(*asked, wanted=[Metric.RMSE])
    assert "median_ae" in every and "median_ae" not in few
    assert few.items() <= every.items() and "rmse" in few


def test_two_models_without_a_mistake_may_yet_differ():
    """That both are right on fifty rows is no proof; of other metrics nothing is made up."""
    y = np.arange(50) % 2
    both = (np.eye(2)[y], np.eye(2)[y])
    found = intervals.differences(Kind.CLASSIFICATION, y, both, ([0, 1], [0, 1]))
    assert found["accuracy"] == pytest.approx((-0.038, 0.038), abs=1e-3)
    assert found["log_loss"] == (0, 0)


def test_differences_take_classes_of_another_order():
    """Each model has its own; a class that one does not know counts as wrong."""
    y = np.asarray(["a", "b", "c"] * 30)
    full = np.eye(3)[np.arange(90) % 3]
    found = intervals.differences(
        Kind.CLASSIFICATION, y, (full, full[:, [2, 0, 1]]), (list("abc"), list("cab"))
    )
    assert found["accuracy"][0] < 0 < found["accuracy"][1]
    assert found["brier"] == (0, 0)
    found = intervals.differences(
        Kind.CLASSIFICATION, y, (full, full[:, :2] + 0.01), (list("abc"), list("ab"))
    )
    assert found["accuracy"][1] < -0.2
