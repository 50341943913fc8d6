"""Pictures."""

import io
import logging
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

from baton import selection
from baton.errors import InputError
from baton.evaluation import curves, metrics
from baton.evaluation.importance import Importance
from baton.evaluation.shapley import Scale, ShapValues
from baton.settings import settings
from baton.showing import plots

LONG = "mean_amount_of_all_transactions_of_the_last_{:03d}_days_before_the_event"


def labels_and_proba(n_classes, n_rows=900, seed=0):
    rng = np.random.default_rng(seed)
    classes = [f"class {place}" for place in range(n_classes)]
    codes = np.arange(n_rows) % n_classes
    scores = rng.normal(size=(n_rows, n_classes))
    scores[np.arange(n_rows), codes] += 2
    proba = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return np.array(classes)[codes], proba, classes


def importance(names, metric="accuracy"):
    raw = np.random.default_rng(0).normal(0.1, 0.1, (len(names), 5))
    return Importance(raw.mean(1), raw.std(1), raw, tuple(names), metric, 0.9)


def explained(table, classes=(), scale=Scale.MARGIN, size=1.0, n_outputs=None):
    shape = (len(table), table.shape[1], n_outputs or max(1, len(classes)))
    values = np.random.default_rng(1).normal(0, size, shape)
    names = tuple(map(str, table.columns))
    return ShapValues(values, np.zeros(shape[2]), names, tuple(classes), scale)


def mixed(n_rows=60):
    """Every kind of column, each with values that are missing."""
    rng = np.random.default_rng(2)
    table = pd.DataFrame(
        {
            "number": rng.normal(size=n_rows),
            "whole": pd.array(rng.integers(0, 9, n_rows), dtype="Int64"),
            "flag": pd.array(rng.random(n_rows) < 0.5, dtype="boolean"),
            "category": pd.Categorical(rng.choice(["a", "b $ c $", "d"], n_rows)),
            "rank": pd.Categorical(rng.choice(["low", "high"], n_rows), ["low", "high"], True),
            "text": pd.Series(rng.choice([f"city {i}" for i in range(40)], n_rows), dtype=object),
            "date": pd.date_range("2024-01-01", periods=n_rows),
            "moment": pd.date_range("2024-01-01", periods=n_rows, tz="Europe/Berlin"),
            "constant": 1.0,
            "infinite": np.inf,
            "empty": np.nan,
        }
    )
    table.loc[::5, :] = table.loc[::5, :].mask(np.ones((len(table.loc[::5]), 11), dtype=bool))
    return table


def wide(n_features=200, n_rows=40):
    rng = np.random.default_rng(3)
    names = [LONG.format(place) for place in range(n_features)]
    return pd.DataFrame(rng.normal(size=(n_rows, n_features)), columns=names)


TABLES = {
    "mixed columns": mixed(),
    "one feature": mixed()[["number"]],
    "200 features": wide(),
    "one row": mixed().iloc[1:2],
    "names that mean something elsewhere": pd.DataFrame(
        np.arange(60.0).reshape(20, 3), columns=["$a$b$", "_hidden", "<script>x=1</script>"]
    ),
}


def classification(n_classes):
    y, proba, classes = labels_and_proba(n_classes)
    predicted = np.array(classes)[proba.argmax(1)]
    values = metrics.classification(y, proba, classes)
    spread = {name: (value - 0.02, value + 0.02) for name, value in values.items()}
    return {
        "confusion": plots.confusion_matrix(curves.confusion(y, predicted, classes)),
        "roc": plots.roc_curves(curves.roc(y, proba, classes)),
        "pr": plots.precision_recall_curves(curves.precision_recall(y, proba, classes)),
        "calibration": plots.calibration_curve(curves.calibration(y, proba, classes)),
        "metrics": plots.metric_intervals(values, spread, {"accuracy": 0.3}, {"accuracy": 0.8}),
    }


