"""What a stage takes and gives, by what it was started by and what it announced."""

import pytest

from baton.chain.events import ModelTrained, Stage, StudyFinished
from baton.chain.exchanged import exchanged
from tests.unit.test_graph import MADE, MODEL, dataset, evaluated, predicted, promoted, table


def titles(stage, taken, made):
    found = exchanged(stage, taken, made)
    return [node.title for node in found.inputs], [node.title for node in found.outputs]


TRIED = dataset(study=table(MADE, "trials"))
TRAINED = ModelTrained(chain="c" * 12, problem="table", data=TRIED, model=MODEL)


@pytest.mark.parametrize(
    ("stage", "taken", "made", "inputs", "outputs"),
    [
        (Stage.GENERATE, None, dataset(), ["wine.csv"], ["raw", "features"]),
        (
            *(Stage.TUNE, dataset()),
            *(StudyFinished(chain="c" * 12, problem="table", data=TRIED), ["features"], ["trials"]),
        ),
        (Stage.TRAIN, TRIED, TRAINED, ["features", "trials"], ["version 2"]),
        (Stage.PROMOTE, evaluated(), promoted(), ["version 1", "features", "version 2"], []),
        (
            *(Stage.PREDICT, None, predicted()),
            *(["new rows", "version 2"], ["new rows", "new predictions"]),
        ),
    ],
)
def test_a_stage_takes_what_it_needs_and_gives_what_it_made(stage, taken, made, inputs, outputs):
    """Nothing of the stages before and after it."""
    found = titles(stage, taken, made)
    assert (sorted(found[0]), sorted(found[1])) == (sorted(inputs), sorted(outputs))


def test_before_its_end_it_has_given_nothing():
    """What it takes is known by what it was started by."""
    assert titles(Stage.EVALUATE, TRAINED, None) == (["features", "version 2"], [])
    assert titles(Stage.GENERATE, None, None) == ([], [])
