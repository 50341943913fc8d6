"""Beginning a stage again as another chain: the payload that began it, under the new chain's id.

Pure functions. A new id, because what is known of a chain goes by its id and a stage: recovery
takes a stage that completed for done, and whoever follows a chain would see its old end. What the
stages make does not depend on the id, so that what is there is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from baton.chain.events import (
    DatasetOrder,
    DatasetReady,
    EventName,
    ModelEvaluated,
    ModelTrained,
    PredictionOrder,
    PredictionsReady,
    Stage,
    chain_begun_by,
)
from baton.chain.runs import Json
from baton.errors import InputError
from baton.terms import Options
from baton.words.text import listed

_PAYLOADS: dict[Stage, dict[str, type[Any]]] = {
    Stage.GENERATE: {"order": DatasetOrder},
    Stage.TUNE: {"data": DatasetReady},
    Stage.TRAIN: {"data": DatasetReady},
    Stage.EVALUATE: {"trained": ModelTrained},
    Stage.PROMOTE: {"evaluated": ModelEvaluated},
    Stage.NOTEBOOK: {"evaluated": ModelEvaluated},
    Stage.PREDICT: {"order": PredictionOrder},
    Stage.MONITOR: {"ready": PredictionsReady},
}
"""Parameter of each stage's flow that takes an event's payload, and what that is."""

_PLAIN = ("problem", "parameters", "options", "version", "period", "is_past")
"""Parameters of a stage that begins a chain without an event."""

_OF_EVALUATION = ("folds", "n_repeats", "importance_rows", "explain_rows")
_OF_END = ("approve", "predict", "retrain")
_TAKEN: dict[Stage, tuple[str, ...]] = {
    Stage.EVALUATE: (*_OF_EVALUATION, "notebook", *_OF_END),
    Stage.PROMOTE: _OF_END,
    Stage.NOTEBOOK: ("notebook",),
    Stage.MONITOR: (),
}
"""Options that a stage, or one after it, looks at; those before it take any."""


def payload_of(stage: Stage, parameters: Mapping[str, Any]) -> Json:
    """Parameters that began a stage; a deployment's own are left out, as they may be others by now.

    Raises
    ------
    InputError
        If they are of another version of Baton.
    """
    for name, kind in _PAYLOADS[stage].items():
        if isinstance(parameters.get(name), dict):
            try:
                return {name: kind.model_validate(parameters[name]).model_dump(mode="json")}
            except ValidationError:
                raise InputError(
                    f"what began stage {stage.value} is of another version of Baton: run its chain"
                    " again"
                ) from None
    return {name: parameters[name] for name in _PLAIN if parameters.get(name) not in (None, "")}


def begun_by(stage: Stage, payload: Json) -> Json:
    """Parameters with which an event begins a stage of its chain, as prefect.yaml passes them on.

    Examples
    --------
    >>> begun_by(Stage.PROMOTE, {"chain": "a"})
    {'evaluated': {'chain': 'a'}}
    >>> begun_by(Stage.TRAIN, {"chain": "a", "data": {"chain": "a"}})
    {'data': {'chain': 'a'}}
    """
    (name,) = _PAYLOADS[stage]
    held = payload.get(name)
    return {name: held if isinstance(held, dict) else payload}


def renamed(content: Any, old: str, new: str) -> Any:
    """Payload of a chain as that of another one; so are the chains that its events begin.

    Examples
    --------
    >>> renamed({"chain": "a", "data": {"chain": "a", "target": "a"}}, "a", "b")
    {'chain': 'b', 'data': {'chain': 'b', 'target': 'a'}}
    """
    begun = {chain_begun_by(event, old): chain_begun_by(event, new) for event in EventName}
    return _with_ids(content, begun | {old: new})


def _with_ids(content: Any, ids: Mapping[str, str]) -> Any:
    if isinstance(content, dict):
        return {
            name: ids.get(value, value)
            if name == "chain" and isinstance(value, str)
            else _with_ids(value, ids)
            for name, value in content.items()
        }
    return [_with_ids(one, ids) for one in content] if isinstance(content, list) else content


def with_options(content: Json, asked: Json) -> Json:
    """Payload of a chain that asks for these options in place of its own."""
    if not isinstance(content, dict):
        return content
    return {
        name: Options.model_validate(value | asked).model_dump(mode="json")
        if name == "options"
        else with_options(value, asked)
        if name in {"data", "trained", "evaluated"}
        else value
        for name, value in content.items()
    }


def refuse_idle(stage: Stage, asked: Mapping[str, Any]) -> None:
    """Refuse options that the stages from this one on do not look at.

    Raises
    ------
    InputError
        With the stage to begin from, or what there is.
    """
    taken = _TAKEN.get(stage)
    idle = sorted(set(asked) - set(taken)) if taken is not None else []
    if taken is None or not idle:
        return
    if not taken:
        raise InputError(f"stage {stage.value} takes no option; leave out -p {idle[0]}")
    known = idle[0] in _TAKEN[Stage.EVALUATE]
    first = Stage.EVALUATE if known and stage is not Stage.EVALUATE else Stage.TRAIN
    raise InputError(
        f"{idle[0]} is settled before stage {stage.value}, which takes {listed(taken, 9)}: begin"
        f" from {first.value}"
    )


def set_options(options: Mapping[str, Any]) -> Json:
    """Options that are not as they are by default.

    Examples
    --------
    >>> set_options({"model": "lasso", "folds": 0, "tune": False})
    {'model': 'lasso'}
    """
    usual = Options().model_dump(mode="json")
    return {name: value for name, value in options.items() if usual.get(name) != value}


def files_of(content: Any) -> Iterator[tuple[str, str]]:
    """Key and digest of each table and page that a payload refers to."""
    if isinstance(content, dict):
        if isinstance(content.get("key"), str) and "digest" in content:
            yield content["key"], content["digest"]
        for value in content.values():
            yield from files_of(value)
    elif isinstance(content, list):
        for one in content:
            yield from files_of(one)


def models_of(content: Any) -> Iterator[tuple[str, int]]:
    """Name and version of each model that a payload refers to."""
    if not isinstance(content, dict):
        return
    if {"name", "version", "run_id"} <= content.keys():
        yield content["name"], content["version"]
    for value in content.values():
        yield from models_of(value)
