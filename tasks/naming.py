"""Which registered model a person means: by its problem, or by a name of its own.

What is registered belongs in ``tasks/platform/tracking.py``.
"""

from __future__ import annotations

from baton import problems
from baton.errors import InputError, NoModelError
from baton.words.text import did_you_mean, listed
from tasks.platform.tracking import registered_models


def model_named(name: str) -> str:
    """Return the registered name of what a person calls so: a problem's model, or one of several.

    Raises
    ------
    NoModelError
        If the problem has none yet.
    InputError
        If there is no such problem or model, or the problem has several.
    """
    every = registered_models()
    fit = [one.name for one in every if name in {one.name, one.short, one.problem}]
    if len(fit) == 1:
        return fit[0]
    if fit:
        names = listed(fit, 20, last=", ")
        raise InputError(f"{name!r} may be any of {names}: give one of these names")
    if name in problems.names():
        problems.get(name)
        raise NoModelError(f"there is no model of {name}; `baton run {name}` trains one")
    known = {one.short or one.problem for one in every} | set(problems.names())
    raise InputError(
        f"there is no problem or model {name!r}; {did_you_mean(name, known)}`baton models` lists"
        " what there is"
    )


def require_known(name: str) -> None:
    """See that there is such a problem or model, whether or not it has a version yet.

    Raises
    ------
    InputError
        If there is none, or the package that brings the problem cannot be imported.
    """
    if name in problems.names():
        problems.get(name)
    else:
        model_named(name)
