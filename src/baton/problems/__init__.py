"""The registry of problems: Baton's own and those that other packages bring.

A package adds a problem by an entry point in the group ``baton.problems`` that names one
:class:`Problem` object.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import TypeAdapter, ValidationError

from baton.errors import InputError
from baton.problems.base import (
    GROUP,
    ROW,
    SPLIT,
    Engine,
    Goal,
    Kind,
    Options,
    Params,
    Problem,
    SourcedProblem,
    Split,
)

__all__ = [
    "GROUP",
    "ROW",
    "SPLIT",
    "Engine",
    "Goal",
    "Kind",
    "Options",
    "Params",
    "Problem",
    "SourcedProblem",
    "Split",
    "get",
    "names",
    "parse",
    "parse_options",
    "partial",
]

ENTRY_POINTS = "baton.problems"


@cache
def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def names() -> list[str]:
    """Names of all registered problems, sorted."""
    return sorted(_entry_points())


def get(name: str) -> Problem[Any]:
    """Return the problem of that name.

    Raises
    ------
    InputError
        If no such problem is registered.
    """
    point = _entry_points().get(name)
    if point is None:
        raise InputError(f"unknown problem {name!r}; registered: {', '.join(names())}")
    problem: Problem[Any] = point.load()
    return problem


def parse(problem: Problem[Any], values: dict[str, Any]) -> Params:
    """Typed parameters from what a user or an event gave.

    Raises
    ------
    InputError
        If a parameter is unknown, missing or of the wrong type.
    """
    try:
        params: Params = problem.params.model_validate(values)
    except ValidationError as error:
        raise InputError(_first_problem(problem, error)) from None
    return params


def partial(problem: Problem[Any], values: dict[str, Any]) -> dict[str, Any]:
    """Some of a problem's parameters, each checked by itself, ready for JSON.

    Raises
    ------
    InputError
        If one is unknown or of the wrong type.
    """
    given: dict[str, Any] = {}
    for name, value in values.items():
        field = problem.params.model_fields.get(name)
        if field is None:
            known = ", ".join(problem.params.model_fields)
            raise InputError(
                f"unknown parameter {name!r} of problem {problem.name!r}; it has: {known}"
            )
        kind: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
        try:
            given[name] = kind.dump_python(kind.validate_python(value), mode="json")
        except ValidationError as error:
            raise InputError(_first_problem(problem, error, name)) from None
    return given


def parse_options(problem: Problem[Any] | None, values: dict[str, Any]) -> dict[str, Any]:
    """Those of the values that are options of any chain, checked; a problem's own come first.

    Parameters
    ----------
    problem : Problem or None
        None if every value must be such an option.
    values : dict

    Raises
    ------
    InputError
        If one is of the wrong type, or a family of models is unknown.
    """
    from baton import models

    own = set(values) - set(Options.model_fields) if problem else set()
    own |= set(problem.params.model_fields) if problem else set()
    given = {name: value for name, value in values.items() if name not in own}
    try:
        checked = Options.model_validate(given)
    except ValidationError as error:
        raise InputError(_first_problem(problem, error)) from None
    _refuse_idle(checked, given)
    for name in (*checked.compare, *([checked.model] if checked.model else [])):
        models.family(name)
    if checked.compare and (checked.model or checked.model_params):
        _require_compared(checked)
    return checked.model_dump(mode="json", include=set(given))


_OF_TUNING = ("n_trials", "trials_at_once", "space", "study")


def _refuse_idle(options: Options, given: dict[str, Any]) -> None:
    """Refuse what would be passed over in silence without a search, or beside a comparison."""
    if options.tune:
        if options.compare:
            raise InputError("tune searches one model, compare several: ask for one of them")
        return
    idle = [name for name in _OF_TUNING if name in given]
    if options.engine is Engine.WORKERS:
        idle.append("engine=workers")
    if idle:
        raise InputError(f"{', '.join(idle)} is for a search: add -p tune=true, or drop it")


def _require_compared(options: Options) -> None:
    """Refuse a model, or its settings, that a comparison would pass over in silence."""
    if options.model is None:
        raise InputError("model_params with compare: say by -p model=… which family they are for")
    if options.model not in options.compare:
        raise InputError(
            f"model {options.model!r} is not among those to compare; add it or drop it"
        )


def _first_problem(
    problem: Problem[Any] | None, error: ValidationError, name: str = "parameters"
) -> str:
    first = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"]) or name
    own = list(problem.params.model_fields) if problem else []
    known = ", ".join([*own, *Options.model_fields])
    if problem is None:
        reason = "unknown" if first["type"] == "extra_forbidden" else first["msg"]
        return f"option {name!r}: {reason.removeprefix('Value error, ')}; there are: {known}"
    match first["type"]:
        case "extra_forbidden":
            return f"unknown parameter {name!r} of problem {problem.name!r}; it has: {known}"
        case "missing":
            return f"problem {problem.name!r} needs parameter {name!r}: add -p {name}=…"
        case _:
            field = problem.params.model_fields.get(name)
            is_shown = "input" in first and (field is None or field.repr)
            given = f", got {first['input']!r}" if is_shown else ""
            message = first["msg"].removeprefix("Value error, ")
            return f"parameter {name!r} of problem {problem.name!r}: {message}{given}"
