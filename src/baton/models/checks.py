"""Hyperparameters that a user gave, checked before anything is fitted.

XGBoost ignores a name that it does not know and LightGBM only warns; here neither passes.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter, ValidationError

from baton.errors import InputError
from baton.words.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from baton.models.interface import Family
    from baton.terms import Kind


def known_parameters(family: Family, kind: Kind) -> dict[str, Any]:
    """Every hyperparameter of a family, by name, and its type."""
    # The type is made of the values, which is what Literal is for.
    encodings: Any = Literal[tuple(one.value for one in family.encodings)]
    shared = {"encoding": encodings} | ({"standardize": bool} if family.standardizes else {})
    return {**family.parameters(kind), **shared}


def check(name: str, family: Family, kind: Kind, given: Mapping[str, Any]) -> None:
    """See that a family knows these hyperparameters.

    Raises
    ------
    InputError
        If one is unknown or not of its type.
    """
    known = known_parameters(family, kind)
    unknown = [one for one in given if one not in known]
    if unknown:
        raise InputError(
            f"{name} has no hyperparameter {', '.join(map(repr, unknown))};"
            f" {did_you_mean(unknown[0], known)}{_listed(known)}"
        )
    for one, value in given.items():
        try:
            TypeAdapter(known[one]).validate_python(value, strict=True)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Input ")
            raise InputError(f"{name}: {one}={value!r} {reason}; {_listed(known)}") from None


@contextmanager
def refusals(name: str, family: Family, kind: Kind, given: Mapping[str, Any]) -> Iterator[None]:
    """Say in one line what a library has against the hyperparameters that a user gave."""
    try:
        yield
    except InputError:
        raise
    except ValueError as error:  # xgboost's and scikit-learn's own are ValueErrors too
        if not given:
            raise
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        settings = ", ".join(f"{one}={value!r}" for one, value in given.items())
        known = _listed(known_parameters(family, kind))
        raise InputError(f"{name} refuses {settings}: {reason.strip()[:300]}; {known}") from error


def _listed(known: Mapping[str, Any]) -> str:
    return f"it knows: {', '.join(sorted(known))}"