def regression(n_rows, scale=1.0):
    rng = np.random.default_rng(0)
    actual = rng.normal(size=n_rows) * scale
    predicted = actual + rng.normal(size=n_rows) * scale / 3
    values = metrics.regression(actual, predicted)
    return {
        "fit": plots.predicted_vs_actual(actual, predicted, "duration_min", "min"),
        "residuals": plots.residuals(actual, predicted, "duration_min", "min"),
        "metrics": plots.metric_intervals(values, {}, {}, unit="min"),
        "leaderboard": plots.leaderboard(candidates(values["rmse"]), "rmse", "min"),
    }


def candidates(score):
    """Lines of a leaderboard; of one nothing is known but that it answered."""
    ends = [(score, score * 0.9, score * 1.1), (score * 1.5, None, None), (None, None, None)]
    return tuple(
        selection.Line(
            candidate=f"xgboost_{place}",
            model="xgboost",
            metric="rmse",
            score=value,
            low=low,
            high=high,
            behind=None,
            behind_low=None,
            behind_high=None,
            is_behind=place == 1,
            fit_seconds=0.1,
            rows_per_second=1e4,
            n_bytes=1000,
            weight=1.0 - min(place, 1),
            params="{}",
        )
        for place, (value, low, high) in enumerate(ends)
    )


def explanations(table, found):
    return {
        "bar": plots.shap_bar(found),
        "beeswarm": plots.shap_beeswarm(found, table),
        "dependence": plots.shap_dependence(found, table),
        "waterfall": plots.shap_waterfall(found, table, 0, row_id=17),
    }


def is_whole(figure):
    """Every letter that can be seen is inside the figure."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer, frame = canvas.get_renderer(), figure.bbox
    for text in figure.findobj(Text):
        if not text.get_visible() or not text.get_text().strip() or not is_on(text, figure):
            continue
        box = text.get_window_extent(renderer)
        inside = box.x0 >= -2 and box.y0 >= -2 and box.x1 <= frame.x1 + 2 and box.y1 <= frame.y1 + 2
        assert inside, (text.get_text(), box, frame)
    return True


def is_on(text, figure):
    """Whether it is drawn: ticks beyond the limits of an axis are not."""
    for ax in figure.axes:
        for axis, (low, high) in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if text in (tick.label1, tick.label2):
                    return min(low, high) <= tick.get_loc() <= max(low, high)
    return True


def speaks(picture):
    assert picture.title and picture.alt.endswith(".") and len(picture.alt) > 20
    assert "nan" not in picture.alt.split()
    return True


@pytest.mark.parametrize("n_classes", [2, 10, 120])
def test_a_classification_of_any_number_of_classes_is_legible(n_classes):
    """No letter is cut off, and every picture has words."""
    for picture in classification(n_classes).values():
        assert is_whole(picture.figure)
        assert speaks(picture)


@pytest.mark.parametrize(("n_rows", "scale"), [(1, 1.0), (300, 1e-6), (5000, 1e7)])
def test_a_regression_of_any_size_and_scale_is_legible(n_rows, scale):
    """No letter is cut off, from one row to hexagons, from micro to mega."""
    for picture in regression(n_rows, scale).values():
        assert is_whole(picture.figure)
        assert speaks(picture)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("classes", [(), ("a", "$b$", "_c")], ids=len)
def test_explanations_of_any_table_are_legible(name, classes):
    """Missing values, categories, dates, one feature or 200: no letter is cut off."""
    table = TABLES[name]
    for picture in explanations(table, explained(table, classes)).values():
        assert is_whole(picture.figure)
        assert speaks(picture)


@pytest.mark.parametrize("name", mixed().columns)
def test_the_dependence_on_any_kind_of_column_is_legible(name):
    """Numbers, flags, categories, dates, constants and nothing at all."""
    table = mixed()
    picture = plots.shap_dependence(explained(table), table, feature=name)
    assert is_whole(picture.figure)
    assert speaks(picture)


@pytest.mark.parametrize(
    ("scale", "size"), [*((one, 0.0) for one in Scale), (Scale.VALUE, 1e-9), (Scale.MARGIN, 1e9)]
)
def test_shapley_values_of_any_size_are_legible(scale, size):
    """A model that learned nothing, tiny and huge values."""
    table = mixed().iloc[:, :4]
    for picture in explanations(table, explained(table, scale=scale, size=size)).values():
        assert is_whole(picture.figure)
        assert speaks(picture)


@pytest.mark.parametrize("value", [-3.1, 3.1, -12345.678, 12345.678, 1e-3])
def test_a_waterfall_keeps_its_ends_inside(value):
    """The mean and the row's output are named, at whichever end they stand."""
    table = pd.DataFrame({"x": [1.0]})
    found = ShapValues(np.full((1, 1, 1), value), np.array([-value]), ("x",), (), Scale.VALUE)
    assert is_whole(plots.shap_waterfall(found, table, 0).figure)


