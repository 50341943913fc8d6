"""Search spaces: reading what a user wrote, checking it against a family, asking Optuna for values.

A family's own space is in its module of ``baton.models``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from baton.errors import InputError
from baton.models.checks import check
from baton.models.registry import family
from baton.models.space import Categorical, Float, Int, Space

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import BaseDistribution

    from baton.terms import Kind

Dimension = Int | Float | Categorical

_RANGE = {"low", "high", "step", "log"}
_FORMS = (
    "write [low, high], a list of choices,"
    ' {"low": …, "high": …, "step": …, "log": true} or {"choices": […]}'
)


def chosen_space(
    name: str, kind: Kind, given: Mapping[str, Any], fixed: Mapping[str, Any]
) -> Space:
    """Space to search: the user's, or the family's own without what is fixed.

    Parameters
    ----------
    name : str
        Family of models.
    kind : Kind
    given : mapping of str to the user's words
        Empty for the family's own space.
    fixed : mapping of str to value
        Hyperparameters that the user set.

    Raises
    ------
    InputError
        If a name is not a hyperparameter of the family, a value is not of its type, a range is
        empty, something is both fixed and searched, or nothing is left to search.
    """
    found = family(name, kind)
    if not given:
        space = {key: value for key, value in found.space(kind).items() if key not in fixed}
        if not space:
            raise InputError(f"{name} has nothing left to tune: all of its space is fixed")
        return space
    twice = sorted(set(given) & set(fixed))
    if twice:
        raise InputError(f"space: {', '.join(twice)} is fixed by model_params too; drop one")
    space = {key: _dimension(key, value) for key, value in given.items()}
    for key, dimension in space.items():
        for value in _ends(dimension):
            check(f"space: {name}", found, kind, {key: value})
    return space


def _ends(dimension: Dimension) -> tuple[Any, ...]:
    if isinstance(dimension, Categorical):
        return dimension.choices
    return (dimension.low, dimension.high)


def _dimension(name: str, value: Any) -> Dimension:
    """Read one entry of a user's space."""
    if isinstance(value, dict) and set(value) == {"choices"}:
        return _choices(name, value["choices"])
    if isinstance(value, dict) and {"low", "high"} <= set(value) <= _RANGE:
        return _range(name, **value)
    if isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)):
        return _range(name, *value)
    if isinstance(value, list):
        return _choices(name, value)
    raise InputError(f"space: {name}: {value!r} is no range and no choices; {_FORMS}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _choices(name: str, values: Any) -> Categorical:
    plain = str | int | float | bool | None
    if not isinstance(values, list) or not values or not all(isinstance(v, plain) for v in values):
        raise InputError(f"space: {name}: {values!r} holds no plain values; {_FORMS}")
    return Categorical(tuple(values))


def _range(name: str, low: Any, high: Any, step: Any = None, log: Any = False) -> Int | Float:
    steps = [] if step is None else [step]
    if not all(map(_is_number, (low, high, *steps))) or not isinstance(log, bool):
        raise InputError(f"space: {name}: low, high and step are numbers, log is true or false")
    what = f"space: {name}: the range from {low} to {high}"
    if not low < high:
        raise InputError(f"{what} is empty: low must be less than high")
    if log and (step is not None or low <= 0):
        raise InputError(f"{what} with log has no step and begins above 0")
    if step is not None and step <= 0:
        raise InputError(f"{what}: its step must be positive")
    if all(isinstance(number, int) for number in (low, high, *steps)):
        return Int(low, high, 1 if step is None else step, log)
    return Float(float(low), float(high), None if step is None else float(step), log)


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return the space in Optuna's terms."""
    from optuna import distributions as of

    made: dict[str, BaseDistribution] = {}
    for name, found in space.items():
        if isinstance(found, Categorical):
            made[name] = of.CategoricalDistribution(found.choices)
        elif isinstance(found, Int):
            made[name] = of.IntDistribution(found.low, found.high, found.log, found.step)
        else:
            made[name] = of.FloatDistribution(found.low, found.high, found.log, found.step)
    return made


def suggest(trial: Trial, name: str, of: Dimension) -> Any:
    """Value of a hyperparameter in a trial: drawn the first time, then the same for ever."""
    if isinstance(of, Categorical):
        return trial.suggest_categorical(name, of.choices)
    if isinstance(of, Int):
        return trial.suggest_int(name, of.low, of.high, step=of.step, log=of.log)
    return trial.suggest_float(name, of.low, of.high, step=of.step, log=of.log)


def holds(distribution: BaseDistribution, value: Any) -> bool:
    """Tell whether a value is one that could be drawn: Optuna makes no trial with another."""
    from optuna.trial import create_trial

    try:
        create_trial(value=0.0, params={"it": value}, distributions={"it": distribution})
    except (TypeError, ValueError):
        return False
    return True


def written(space: Space) -> dict[str, Any]:
    """Return the space ready for JSON, the same for the same space."""
    return {name: {"type": type(s).__name__, **vars(s)} for name, s in sorted(space.items())}
