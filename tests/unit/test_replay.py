"""Beginning a stage of a chain again: its payload under a new id, with other options."""

import pytest

from baton.chain import replay
from baton.chain.events import EventName, Stage, chain_begun_by
from baton.errors import InputError
from tests.unit.test_contracts import READY
from tests.unit.test_disk import EVALUATED

OLD, NEW = READY["chain"], "fedcba987654"
PAYLOAD = EVALUATED.payload()


def test_a_payload_is_what_began_the_stage_without_the_deployments_own():
    """The gate may be another by now; what is of another version of Baton is refused."""
    parameters = {"evaluated": PAYLOAD, "gate": {"margin": 9}, "approve": False}
    assert replay.payload_of(Stage.PROMOTE, parameters) == {"evaluated": PAYLOAD}
    plain = {"problem": "iris", "parameters": {}, "version": None, "period": "", "order": None}
    assert replay.payload_of(Stage.PREDICT, plain) == {"problem": "iris", "parameters": {}}
    strange = {"evaluated": PAYLOAD | {"new": 1}}
    with pytest.raises(InputError, match="of another version of Baton"):
        replay.payload_of(Stage.PROMOTE, strange)


def test_the_new_chain_has_its_own_id_and_begins_its_own_chains():
    """At every depth; what only looks like the id stays."""
    order = {"chain": chain_begun_by(EventName.DRIFT_DETECTED, OLD), "problem": "iris"}
    ready = {"chain": OLD, "data": {"chain": OLD}, "retrain": order, "target": OLD, "of": [OLD]}
    found = replay.renamed({"ready": ready}, OLD, NEW)["ready"]
    assert (found["chain"], found["data"]["chain"]) == (NEW, NEW)
    assert found["retrain"]["chain"] == chain_begun_by(EventName.DRIFT_DETECTED, NEW)
    assert (found["target"], found["of"]) == (OLD, [OLD])
    assert ready["chain"] == OLD


def test_options_are_changed_where_the_payload_has_them():
    """Those that are not asked for stay."""
    before = PAYLOAD["data"]["options"]
    found = replay.with_options({"evaluated": PAYLOAD}, {"folds": 5})["evaluated"]["data"][
        "options"
    ]
    assert found == before | {"folds": 5}
    assert replay.with_options({"evaluated": PAYLOAD}, {}) == {"evaluated": PAYLOAD}


@pytest.mark.parametrize(
    ("stage", "asked", "said"),
    [
        (Stage.EVALUATE, "model", "model is settled before stage evaluate, .*: begin from train"),
        (Stage.PROMOTE, "folds", "folds is settled before stage promote, .*: begin from evaluate"),
        (Stage.PROMOTE, "metric", "begin from train"),
        (Stage.MONITOR, "folds", "stage monitor takes no option; leave out -p folds"),
    ],
)
def test_an_option_that_no_later_stage_looks_at_is_refused(stage, asked, said):
    """With the stage from which on it counts."""
    with pytest.raises(InputError, match=said):
        replay.refuse_idle(stage, {asked: 1})


@pytest.mark.parametrize(
    ("stage", "asked"),
    [
        (Stage.TRAIN, "model"),
        (Stage.EVALUATE, "folds"),
        (Stage.PROMOTE, "approve"),
        (Stage.NOTEBOOK, "notebook"),
    ],
)
def test_an_option_that_a_later_stage_looks_at_is_taken(stage, asked):
    """Any of them where the model is trained anew."""
    replay.refuse_idle(stage, {asked: 1})
    replay.refuse_idle(stage, {})


def test_files_and_models_of_a_payload_are_found():
    """Each by its key, at every depth."""
    keys = {key for key, _ in replay.files_of({"evaluated": PAYLOAD})}
    assert {PAYLOAD["report"]["key"], PAYLOAD["data"]["raw"]["key"]} <= keys
    assert set(replay.models_of({"evaluated": PAYLOAD})) == {("baton-spheres", 1)}
