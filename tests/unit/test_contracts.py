"""Events and what they carry."""

from contextlib import nullcontext

import pytest
from pydantic import ValidationError

from baton.chain.events import DatasetReady, PageRef, TableRef

TABLE = {"key": "spheres/0123456789abcdef/features.parquet", "digest": "a" * 64, "n_rows": 3}
READY = {
    "chain": "0123456789ab",
    "problem": "spheres",
    "raw": TABLE,
    "features": TABLE,
    "kind": "classification",
    "target": "cluster",
    "headline": "accuracy",
    "n_train": 2,
    "n_test": 1,
}


def test_a_payload_survives_the_way_through_json():
    """What is announced is what the next stage reads."""
    event = DatasetReady.model_validate(READY)
    assert DatasetReady.model_validate(event.payload()) == event
    assert event.resource_id == "baton.dataset.spheres"


@pytest.mark.parametrize(
    "key",
    [
        "../../etc/passwd",
        "spheres/../../x/features.parquet",
        "/abs/0123456789abcdef/features.parquet",
        "spheres/0123456789abcdef/features.pkl",
        "spheres/0123456789abcdef/../f.parquet",
        "spheres/0123456789abcdef/features.parquet\n",
        "",
    ],
)
def test_a_key_that_could_leave_the_results_folder_is_refused(key):
    """No reference names a file outside ``results/<problem>/<digest>/``."""
    with pytest.raises(ValidationError):
        TableRef.model_validate(TABLE | {"key": key})


@pytest.mark.parametrize(
    ("key", "is_good"),
    [
        ("iris/0123456789abcdef/report.html", True),
        (f"iris/0123456789abcdef/notebook_{'a-b_' * 16}.html", True),
        ("iris/0123456789abcdef/../x.html", False),
        ("iris/0123456789abcdef/notebook_x.html.json", False),
        ("iris/0123456789abcdef/notebook_X.html", False),
    ],
)
def test_a_page_lies_in_the_results_folder(key, is_good):
    """The report, or the notebook of any name that a chain may ask for."""
    with nullcontext() if is_good else pytest.raises(ValidationError):
        PageRef(key=key, digest="a" * 64)


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"problem": "../x"},
        {"chain": "xyz"},
        {"n_train": 0},
        {"n_test": "many"},
        {"kind": "clustering"},
        {"features": None},
        {"features": TABLE | {"digest": "short"}},
    ],
)
def test_a_malformed_event_is_refused(change):
    """Wrong, missing and unknown fields are errors."""
    with pytest.raises(ValidationError):
        DatasetReady.model_validate(READY | change)


def test_an_event_is_frozen():
    """Nobody changes a payload on its way."""
    event = DatasetReady.model_validate(READY)
    with pytest.raises(ValidationError):
        event.problem = "other"
