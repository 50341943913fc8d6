"""The Prefect server: reachable, of this version, its clock, who takes runs, its automations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from baton.chain.manifest import Manifest
from baton.chain.runs import Json
from baton.cli.checkup.finding import Finding, bad, doubtful, good, shown
from baton.cli.checkup.versions import installed
from baton.words.spans import brief
from baton.words.text import listed
from tasks.platform.api import ApiError, Client, UnauthorizedError

SERVER = "Prefect server"
_CLOCK_DIFFERS = timedelta(seconds=5)
_CLOCK_IS_WRONG = timedelta(minutes=1)
"""By more, a run that is due seems to wait for a time ahead."""
_SILENT = timedelta(seconds=60)
"""For which whoever takes runs may ask for none."""
_SERVE = "`baton up`, or `python -m serving` on that server"


def findings(client: Client, declared: Manifest | None, *, is_own: bool) -> Iterator[Finding]:
    """What is to be said of a server, and of who works for it.

    Parameters
    ----------
    client : Client
    declared : Manifest or None
        What prefect.yaml says; None where it cannot be read.
    is_own : bool
        Whether a Baton of this home started it.
    """
    try:
        version = client.find("admin/version")
    except ApiError as error:
        yield _unreachable(client, error, is_own=is_own)
        return
    if version is None:
        place = shown(client.access.address)
        yield bad(SERVER, f"{place} is no Prefect API", "PREFECT_API_URL ends in /api, mostly")
        return
    yield of_version(client, version)
    yield of_database(client)
    yield of_clock(client.ahead())
    if declared:
        found = client.post("deployments/filter", {})
        yield of_deployments(found, declared)
        yield from _who_takes(client, found)
        automations = client.post("automations/filter", {})
        yield from of_automations(automations, declared)


def _unreachable(client: Client, error: ApiError, *, is_own: bool) -> Finding:
    place = shown(client.access.address)
    if isinstance(error, UnauthorizedError):
        fix = "set PREFECT_API_AUTH_STRING or PREFECT_API_KEY to what it asks for"
        return bad(SERVER, f"{place} does not know this login", fix)
    fix = "see logs/server.log of the home" if is_own else "start it, or see PREFECT_API_URL"
    return bad(SERVER, f"{place} does not answer: {' '.join(str(error).split())[:200]}", fix)


def of_version(client: Client, version: str) -> Finding:
    """Its version, beside the one that is installed here."""
    own, place = installed("prefect") or "", shown(client.access.address)
    if version.split(".")[:2] == own.split(".")[:2]:
        return good(SERVER, f"{place} answers and takes this login; version {version}")
    fix = "let both have the version that constraints.txt pins"
    return doubtful(SERVER, f"{place} is version {version}, and {own} is installed here", fix)


def of_database(client: Client) -> Finding:
    """Whether it reaches its database, which it has migrated as it started."""
    try:
        client.find("ready")
    except ApiError:
        fix = "see the server's log and its database"
        return bad("server's database", "the server does not reach it", fix)
    return good("server's database", "the server reaches it")


def of_clock(ahead: timedelta | None) -> Finding:
    """By how much its clock is ahead of the one here."""
    if ahead is None:
        return good("clock", "the server does not tell its time")
    said = f"the server's is {brief(abs(ahead))} {'ahead' if ahead > timedelta() else 'behind'}"
    mend = "have both set by a time server"
    if abs(ahead) > _CLOCK_IS_WRONG:
        return bad("clock", said, mend)
    if abs(ahead) > _CLOCK_DIFFERS:
        return doubtful("clock", said, mend)
    return good("clock", "it agrees with the server's to some seconds")


def of_deployments(found: Iterable[Json], declared: Manifest) -> Finding:
    """Whether all that is declared stands there."""
    there = {one["name"] for one in found}
    missing = [one.name for one in declared.deployments if one.name not in there]
    if missing:
        fix = f"{_SERVE}; or `baton deploy`"
        fact = f"{len(missing)} of {len(declared.deployments)} are missing: {listed(missing)}"
        return bad("deployments", fact, fix)
    return good("deployments", f"all {len(declared.deployments)} stand there")


def _who_takes(client: Client, deployments: Iterable[Json]) -> Iterator[Finding]:
    ours = [one for one in deployments if "baton" in one["tags"]]
    now = datetime.now(UTC)
    if served := [one for one in ours if not one["work_pool_name"]]:
        yield of_serving(served, now)
    for pool in sorted({one["work_pool_name"] for one in ours} - {None}):
        wanted = {"workers": {}, "limit": 200}
        yield of_pool(pool, client.post(f"work_pools/{quote(pool)}/workers/filter", wanted), now)


def of_serving(served: Iterable[Json], now: datetime) -> Finding:
    """Whether a serve process asks for runs, by when one did last."""
    times = [_time(one["last_polled"]) for one in served if one.get("last_polled")]
    if not times:
        return bad("serve process", "none has ever asked for runs", _SERVE)
    silent = now - max(times)
    said = f"asked for runs {brief(silent)} ago"
    if silent > _SILENT:
        return bad("serve process", f"none stands: the last one {said}", _SERVE)
    return good("serve process", said)


def of_pool(pool: str, workers: Iterable[Mapping[str, str]], now: datetime) -> Finding:
    """Whether a worker of a pool lives, by its sign of life."""
    what, every = f"work pool {pool}", list(workers)
    online = [one for one in every if one.get("status") == "ONLINE"]
    beats = [_time(one["last_heartbeat_time"]) for one in every if one.get("last_heartbeat_time")]
    last = f", the last sign of life {brief(now - max(beats))} ago" if beats else ""
    if online:
        return good(what, f"{len(online)} workers are online{last}")
    return bad(what, f"no worker is online{last}", f"`prefect worker start --pool {pool}`")


def of_automations(found: Iterable[Json], declared: Manifest) -> Iterator[Finding]:
    """Whether what hands on from stage to stage stands there, once and enabled."""
    every = list(found)
    wanted = set(declared.automations)
    names = [one["name"] for one in every if one["name"] in wanted]
    off = sorted(one["name"] for one in every if one["name"] in wanted and not one["enabled"])
    missing, twice = sorted(wanted - set(names)), sorted({n for n in names if names.count(n) > 1})
    if missing:
        yield bad("automations", f"missing: {listed(missing)}; no event starts these", _SERVE)
    if off:
        fix = "enable them on Prefect's page of automations"
        yield bad("automations", f"disabled: {listed(off)}; no event starts these", fix)
    if twice:
        yield doubtful("automations", f"twice: {listed(twice)}", "start the serve process again")
    if not missing and not off and not twice:
        yield good("automations", f"all {len(wanted)} stand there, enabled")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
