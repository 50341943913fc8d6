"""How objects look in a notebook and on a terminal."""

import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from baton import models
from baton.evaluation import metrics
from baton.evaluation.importance import Importance
from baton.evaluation.shapley import Method, Scale, ShapValues
from baton.showing import plots
from baton.terms import Kind
from baton.words import display, progress

EVIL = "<script>alert('x')</script>&\""
TABLE = pd.DataFrame({EVIL: np.arange(40.0), "b": np.arange(40.0) % 7, "y": np.arange(40) % 2})


def _text(html):
    """Text of well-formed HTML; what is not well-formed is an error."""
    return " ".join(ElementTree.fromstring(f"<x>{html}</x>").itertext())


def test_a_model_says_what_it_is():
    """Family, kind, target, columns and hyperparameters; a short repr in place of the trees."""
    model = models.fit(TABLE, models.Recipe("y", Kind.CLASSIFICATION, params={"n_estimators": 3}))
    assert repr(model) == "FittedModel(xgboost: classification of 'y', 2 columns)"
    said = _text(model._repr_html_())
    for word in ("xgboost", "classification", "0 and 1", "n_estimators=3", EVIL, "b"):
        assert word in said


def test_scores_are_a_dict_that_shows_as_a_table():
    """Every metric with its name for people and which way is better."""
    scores = metrics.evaluate(Kind.REGRESSION, [1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    assert scores == metrics.regression([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    said = _text(scores._repr_html_())
    assert "RMSE 0.577 lower" in said
    assert "higher" in said


def test_a_picture_shows_inline_with_its_words():
    """As PNG in the page, with the alternative text and the caption."""
    picture = plots.metric_intervals({"accuracy": 0.9}, {}, {"accuracy": 0.5})
    root = ElementTree.fromstring(picture._repr_html_())
    image = root.find("img")
    assert image.get("src").startswith("data:image/png;base64,")
    assert image.get("alt") == picture.alt
    assert root.find("figcaption").text == picture.caption
    assert picture._repr_png_().startswith(b"\x89PNG")
    assert picture.alt in repr(picture)


def test_hostile_text_stays_text():
    """Names come from files of others."""
    html = display.card(EVIL, {EVIL: EVIL}, display.table([EVIL], [[EVIL, 1.0]]))
    assert "<script" not in html + display.picture("", EVIL, EVIL)
    assert _text(html).count(EVIL) == 5


@pytest.mark.parametrize("classes", [(), ("a", "b", "c")])
def test_shapley_values_survive_the_way_through_a_table(classes):
    """What a chain keeps can be drawn again."""
    rng = np.random.default_rng(0)
    n = len(classes) or 1
    found = ShapValues(
        rng.normal(size=(5, 2, n)), rng.normal(size=n), ("u", "v"), classes, Scale.VALUE
    )
    again = ShapValues.of_frame(found.frame(range(5)), scale=Scale.VALUE, method=Method.TREE)
    assert (again.values == found.values).all()
    assert (again.base_values == found.base_values).all()
    assert (again.features, again.classes) == (found.features, found.classes)


def test_importance_survives_the_way_through_a_table():
    """Also its repeats, which the bars' whiskers come from."""
    raw = np.random.default_rng(0).normal(size=(3, 4))
    found = Importance(raw.mean(1), raw.std(1), raw, ("u", "v", "w"), "rmse", -2.0)
    order = [found.features.index(name) for name in found.frame()["feature"]]
    repeats = {f"repeat_{n}": raw[order, n] for n in range(4)}
    again = Importance.of_frame(found.frame().assign(**repeats), "rmse", -2.0)
    assert again.frame().equals(found.frame())
    assert (again.raw == raw[order]).all()
    assert "rmse lost by shuffling" in _text(found._repr_html_())


def test_a_bar_says_nothing_where_nobody_looks():
    """Neither a notebook nor a terminal: a log file is not filled with bars."""
    code = "from baton.words.progress import bar\nwith bar('steps') as r:\n    r(1, 2); r(2, 2)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
    assert not progress.is_notebook()
