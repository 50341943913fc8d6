"""What a chain is asked for: checked before it begins, whoever asks.

The command asks by it, and whatever announces that data arrived; it imports no Prefect. What a
stage does with it belongs in the stage's tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from baton import choice, options, problems
from baton.chain.events import Stage
from baton.problems import Params, Problem
from baton.settings import settings
from baton.showing import notebooks
from baton.sources.secrets import SecretOutOfReachError
from tasks.platform.places import NOTEBOOKS


@dataclass(frozen=True)
class Asked:
    """What a chain is asked for, ready for JSON."""

    problem: Problem[Any]
    stage: Stage
    """That begins it."""
    parameters: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)


def data_set(problem: str, given: Mapping[str, Any]) -> Asked:
    """Chain that begins by making a data set, of parameters and options.

    Raises
    ------
    InputError
        If there is no such problem, or one is unknown or of the wrong type.
    """
    chosen = problems.get(problem)
    asked = with_places(chosen, options.parse(chosen, dict(given)))
    check_notebook(asked)
    params = problems.parse(chosen, {k: v for k, v in given.items() if k not in asked})
    return Asked(chosen, Stage.GENERATE, params.model_dump(mode="json"), asked)


def new_rows(problem: str, given: Mapping[str, Any]) -> Asked:
    """Chain that begins by predicting new rows, of those parameters that are not the model's own.

    Raises
    ------
    InputError
        If there is no such problem, or one is unknown or of the wrong type.
    """
    chosen = problems.get(problem)
    return Asked(chosen, Stage.PREDICT, problems.partial(chosen, dict(given)))


def look_at(asked: Asked) -> str | None:
    """Look at the source of a data set: digest of what is there; None if only reading tells.

    Raises
    ------
    InputError
        If it is missing or unreadable, or is not what the chain is asked for.
    OSError
        If trying again may help.
    """
    params: Params = problems.parse(asked.problem, asked.parameters)
    found = None
    with suppress(SecretOutOfReachError):  # a stage's process can read it: checked there
        found = asked.problem.fingerprint(params)
    if any(asked.options.get(name) for name in ("metric", "positive", "threshold", "calibrate")):
        kind = asked.problem.kind(params)
        if kind is not None:
            choice.refuse_other_kind(asked.options, kind)
    return found


def with_places(chosen: Problem[Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Options, what they say of new rows checked as the problem's parameters."""
    places = {name: asked[name] for name in ("predict", "retrain") if asked.get(name)}
    return asked | {name: problems.partial(chosen, given) for name, given in places.items()}


def check_notebook(asked: Mapping[str, Any]) -> None:
    """Refuse a notebook that is not there, or that nothing could run, before the chain begins.

    Raises
    ------
    InputError
        With what there is, or what to install.
    """
    if name := asked.get("notebook"):
        notebooks.require()
        notebooks.find(name, notebooks.places(settings(), NOTEBOOKS))
