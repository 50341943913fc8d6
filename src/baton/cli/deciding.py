"""Commands about champions: ``promote``, ``rollback``, ``approve``, ``history``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from baton import identity
from baton.chain import decisions, outcome
from baton.chain.decisions import Decision, champions, read
from baton.chain.events import ModelPromoted, Stage
from baton.chain.manifest import read as read_manifest
from baton.cli import show
from baton.cli.app import ERR, OUT, AsJson, Whole, app, complain, print_json
from baton.cli.connection import away, connected, noticed, server_at, tell_standing
from baton.cli.following import Patience, follow
from baton.cli.interrupts import unless_interrupted
from baton.errors import InputError
from baton.settings import settings
from serving.embedded import private
from tasks.platform.places import MANIFEST

Reason = Annotated[str, Parameter(help="Why, in a line; it stands in the history.")]
Name = Annotated[str, Parameter(help="A problem, or a model's name: `baton models` lists them.")]


@app.command
def promote(
    problem: Name,
    /,
    *,
    version: Annotated[int, Whole],
    reason: Reason,
    as_json: AsJson = False,
) -> int:
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
        from tasks.naming import model_named
        from tasks.promotion import by_hand

        decision, event = by_hand(
            model_named(problem), version, identity.of_person(), _said(reason)
        )
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
        from tasks.naming import model_named
        from tasks.promotion import back

        decision, event = back(model_named(problem), identity.of_person(), _said(reason))
    return _told(decision, event, as_json)


@app.command
def approve(chain: str, /, *, reason: str = "", deny: bool = False, as_json: AsJson = False) -> int:
    """Answer CHAIN, which waits for a person's approval before its model is the champion.

    A chain asks where `-p approve=true` was given, or `approve` of the deployment `promote` is
    true. Prefect's page of the run takes the answer, too.

    Examples
    --------
    `baton approve 3f9c1a --reason "agreed with the clinic"`

    Parameters
    ----------
    chain
        Id of a chain or its first digits.
    reason
        Why, in a line; it stands in the history.
    deny
        Say no: the champion stays.
    """
    manifest = read_manifest(MANIFEST)
    console = ERR if as_json else OUT
    with connected(console) as (addresses, check):
        server = server_at(addresses)
        begun = server.asking(manifest, chain)
        said = {"approve": not deny, "by": identity.of_person(), "reason": decisions.said(reason)}
        server.resume(begun, Stage.PROMOTE, said)
        patience = Patience(unless_interrupted(check), noticed(console))
        seen = follow(server, manifest, begun, tell=lambda _: None, patience=patience)
    made = outcome.of_chain(seen, settings().results, is_elsewhere=not addresses.pid)
    if as_json:
        print_json(made)
    else:
        show.outcome(OUT, seen, made, {})
    return 0 if seen.state == "COMPLETED" else 1


@app.command
def history(problem: Name, /, *, as_json: AsJson = False) -> int:
    """List what was decided about PROBLEM's models: champions, rejections, who and why."""
    with away(), private():
        from tasks.naming import model_named
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


def _said(reason: str) -> str:
    if not (words := decisions.said(reason)):
        raise InputError("--reason is empty: say why, in a line")
    return words


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
    try:
        tell_standing(event)
    except RuntimeError as error:
        complain(f"the champion is moved, but nobody was told: {error}")
        return 1
    return 0
