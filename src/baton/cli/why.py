"""Commands that say why: ``why`` something ran, and ``why-not``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from baton.chain import why_not as reasons
from baton.chain.causes import Diagnosis
from baton.chain.events import Stage
from baton.chain.manifest import Manifest
from baton.chain.manifest import read as read_manifest
from baton.chain.origins import Story
from baton.chain.runs import Begun, Json
from baton.cli import show_why
from baton.cli.app import ERR, OUT, AsJson, app, print_json
from baton.cli.connection import (
    connected,
    place_looked_in,
    require_there,
    server_at,
)
from baton.errors import InputError
from baton.words.text import did_you_mean, listed
from tasks.platform.places import MANIFEST
from tasks.platform.reading import Reader
from tasks.platform.tracing import story_of_chain, story_of_run

_CHAIN = re.compile(r"[0-9a-f]{1,12}")
_RUN = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{0,27}")
_LISTED = "`baton status` lists the chains, `baton arrivals` what arrived"

OfChain = Annotated[
    str,
    Parameter(name="--chain", help="Id of a chain or its first digits; the clock's if not given."),
]


@app.command
def why(chain_or_run: str = "", /, *, as_json: AsJson = False) -> int:
    """Say why a chain or RUN ran: what started what, by which event, and where the time went.

    Of a chain, the latest if none is named, each stage stands below the stage whose event started
    it, with the automation that fired; then how long each step took, from the event to the end of
    the run. Of one flow run, such as one of Prefect's page, it is its own cause, and the cause of
    that, back to the first. It asks the Prefect server alone, whoever started that.

    Examples
    --------
    `baton why`

    `baton why 3f9c1a`

    `baton why be1c9609-346c-400e-9521-df6446f669e9 --json`

    Parameters
    ----------
    chain_or_run
        Id of a chain or its first digits, or of a flow run: all of it, or with its first dash.
    """
    with _reader(chain_or_run) as reader:
        story = _story(reader, chain_or_run.strip().lower())
    if as_json:
        print_json(show_why.story_facts(story))
    else:
        show_why.story(OUT, story)
    return 0


def _story(reader: Reader, given: str) -> Story:
    if _RUN.fullmatch(given):
        return story_of_run(reader, _run(reader, given))
    return story_of_chain(reader, _chain(reader, given))


@app.command
def why_not(stage: str, /, *, chain: OfChain = "", as_json: AsJson = False) -> int:
    """Say why STAGE of a chain did not run: the first thing that is missing, and the fix.

    It goes the way that leads to the stage: did the stage before end, did it announce its event, is
    there an automation, is it on, does its trigger match the event, in which field not, what came
    of it, and who should take the run. The first thing that is missing is said in one line; the
    checks that were made follow. Where the stage did run, it says so.

    Without a chain it is the clock's: why a schedule, or a deployment such as `predict-taxi`, does
    not run.

    Examples
    --------
    `baton why-not evaluate --chain 3f9c1a`

    `baton why-not predict-taxi`

    Parameters
    ----------
    stage
        Stage of the chain, or of one that it begins, such as `monitor`; or a deployment.
    """
    manifest = read_manifest(MANIFEST)
    asked = stage.strip().lower()
    _require_known(asked, manifest, is_of_chain=bool(chain))
    with _reader(chain) as reader:
        if chain:
            facts = reader.facts(_chain(reader, chain.strip().lower()))
            found = reasons.of_stage(Stage(asked), facts, manifest)
        else:
            found = _by_clock(reader, asked)
    if as_json:
        print_json(found.model_dump(mode="json") | {"has_run": found.has_run})
    else:
        show_why.diagnosis(OUT, found)
    return 0


def _require_known(asked: str, manifest: Manifest, *, is_of_chain: bool) -> None:
    """Refuse what is no stage, nor, where no chain is given, a deployment."""
    known = [stage.value for stage in Stage]
    if not is_of_chain:
        own = [one.name for one in manifest.deployments if one.flow_name in known]
        known += [name for name in own if name not in known]
    if asked not in known:
        raise InputError(
            f"there is no stage {asked!r}; {did_you_mean(asked, known)}there are:"
            f" {', '.join(known)}"
        )


@contextmanager
def _reader(chain_or_run: str) -> Iterator[Reader]:
    """Reach the server; no home is made to see that there is none."""
    require_there(chain_or_run)
    with connected(ERR, serving=False) as (addresses, _):
        yield server_at(addresses)


def _chain(reader: Reader, given: str) -> Begun:
    """The one chain whose id begins so.

    Raises
    ------
    InputError
        If there is none, or several begin so.
    """
    found = reader.known(given) if _CHAIN.fullmatch(given) else reader.latest()[: not given]
    if len(found) == 1:
        return reader.tagged(found[0].chain_id).get(found[0].chain_id, found[0])
    _require_one(found, f"chains {place_looked_in()} begin with {given!r}", given)
    begins = f" that begins with {given!r}" if given else ""
    raise InputError(f"there is no chain {place_looked_in()}{begins}; {_LISTED}")


def _require_one(found: Sequence[Begun], what: str, given: str) -> None:
    if found:
        ids = listed(sorted(one.chain_id for one in found), last=", ")
        raise InputError(f"{len(found)} {what}; give more digits than {given!r}: {ids}")


def _run(reader: Reader, given: str) -> Json:
    """The one run whose id begins so.

    Raises
    ------
    InputError
        If there is none, or several begin so.
    """
    found = reader.runs_beginning(given)
    if len(found) != 1:
        which = f"{len(found)} flow runs" if found else "no flow run"
        verb = "begin" if found else "begins"
        raise InputError(
            f"{which} {place_looked_in()} {verb} with {given!r}; Prefect's page of a run has its id"
        )
    return found[0]


def _by_clock(reader: Reader, asked: str) -> Diagnosis:
    """Why what is asked about does not run by the clock: of several deployments, the worst.

    Raises
    ------
    InputError
        If nothing of the kind is deployed.
    """
    flows, now = reader.stage_flows(), datetime.now(UTC)
    every = reader.deployments()
    own = [one for one in every if asked in {one["name"], flows.get(one["flow_id"])}]
    if not own:
        raise InputError(
            f"{asked} is not deployed {place_looked_in()}; start `baton up`, or `prefect deploy"
            " --all`"
        )
    scheduled = [one for one in own if one["schedules"]] or own[:1]
    found = []
    for one in scheduled:
        waiting, last = reader.runs_by_clock(one)
        taker = reader.taker(waiting[0] if waiting else one, one.get("last_polled"))
        name = f"{flows.get(one['flow_id'], asked)}/{one['name']}"
        found.append(reasons.by_clock(name, one, waiting, last, taker, now))
    return min(found, key=reasons.urgency)
