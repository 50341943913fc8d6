"""The sparse encoding."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction import DictVectorizer

from baton.encoding.one_hot import OneHotEncoder
from baton.errors import InputError


def trips():
    """A category of more levels than the dense encoding tells apart, and a number with zeros."""
    ids = pd.Series([f"{place % 40}_{place % 11}" for place in range(900)])
    return pd.DataFrame({"PU_DO": ids, "trip_distance": np.arange(900) % 5 / 2})


def test_the_matrix_is_dict_vectorizers():
    """Order, type, what is stored and what is not are scikit-learn's, to the last bit."""
    table = trips()
    theirs = DictVectorizer().fit(table.to_dict("records"))
    expected, encoder = theirs.transform(table.to_dict("records")), OneHotEncoder.fit(table)
    found = encoder.transform(table)
    assert encoder.names == list(theirs.get_feature_names_out())
    assert len(encoder.names) == 441
    assert found.dtype == expected.dtype == np.float64
    assert found.indices.dtype == np.int32
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(found, part), getattr(expected, part))


def test_what_was_never_seen_and_what_is_missing_is_nothing():
    """Unseen and missing levels are rows of zeros, missing numbers the median."""
    table = pd.DataFrame({"c": ["b", "a", None, "a"], "n": [1.0, np.nan, 3.0, 8.0]})
    encoder = OneHotEncoder.fit(table)
    assert encoder.names == ["c=a", "c=b", "n"]
    found = encoder.transform(pd.DataFrame({"c": ["z", None, "a"], "n": [np.nan, 2.0, None]}))
    assert found.toarray().tolist() == [[0, 0, 3], [0, 0, 2], [1, 0, 3]]


def test_a_level_that_is_called_other_is_a_level_like_any():
    """The dense encoding's name for the rest means nothing here."""
    table = pd.DataFrame({"c": ["(other)", "!"]})
    encoder = OneHotEncoder.fit(table)
    found = encoder.transform(pd.DataFrame({"c": ["new", "(other)", "!"]}))
    assert found.toarray().tolist() == [[0, 0], [0, 1], [1, 0]]


def test_numbers_are_standardised_and_categories_are_not():
    """Centre and spread are the training rows'; a constant column is left at zero."""
    table = pd.DataFrame({"n": [1.0, 3.0], "same": [7.1, 7.1], "c": ["a", "b"]})
    encoder = OneHotEncoder.fit(table, standardize=True)
    assert encoder.transform(table).toarray().tolist() == [[-1, 0, 1, 0], [1, 0, 0, 1]]
    other = encoder.transform(table.assign(n=[5.0, 1e308]))
    assert other.toarray()[0, 0] == 3.0
    assert np.isfinite(other.astype(np.float32).toarray()).all()


def test_it_survives_json_and_knows_its_sources():
    """What is saved with a model encodes the same; every column knows the user's."""
    table = trips().assign(when=pd.Timestamp("2021-01-01"), is_new=True)
    encoder = OneHotEncoder.fit(table, standardize=True)
    again = OneHotEncoder.model_validate(json.loads(json.dumps(encoder.model_dump(mode="json"))))
    assert again == encoder
    assert (again.transform(table) != encoder.transform(table)).nnz == 0
    assert np.bincount(encoder.sources).tolist() == [440, 1, 1, 1]
    assert encoder.feature_types == ["q"] * 443


def test_nothing_to_learn_from_is_said_so():
    """No column, a missing one, and columns without a value are errors with their reason."""
    with pytest.raises(InputError, match="no column is left"):
        OneHotEncoder.fit(pd.DataFrame(index=[0, 1]))
    with pytest.raises(InputError, match="every value is missing"):
        OneHotEncoder.fit(pd.DataFrame({"c": pd.Series([None, None], dtype=object)}))
    with pytest.raises(InputError, match="columns are missing: c"):
        OneHotEncoder.fit(pd.DataFrame({"c": ["a"]})).transform(pd.DataFrame({"d": ["a"]}))
