"""Commands about data that arrives: ``announce``, ``arrivals``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from baton import problems
from baton.chain import arrivals as ledger
from baton.chain.arrivals import Arrival, State
from baton.cli import show
from baton.cli.app import OUT, AsJson, Values, app, complain, pairs, print_json
from baton.cli.connection import access_to, away
from baton.settings import settings
from serving.embedded import found, private
from tasks.platform import orders
from tasks.platform.api import Access

Key = Annotated[
    str,
    Parameter(
        help="Period that it is of, such as 2021-03; periods are in the order of their letters."
    ),
]


@app.command
def announce(
    problem: str,
    /,
    *,
    parameters: Values = [],  # noqa: B006
    predict: bool = False,
    key: Key = "",
    as_json: AsJson = False,
) -> int:
    """Announce that data of PROBLEM arrived, which begins a chain, and do not wait for its end.

    The same content begins one chain, however often it is announced; where only reading tells what
    is there, the same `--key` does. Without a `baton up` it is kept, and told by the next Baton.
    What cannot be read is refused; `baton arrivals` lists that too.

    Examples
    --------
    `baton announce table -p path=wine.csv -p target=quality`

    `baton announce taxi -p train=2021-01 -p test=2021-02 --key 2021-02`

    Parameters
    ----------
    predict
        They are rows to predict by the champion, not rows to learn from.
    """
    given = pairs(parameters)
    asked = orders.new_rows(problem, given) if predict else orders.data_set(problem, given)
    there = _standing()
    with away(), private():
        from tasks.arrivals import arrive

        arrival, was_known = arrive(asked, there, key=key)
    if as_json:
        print_json(arrival.facts | {"known": was_known})
    else:
        OUT.print(_said(arrival, was_known), highlight=False, markup=False, soft_wrap=True)
    return 0


@app.command
def arrivals(problem: str = "", /, *, as_json: AsJson = False) -> int:
    """List what arrived, for PROBLEM or for all: when, what, its chain, and what came of it."""
    if problem:
        problems.get(problem)
    known = ledger.found(settings(), problem)
    if as_json:
        print_json([one.facts for one in known])
    else:
        show.arrival_list(OUT, known, str(settings().home))
    for name in ledger.unreadable(settings()):
        complain(f"arrival {name}.json of the ledger cannot be read; announce it again")
    return 0


def _standing() -> Access | None:
    """Access to the server that is told; None if none stands."""
    if given := settings().prefect_api_url:
        return Access.of(settings(), given)
    there = found(settings())
    return access_to(there) if there else None


def _said(arrival: Arrival, was_known: bool) -> str:
    """What became of it, in a line or two."""
    at = f"{arrival.at.astimezone():%Y-%m-%d %H:%M:%S}"
    if was_known:
        said = f"announced before, at {at}: chain {arrival.chain}"
    else:
        late = ", late: a later period was there before it" if arrival.is_late else ""
        said = f"arrival {arrival.number}, {arrival.source}{late}: chain {arrival.chain}"
    if arrival.state is State.KEPT:
        said += "\nno server was told: it is kept, and told by the next Baton, such as `baton up`"
    return said
