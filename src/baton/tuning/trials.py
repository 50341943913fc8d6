"""The trials of a study as a table, and a study again from such a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from baton.lineage import lineage_of
from baton.models.space import Categorical, Float, Int, Space
from baton.tuning.spaces import distributions
from baton.tuning.study import ERROR, Outcome

if TYPE_CHECKING:
    import optuna
    import pyarrow as pa

PREFIX = "param_"
"""Of the columns that hold hyperparameters."""


def as_table(outcomes: Sequence[Outcome], space: Space) -> pa.Table:
    """Table of trials.

    Parameters
    ----------
    outcomes : sequence of Outcome
    space : Space

    Returns
    -------
    Table of shape (n_trials, 7 + n_dimensions)
        Number, state, value, begin, end, seconds, error, and a column ``param_<name>`` for each
        hyperparameter, empty where a trial left it to the family. Choices are written as text.
    """
    import pyarrow as pa

    time = pa.timestamp("us", tz="UTC")
    columns: dict[str, Any] = {
        "trial": pa.array([one.number for one in outcomes], pa.int64()),
        "state": pa.array([one.state for one in outcomes], pa.string()),
        "value": pa.array([one.value for one in outcomes], pa.float64()),
        "began": pa.array([_utc(one.began) for one in outcomes], time),
        "ended": pa.array([_utc(one.ended) for one in outcomes], time),
        "seconds": pa.array([one.seconds for one in outcomes], pa.float64()),
        "error": pa.array([one.error or None for one in outcomes], pa.string()),
    }
    for name, dimension in space.items():
        values = [one.params.get(name) for one in outcomes]
        present = [name in one.params for one in outcomes]
        columns[PREFIX + name] = _column(dimension, values, present)
    return pa.table(columns)


def _utc(time: datetime | None) -> datetime | None:
    """Time in UTC; a database returns local times that do not say so."""
    return None if time is None else time.astimezone(UTC)


def _column(dimension: Int | Float | Categorical, values: list[Any], present: list[bool]) -> Any:
    import pyarrow as pa

    if isinstance(dimension, Categorical):
        texts = [str(v) if there else None for v, there in zip(values, present, strict=True)]
        return pa.array(texts, pa.string())
    return pa.array(values, pa.int64() if isinstance(dimension, Int) else pa.float64())


def space_of(table: pa.Table) -> Space:
    """Space that the trials of a table are from, by its lineage."""
    written = lineage_of(table.schema)["space"]
    return {name: _dimension(dict(content)) for name, content in written.items()}


def _dimension(content: dict[str, Any]) -> Int | Float | Categorical:
    match content.pop("type"):
        case "Categorical":
            return Categorical(tuple(content["choices"]))
        case "Int":
            return Int(**content)
        case _:
            return Float(**content)


def in_memory(table: pa.Table) -> optuna.Study:
    """Study in memory with the trials of a table, for looking at."""
    import optuna

    facts = lineage_of(table.schema)
    study = optuna.create_study(study_name=facts["study"], direction=facts["direction"])
    space = space_of(table)
    for line in table.to_pylist():
        study.add_trial(_trial(line, space))
    return study


def _trial(line: dict[str, Any], space: Space) -> optuna.trial.FrozenTrial:
    import optuna

    states = optuna.trial.TrialState
    params = {
        name: _value(dimension, line[PREFIX + name])
        for name, dimension in space.items()
        if line[PREFIX + name] is not None
    }
    state = states[line["state"].upper()]
    return optuna.trial.create_trial(
        state=state,
        value=line["value"] if state is states.COMPLETE else None,
        params=params,
        distributions={name: of for name, of in distributions(space).items() if name in params},
        user_attrs={ERROR: line["error"]} if line["error"] else {},
    )


def _value(dimension: Int | Float | Categorical, value: Any) -> Any:
    if isinstance(dimension, Categorical):
        return {str(choice): choice for choice in dimension.choices}[value]
    return value


def best_first(table: pa.Table) -> list[dict[str, Any]]:
    """Lines of a table for people, the best first, those without a score last."""
    sign = -1 if lineage_of(table.schema)["direction"] == "maximize" else 1

    def rank(line: dict[str, Any]) -> tuple[bool, float, int]:
        is_scored = line["state"] == "complete"
        return (not is_scored, sign * line["value"] if is_scored else 0.0, line["trial"])

    hidden = {"began", "ended"}
    lines = sorted(table.to_pylist(), key=rank)
    return [
        {key.removeprefix(PREFIX): value for key, value in line.items() if key not in hidden}
        for line in lines
    ]
