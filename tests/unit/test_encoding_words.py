"""Free text by its words, and numbers that float32 would make one."""

import numpy as np
import pandas as pd
import pytest

from baton import models
from baton.encoding.native import Encoder
from baton.encoding.one_hot import OneHotEncoder
from baton.evaluation.shapley import shap_values
from baton.terms import ColumnType, Kind

CALM = ["see you at noon", "call me when you are free", "the train is late again", "lunch at two"]


def letters(n_rows=300, seed=0):
    """Notes of which some promise a prize."""
    random = np.random.default_rng(seed)
    is_spam = random.random(n_rows) < 0.4
    notes = [
        f"{random.choice(CALM)} note {place} {'win a prize now' if one else 'see you'}"
        for place, one in enumerate(is_spam)
    ]
    return pd.DataFrame({"note": notes, "label": np.where(is_spam, "spam", "ham")})


def test_a_text_becomes_its_frequent_words_and_its_looks():
    """Words that a few rows have, in the table's own column; rare ones are none."""
    encoder = Encoder.fit(letters()[["note"]])
    (column,) = encoder.columns
    assert column.role is ColumnType.TEXT
    assert {"prize", "a prize", "train"} <= set(column.words)
    assert not {"17", "299"} & set(column.words)
    assert set(encoder.sources) == {0} and set(encoder.feature_types) == {"q"}
    row = pd.DataFrame({"note": ["Win 2 PRIZES!"]})
    found = dict(zip(encoder.names, encoder.transform(row)[0], strict=True))
    assert found["note: win"] > 0 and found["note: lunch"] == 0
    looks = [
        found[f"note ({one})"] for one in ("characters", "words", "digits", "capitals", "signs")
    ]
    assert looks == [13, 3, 1, 7, 1]


@pytest.mark.parametrize("text", [None, "", "никто никогда", 7])
def test_any_text_is_answered(text):
    """Missing, empty, of another script, or none at all."""
    for kind in (Encoder, OneHotEncoder):
        encoder = kind.fit(letters()[["note"]])
        found = encoder.transform(pd.DataFrame({"note": [text]}, dtype=object))
        assert found.shape == (1, len(encoder.names))


@pytest.mark.parametrize("name", ["boosters", "logistic_regression", "random_forest"])
def test_a_model_learns_from_words_alone(name, tmp_path):
    """Rows never seen are told apart, after the model was read from its files too."""
    table = letters()
    model = models.fit(table[:200], models.Recipe("label", Kind.CLASSIFICATION, name))
    model.save(tmp_path)
    again, held = models.load(tmp_path), table[200:]
    np.testing.assert_array_equal(again.predict(held), model.predict(held))
    assert (again.predict(held) == held["label"]).mean() > 0.97


def test_a_texts_shapley_values_are_the_columns():
    """One value a row, however many words there are."""
    model = models.fit(letters(), models.Recipe("label", Kind.CLASSIFICATION, "boosters"))
    assert shap_values(model, letters()[:5]).values.shape == (5, 1, 1)


SECONDS = 1_700_000_000
LOST = {
    "epoch seconds": SECONDS + np.arange(120),
    "a year of them": SECONDS + np.linspace(0, 31_536_000, 120).astype(int),
    "long ids": 10**17 + np.arange(120) * 10**13 + np.arange(120) * 64,
    "small steps on a large height": 1e6 + np.arange(120) / 1000,
}


@pytest.mark.parametrize("values", LOST.values(), ids=LOST)
@pytest.mark.parametrize("kind", [Encoder, OneHotEncoder])
def test_whole_numbers_beyond_float32_are_kept_apart(values, kind):
    """As many values in the matrix, as float32, as in the table, and in their order."""
    table = pd.DataFrame({"c": values})
    found = kind.fit(table).transform(table)
    column = np.asarray(found if kind is Encoder else found.toarray())[:, 0]
    assert (np.diff(column.astype(np.float32)) > 0).all()


def test_seconds_of_a_date_are_kept_apart():
    """Days since 1970 in float32 stand still for minutes."""
    when = pd.Timestamp("2023-11-14 22:13:20") + pd.to_timedelta(np.arange(120), "s")
    table = pd.DataFrame({"when": when})
    encoder = Encoder.fit(table)
    days = encoder.transform(table)[:, encoder.names.index("when (days)")]
    assert (np.diff(days) > 0).all()


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "boosters", "random_forest"])
def test_a_model_learns_from_epoch_seconds(name):
    """What happens in the second minute is told from what happens in the first."""
    seconds = SECONDS + np.tile(np.arange(120), 4)
    table = pd.DataFrame({"at": seconds, "label": np.where(seconds < SECONDS + 60, "a", "b")})
    model = models.fit(table, models.Recipe("label", Kind.CLASSIFICATION, name))
    assert (model.predict(table) == table["label"]).all()


def test_numbers_that_float32_holds_stay_as_they_are():
    """No offset, whatever their size."""
    for values in ([1.5, -2.25e30, np.nan], range(1000), [16_777_216, 0]):
        (column,) = Encoder.fit(pd.DataFrame({"c": values})).columns
        assert (column.offset, column.knots) == (0.0, ())