@pytest.mark.parametrize("n_features", [1, 5, 200])
def test_permutation_importance_is_legible_and_says_what_it_leaves_out(n_features):
    """At most 20 bars, and a note of how many features have none."""
    names = list(wide(n_features).columns)
    picture = plots.permutation_importance(importance(names))
    assert is_whole(picture.figure)
    assert speaks(picture)
    assert len(picture.figure.axes[0].patches) == min(n_features, 20)
    assert ("180 are not" in picture.caption) == (n_features == 200)


def test_long_names_stay_apart():
    """Names that differ only in the middle are still told apart in the picture."""
    picture = plots.permutation_importance(importance(wide(20).columns))
    shown = [label.get_text() for label in picture.figure.axes[0].get_yticklabels()]
    assert len(set(shown)) == 20
    assert any("007" in name for name in shown)


def test_the_confusion_matrix_says_what_is_confused():
    """The alternative text is made from the counts."""
    counts = pd.DataFrame([[90, 10], [0, 100]], index=["cat", "dog"], columns=["cat", "dog"])
    assert plots.confusion_matrix(counts).alt == (
        "Confusion matrix of 2 classes: 95 % of 200 rows on the diagonal; most often confused:"
        " cat taken for dog (10 % of cat)."
    )
    perfect = pd.DataFrame([[1, 0], [0, 1]])
    assert plots.confusion_matrix(perfect).alt.endswith("none is confused.")


def test_many_classes_show_the_mean_and_the_worst_few():
    """Beyond ten classes, six curves and a line that says so."""
    y, proba, classes = labels_and_proba(26)
    picture = plots.roc_curves(curves.roc(y, proba, classes))
    legend = [text.get_text() for text in picture.figure.axes[0].get_legend().get_texts()]
    assert len(legend) == 7
    assert legend[1].startswith("mean of 26")
    assert "worst 5" in picture.caption


def test_the_areas_in_the_legends_are_scikit_learns():
    """The thinned curves still hold ROC AUC and average precision."""
    y, proba, classes = labels_and_proba(2, n_rows=2000)
    positive = y == classes[1]
    roc = plots.roc_curves(curves.roc(y, proba, classes))
    pr = plots.precision_recall_curves(curves.precision_recall(y, proba, classes))
    assert f"{roc_auc_score(positive, proba[:, 1]):.3f}" in roc.alt
    assert f"{average_precision_score(positive, proba[:, 1]):.3f}" in pr.alt


def test_categories_and_dates_are_named_on_the_axis():
    """The axis of a dependence shows levels, never their codes."""
    table = mixed()
    found = explained(table)
    for name, wanted in (("category", "(missing)"), ("flag", "True"), ("text", " others)")):
        ax = plots.shap_dependence(found, table, feature=name).figure.axes[0]
        assert any(label.get_text().endswith(wanted) for label in ax.get_xticklabels())
    picture = plots.shap_dependence(found, table, feature="moment")
    picture.figure.canvas.draw()
    shown = [label.get_text() for label in picture.figure.axes[0].get_xticklabels()]
    assert "2024" in " ".join(shown) or any(name[:1].isalpha() for name in shown)


def test_units_stand_where_they_are_known():
    """Axes carry the units that the caller gives."""
    table = pd.DataFrame({"distance": np.linspace(0, 9, 40), "hour": np.arange(40.0)})
    found = explained(table, scale=Scale.VALUE)
    picture = plots.shap_dependence(found, table, "distance", unit="min", units={"distance": "km"})
    ax = picture.figure.axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("distance [km]", "SHAP value [min]")
    waterfall = plots.shap_waterfall(found, table, 4, unit="min", units={"distance": "km"})
    assert "km" in waterfall.alt


