"""Options of a chain: reading what a user asked for, whatever the problem is.

What the options are stands in ``baton.terms``; a problem's own parameters are read by
``baton.problems``.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from baton import metric, models
from baton.choice import threshold_goal
from baton.errors import InputError
from baton.models.checks import known_parameters
from baton.problems import Problem, breach
from baton.terms import Engine, Options, Quality
from baton.words.text import did_you_mean


def parse(problem: Problem[Any] | None, values: dict[str, Any]) -> dict[str, Any]:
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
    own = set(values) - set(Options.model_fields) if problem else set()
    own |= set(problem.params.model_fields) if problem else set()
    given = {name: value for name, value in values.items() if name not in own}
    try:
        checked = Options.model_validate(given)
    except ValidationError as error:
        raise InputError(breach(problem, error)) from None
    _refuse_idle(checked, given)
    if problem is None and checked.fresh:
        raise InputError("fresh reads the source again: give it to `baton run`, or drop it")
    for name in (*checked.compare, *([checked.model] if checked.model else [])):
        models.family(name)
    if checked.metric:
        metric.parse(checked.metric)
    if checked.threshold:
        threshold_goal(checked.threshold)
    if checked.quality and (checked.model or checked.compare):
        raise InputError("quality chooses the model: leave out model and compare, or quality")
    _refuse_best_beside(checked)
    _refuse_misspelt(checked)
    if checked.compare and (checked.model or checked.model_params):
        _require_compared(checked)
    return checked.model_dump(mode="json", include=set(given))


def _refuse_misspelt(options: Options) -> None:
    """Refuse a hyperparameter that the family does not know, whatever it predicts.

    Where no family is named, the problem chooses one: then what none knows is refused.
    """
    if not options.model_params:  # what is known of all families takes all their libraries
        return
    asked = [models.family(options.model)] if options.model else models.loaded()[0].values()
    able = [(family, kind) for family in asked for kind in family.kinds]
    known = {one for family, kind in able for one in known_parameters(family, kind)}
    for given in options.model_params:
        if given not in known:
            hint = did_you_mean(given, known)
            there = f"it knows: {', '.join(sorted(known))}" if options.model else "no model has it"
            whose = options.model or "any model"
            raise InputError(f"{given!r} is no hyperparameter of {whose}; {hint}{there}")


def _refuse_best_beside(options: Options) -> None:
    """Refuse what would be passed over in silence beside an ensemble, or without one."""
    is_best = options.quality is Quality.BEST
    if is_best and options.tune:
        raise InputError("quality=best brings settings of its own: leave out tune, or quality")
    if is_best and options.model_params:
        raise InputError("quality=best brings settings of its own: leave out model_params")
    if options.minutes and not (is_best or options.tune):
        raise InputError("minutes is for quality=best or tune=true: add one of them, or drop it")


_OF_TUNING = ("n_trials", "trials_at_once", "space", "study")


def _refuse_idle(options: Options, given: dict[str, Any]) -> None:
    """Refuse what would be passed over in silence without a search, or in one of several models."""
    if options.tune:
        if options.compare and options.space:
            raise InputError("space is of one model: leave it out, or compare")
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
