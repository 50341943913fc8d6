"""Explaining one held-out row for a person who asks, by the registered model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baton.chain.events import ModelEvaluated
from baton.errors import InputError
from baton.evaluation import shapley
from baton.models.answers import ACTUAL, PREDICTED
from baton.showing import plots
from baton.terms import ROW
from tasks.platform import results
from tasks.platform.tracking import load_model
from tasks.rows import background_of, features_of, read_row


@dataclass(frozen=True)
class ExplainedRow:
    """What drove one prediction."""

    row: int
    actual: Any
    predicted: Any
    title: str
    base: float
    pushes: tuple[tuple[str, str, float], ...]
    """Feature, its value and its Shapley value, the strongest first."""


def explain_row(evaluated: ModelEvaluated, row: int) -> tuple[ExplainedRow, Path]:
    """Explain the prediction of one held-out row, and draw it.

    Returns
    -------
    ExplainedRow, Path
        The explanation, and the file of its picture.

    Raises
    ------
    InputError
        If there is no such row, or the model or a table is gone or altered.
    """
    predictions = results.read(evaluated.predictions, filters=[(ROW, "==", row)])
    if not predictions.num_rows:
        raise InputError(
            f"row {row} is not among the {evaluated.data.n_test} held-out rows of"
            f" {evaluated.problem}; predictions.parquet lists them in {ROW}"
        )
    line = predictions.to_pylist()[0]
    features = features_of(read_row(evaluated.data, row), evaluated.data)
    model = load_model.fn(evaluated.model)
    train = background_of(evaluated.data)
    found = shapley.shap_values(model, features, background=train, seed=evaluated.data.seed)
    output = _output_of(found, line[PREDICTED])
    picture = results.report_path(evaluated.report.key).with_name(f"row-{row}.png")
    drawn = plots.shap_waterfall(found, features, 0, row, output)
    picture.write_bytes(plots.png(drawn.figure))
    return _explained(found, features, output, line), picture


def _output_of(found: shapley.ShapValues, predicted: Any) -> int:
    """Output of the predicted class, where there is one for each."""
    labels = list(found.classes)
    return labels.index(predicted) if len(labels) > 1 else 0


def _explained(
    found: shapley.ShapValues, features: Any, output: int, line: dict[str, Any]
) -> ExplainedRow:
    values = found.values[0, :, output]
    order = sorted(range(len(values)), key=lambda place: -abs(values[place]))
    label = f" of class {found.classes[output]}" if found.classes else ""
    return ExplainedRow(
        row=line[ROW],
        actual=line[ACTUAL],
        predicted=line[PREDICTED],
        title=f"Shapley values{label}, {found.scale.value} scale",
        base=float(found.base_values[output]),
        pushes=tuple(
            (found.features[n], str(features.iloc[0, n]), float(values[n])) for n in order
        ),
    )