def test_a_missing_value_has_no_unit():
    """It is called missing, and nothing else."""
    table = pd.DataFrame({"age": [np.nan, 1.0]})
    picture = plots.shap_waterfall(explained(table), table, 0, units={"age": "years"})
    assert "age = missing (" in picture.alt


def test_png_is_the_same_each_time_and_small():
    """Same figure, same bytes; 1200 pixels wide for a page of 800."""
    y, proba, classes = labels_and_proba(3)
    drawn = [plots.png(plots.roc_curves(curves.roc(y, proba, classes)).figure) for _ in range(2)]
    assert drawn[0] == drawn[1]
    image = Image.open(io.BytesIO(drawn[0])).convert("RGB")
    assert image.size == (1200, 810)
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert len(drawn[0]) < 150_000


def test_shap_pictures_are_the_same_each_time():
    """The jitter of points is seeded."""
    table = mixed()
    found = explained(table)
    drawn = [plots.png(plots.shap_beeswarm(found, table).figure) for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_drawing_leaves_the_process_as_it_was():
    """No open figure, no other backend, style, random stream or interactive mode."""
    mine = plt.figure()
    plt.ion()
    try:
        np.random.seed(7)
        wanted = np.random.random()
        np.random.seed(7)
        before = dict(matplotlib.rcParams)
        explanations(mixed(), explained(mixed()))
        assert np.random.random() == wanted
        assert dict(matplotlib.rcParams) == before
        assert plt.get_fignums() == [mine.number]
        assert plt.gcf() is mine
        assert plt.isinteractive()
    finally:
        plt.ioff()
        plt.close("all")


def test_a_users_style_changes_nothing():
    """A picture on a dark theme is the same picture."""
    y, proba, classes = labels_and_proba(2)
    points = curves.roc(y, proba, classes)
    light = plots.png(plots.roc_curves(points).figure)
    with matplotlib.style.context("dark_background"):
        assert plots.png(plots.roc_curves(points).figure) == light


def test_pictures_are_drawn_in_threads():
    """Threads that draw at the same time draw what one alone draws."""
    table = mixed().iloc[:, :2]
    found = explained(table)

    def draw(place):
        assert threading.current_thread() is not threading.main_thread()
        return plots.png(plots.shap_waterfall(found, table, place).figure)

    alone = [plots.png(plots.shap_waterfall(found, table, place).figure) for place in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(draw, range(4))) == alone


def test_a_failure_gives_the_process_back():
    """A picture that cannot be drawn leaves no figure behind."""
    table = mixed()
    with pytest.raises(IndexError):
        plots.shap_waterfall(explained(table), table, 10_000)
    with pytest.raises(InputError, match="lacks columns"):
        plots.shap_beeswarm(explained(table), table[["number"]])
    assert plt.get_fignums() == []


def test_nothing_to_draw_is_said():
    """One clear line instead of an empty picture."""
    table = mixed().iloc[:0]
    with pytest.raises(InputError, match="no row was explained"):
        plots.shap_bar(explained(table))
    with pytest.raises(InputError, match="no class"):
        plots.roc_curves(pd.DataFrame(columns=["class", "false_positive_rate"]))
    with pytest.raises(InputError, match="no held-out row"):
        plots.residuals([np.nan], [1.0], "y")


def test_nothing_is_logged(caplog):
    """Matplotlib's advice is for programmers."""
    with caplog.at_level(logging.WARNING):
        table = mixed().iloc[:, :5]
        for picture in explanations(table, explained(table)).values():
            plots.png(picture.figure)
    assert caplog.records == []


def test_metrics_that_share_no_scale_share_no_axis():
    """RMSE in minutes and R² stand in panels of their own."""
    picture = plots.metric_intervals(
        {"rmse": 3.0, "mae": 2.0, "r2": 0.8, "mape": 0.1}, {}, {}, unit="min"
    )
    labels = [ax.get_xlabel() for ax in picture.figure.axes]
    assert labels == ["lower is better [min]", "higher is better", "lower is better"]


# --- what matplotlib does not promise to keep


@pytest.fixture
def no_display(monkeypatch):
    """A backend of the user's that can make no figure."""

    class Canvas(FigureCanvasAgg):
        @classmethod
        def new_manager(cls, figure, num):
            raise RuntimeError("no display")

    backend = types.ModuleType("refusing")
    backend.FigureCanvas = Canvas
    monkeypatch.setitem(sys.modules, "refusing", backend)
    before = plt.get_backend()
    plt.switch_backend("module://refusing")
    yield
    plt.switch_backend(before)


@pytest.fixture(params=["gone", "switched off"])
def lose_internals(request, monkeypatch):
    """Call it, and the list of figures is elsewhere, or is not to be reached for."""

    def lose():
        if request.param == "gone":
            monkeypatch.setitem(sys.modules, "matplotlib._pylab_helpers", None)
        else:
            monkeypatch.setenv("BATON_INTERNALS", "0")
        settings.cache_clear()

    yield lose
    settings.cache_clear()


def test_the_list_of_figures_is_needed(no_display):
    """pyplot asks the user's backend, which may have no display; pictures never do."""
    with pytest.raises(RuntimeError, match="no display"):
        plt.figure()
    table = mixed()
    assert plots.png(plots.shap_bar(explained(table)).figure)


def test_without_the_list_of_figures_the_pictures_are_the_same(lose_internals):
    """Drawn by a backend that needs no display; the user's is there again afterwards."""
    table, backend = mixed(), plt.get_backend()

    def drawn():
        pictures = explanations(table, explained(table))
        return {name: plots.png(one.figure) for name, one in pictures.items()}

    wanted = drawn()
    lose_internals()
    assert drawn() == wanted
    assert plt.get_backend() == backend
    assert plt.get_fignums() == []


def test_without_the_list_of_figures_no_display_is_needed(no_display, lose_internals):
    """The user's backend is not asked for the figure."""
    lose_internals()
    table = mixed()
    assert plots.png(plots.shap_bar(explained(table)).figure)
    assert plt.get_backend() == "module://refusing"


def _studied(trials):
    """A study of these hyperparameters and scores."""
    import optuna

    study = optuna.create_study(direction="maximize")
    for params, value in trials:
        spaces = {name: optuna.distributions.IntDistribution(1, 9) for name in params}
        made = optuna.trial.create_trial(params=params, distributions=spaces, value=value)
        study.add_trial(made)
    return study


@pytest.mark.parametrize(
    "trials",
    [
        [({"a": 1}, 0.4), ({"a": 2, "b": 3}, 0.5), ({"a": 3, "b": 4}, 0.5)],
        [({"a": 1}, 0.4), ({"b": 2}, 0.5)],
    ],
)
def test_a_search_that_tells_nothing_of_weights_is_drawn_without_them(trials):
    """Where the trials that have all hyperparameters have one score, there is nothing to share."""
    names = [picture.name for picture in plots.search_pictures(_studied(trials), "roc_auc", 9)]
    assert {"search_history", "search_distribution"} <= set(names)
    assert "search_importance" not in names


def test_a_search_that_tells_of_weights_is_drawn_with_them():
    """The picture of the weights is there where they can be told."""
    trials = [({"a": n, "b": 5 - n}, n / 10) for n in range(1, 5)]
    names = [picture.name for picture in plots.search_pictures(_studied(trials), "roc_auc", 9)]
    assert names.count("search_importance") == 1


def test_a_search_whose_hyperparameters_explain_nothing_is_drawn_without_their_weights():
    """Trials of the same hyperparameters and different scores: no error, one picture fewer."""
    import optuna

    study = optuna.create_study(direction="maximize")
    of = {name: optuna.distributions.FloatDistribution(0, 1) for name in "xy"}
    for value in (0.9, 0.9, 0.92):
        study.add_trial(
            optuna.trial.create_trial(params={"x": 0.5, "y": 0.5}, distributions=of, value=value)
        )
    drawn = [picture.name for picture in plots.search_pictures(study, "accuracy")]
    assert "search_importance" not in drawn
    assert {"search_history", "search_slices"} <= set(drawn)
