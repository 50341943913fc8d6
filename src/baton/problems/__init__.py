"""The registry of problems: Baton's own and those that other packages bring.

A package adds a problem by an entry point in the group ``baton.problems`` that names one
:class:`Problem` object.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError

from baton.errors import InputError, fault_of
from baton.plugins import PlugIns
from baton.problems.base import Goal, Params, Problem, SourcedProblem
from baton.terms import GROUP, ROW, SPLIT, TIME, Kind, Options, Split
from baton.words.text import did_you_mean

__all__ = [
    "GROUP",
    "PLUG_INS",
    "ROW",
    "SPLIT",
    "TIME",
    "Goal",
    "Kind",
    "Params",
    "Problem",
    "SourcedProblem",
    "Split",
    "code_of",
    "get",
    "loaded",
    "names",
    "parse",
    "partial",
]

PLUG_INS = PlugIns("baton.problems", "problem")


def names() -> list[str]:
    """Names of all registered problems, sorted."""
    return PLUG_INS.names


def get(name: str) -> Problem[Any]:
    """Return the problem of that name.

    Raises
    ------
    InputError
        If no such problem is registered, or the package that brings it cannot be imported or
        brings something else.
    """
    problem: Problem[Any] = PLUG_INS.load(name, Problem)
    for one in ("name", "summary", "params"):
        if not hasattr(problem, one):
            raise InputError(f"problem {name!r} of {PLUG_INS.module(name)} has no {one!r}")
    if problem.name != name:
        called = f"calls itself {problem.name!r}; both have to be one"
        raise InputError(f"problem {name!r} of {PLUG_INS.module(name)} {called}")
    return problem


def code_of(problem: Problem[Any]) -> set[str]:
    """Modules that a problem is made of, for a fingerprint: its class's and what registers it."""
    registered = PLUG_INS.module(problem.name)
    return {type(problem).__module__, *([registered] if registered else [])}


def loaded() -> tuple[dict[str, Problem[Any]], list[str]]:
    """Problems that can be imported, by name, and what is to be said of the others."""
    found, refused = {}, PLUG_INS.refused
    for name in names():
        try:
            found[name] = get(name)
        except InputError as error:
            refused.append(str(error))
    return found, refused


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
        raise InputError(breach(problem, error)) from None
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
                f"unknown parameter {name!r} of problem {problem.name!r};"
                f" {did_you_mean(name, problem.params.model_fields)}it has: {known}"
            )
        kind: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
        try:
            given[name] = kind.dump_python(kind.validate_python(value), mode="json")
        except ValidationError as error:
            raise InputError(breach(problem, error, name)) from None
    return given


def breach(problem: Problem[Any] | None, error: ValidationError, name: str = "parameters") -> str:
    """Say in one line what is wrong with a parameter, or with an option if there is no problem."""
    every = error.errors(include_url=False)
    # A name that is not known may be the reason why another one is missing.
    first = next((one for one in every if one["type"] == "extra_forbidden"), every[0])
    name = ".".join(str(part) for part in first["loc"]) or name
    own = list(problem.params.model_fields) if problem else []
    there = [*own, *Options.model_fields]
    known, meant = ", ".join(there), did_you_mean(name, there)
    if problem is None:
        reason = "unknown" if first["type"] == "extra_forbidden" else fault_of(first)
        return f"option {name!r}: {reason}; {meant}there are: {known}"
    match first["type"]:
        case "extra_forbidden":
            return f"unknown parameter {name!r} of problem {problem.name!r}; {meant}it has: {known}"
        case "missing":
            return f"problem {problem.name!r} needs parameter {name!r}: add -p {name}=…"
        case "value_error" if not first["loc"]:
            return f"problem {problem.name!r}: {fault_of(first)}"
        case _:
            field = problem.params.model_fields.get(name)
            is_shown = "input" in first and (field is None or field.repr)
            is_shown = is_shown and "://" not in str(first["input"])  # it may hold a password
            given = f", got {first['input']!r}" if is_shown else ""
            return f"parameter {name!r} of problem {problem.name!r}: {fault_of(first)}{given}"
