"""Commands about champions: ``promote``, ``rollback``, ``history``."""

from __future__ import annotations

import getpass
from typing import Annotated

from cyclopts import Parameter

from baton import problems
from baton.chain.decisions import Decision, champions, read
from baton.chain.events import ModelPromoted
from baton.cli import show
from baton.cli.app import OUT, AsJson, app, complain, print_json
from baton.cli.connection import access_to, away
from baton.errors import InputError, NoModelError
from baton.settings import settings
from baton.words.text import did_you_mean, listed
from serving.embedded import found, private

Reason = Annotated[str, Parameter(help="Why, in a line; it stands in the history.")]
Name = Annotated[str, Parameter(help="A problem, or a model's name: `baton models` lists them.")]


@app.command
def promote(problem: Name, /, *, version: int, reason: Reason, as_json: AsJson = False) -> int:
    """Make a version of PROBLEM's model the champion, whatever the gate says.

    Examples
    --------
    `baton promote iris --version 3 --reason "agreed with the clinic"`

    Parameters
    ----------
    version
        Version that is to be the champion.
    """
    with away(), private():
        from tasks.promotion import by_hand

        decision, event = by_hand(model_named(problem), version, _person(), _said(reason))
    return _told(decision, event, as_json)


@app.command
def rollback(problem: Name, /, *, reason: Reason, as_json: AsJson = False) -> int:
    """Make the champion before the present one of PROBLEM the champion again.

    The gate does not bring back what was taken back; `baton promote` does.

    Examples
    --------
    `baton rollback iris --reason "it misses the rare ones"`
    """
    with away(), private():
        from tasks.promotion import back

        decision, event = back(model_named(problem), _person(), _said(reason))
    return _told(decision, event, as_json)


@app.command
def history(problem: Name, /, *, as_json: AsJson = False) -> int:
    """List what was decided about PROBLEM's models: champions, rejections, who and why."""
    with away(), private():
        from tasks.platform.tracking import CHAMPION, aliases_of

        name = model_named(problem)
        known, champion = read(settings(), name), aliases_of(name).get(CHAMPION)
    if as_json:
        print_json(
            {
                "model": name,
                "champion": champion,
                "champions": [show.champion_facts(one) for one in champions(known)],
                "decisions": [show.decision_facts(one) for one in known],
            }
        )
    else:
        show.decision_list(OUT, name, known, champion)
    return 0


def _person() -> str:
    """Who asks, as far as the system knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # such as in a container
        return "a person"


def _said(reason: str) -> str:
    words = " ".join(reason.split())
    if not words:
        raise InputError("--reason is empty: say why, in a line")
    return words[:500]


def model_named(name: str) -> str:
    """Return the registered name of what a person calls so: a problem's model, or one of several.

    Raises
    ------
    InputError
        If there is none, or several.
    """
    from tasks.platform.tracking import registered_models

    every = registered_models()
    fit = [one.name for one in every if name in {one.name, one.short, one.problem}]
    if len(fit) == 1:
        return fit[0]
    if fit:
        names = listed(fit, 20, last=", ")
        raise InputError(f"{name!r} may be any of {names}: give one of these names")
    if name in problems.loaded()[0]:
        raise NoModelError(f"there is no model of {name}; `baton run {name}` trains one")
    known = {one.short or one.problem for one in every}
    raise InputError(
        f"there is no problem or model {name!r}; {did_you_mean(name, known)}`baton models` lists"
        " what there is"
    )


def _told(decision: Decision, event: ModelPromoted, as_json: bool) -> int:
    """Tell the standing Baton, whose processes act on it, and whoever asked."""
    if as_json:
        print_json(show.decision_facts(decision))
    else:
        OUT.print(
            f"version {decision.champion} is the champion of {decision.model}; `baton history"
            f" {event.problem}` says what was before",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    return _announce(event)


def _announce(event: ModelPromoted) -> int:
    """Emit the event where a server is; without one nobody waits for it."""
    there = None if settings().prefect_api_url else found(settings())
    if not settings().prefect_api_url and there is None:
        return 0
    with away():
        from tasks.platform.events import tell

        try:
            tell(event, access_to(there) if there else None)
        except RuntimeError as error:
            complain(f"the champion is moved, but nobody was told: {error}")
            return 1
    return 0
