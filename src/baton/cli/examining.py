"""The command that looks whether all is well: ``doctor``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.markup import escape

from baton.chain.manifest import Manifest
from baton.cli.app import OUT, AsJson, app, print_json
from baton.cli.checkup import chain, databases, home, ports, server, sharing, tools, versions
from baton.cli.checkup.finding import Finding, Verdict, bad, doubtful
from baton.cli.connection import access_to
from baton.settings import settings
from serving import holder
from serving.embedded import Addresses, found, is_claimed, passing
from tasks.platform.api import Access, ApiError, Client
from tasks.platform.places import MANIFEST

_COLOURS = {Verdict.GOOD: "green", Verdict.DOUBTFUL: "yellow", Verdict.BAD: "red"}


@app.command
def doctor(*, as_json: AsJson = False) -> int:
    """Look whether all is well: versions, home, ports, clock, server, workers, databases, chain.

    Each line says ✓, ! (it may be meant so, or is optional) or ✗ (it does not work), the fact, and
    what mends it. Nothing is started or changed, and no secret is printed. It works where nothing
    stands, for the `baton up` of this home, and for the server in PREFECT_API_URL, whoever started
    that. The exit code is 0 if no line says ✗, else 1.

    Examples
    --------
    `baton doctor`

    `PREFECT_API_URL=http://prefect.example:4200/api baton doctor --json`
    """
    findings = list(_findings())
    counts = Counter(one.verdict for one in findings)
    if as_json:
        told = {verdict.value: counts[verdict] for verdict in Verdict}
        print_json({"findings": [one.facts for one in findings], "counts": told})
    else:
        for one in findings:
            _print(one)
    return 1 if counts[Verdict.BAD] else 0


def _findings() -> Iterator[Finding]:
    """Everything that is looked at, in the order in which one thing rests on another."""
    declared, said = chain.declared(MANIFEST)
    standing = None if settings().prefect_api_url else found(settings()) or passing(settings())
    serving = declared.serving if declared else ()
    yield from versions.findings(MANIFEST.with_name("constraints.txt"))
    yield from _looked_at("home", home.findings(settings()))
    yield from _looked_at("databases", databases.findings(settings()))
    yield from _looked_at(sharing.RESULTS, sharing.findings())
    yield from said
    yield from _looked_at("ports", ports.findings(settings(), serving, standing))
    yield from _looked_at(server.SERVER, _of_server(standing, declared))
    yield from tools.findings()


def _looked_at(what: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Findings; that one cannot be looked for is one, too, and keeps none of the others."""
    try:
        yield from findings
    except (OSError, ApiError) as error:
        said = " ".join(str(error).split())[:300]
        yield bad(what, f"it cannot be looked at: {said}", "mend that, and look again")


def _of_server(standing: Addresses | None, declared: Manifest | None) -> Iterator[Finding]:
    given = settings().prefect_api_url
    if standing is None and not given:
        yield _nobody()
        return
    access = access_to(standing) if standing else Access.of(settings(), given)
    with Client(access, waits=()) as client:
        yield from server.findings(client, declared, is_own=standing is not None)


def _nobody() -> Finding:
    """What is to be said where no server is known."""
    if is_claimed(settings()):
        who = holder.held_by(settings()) or "a Baton"
        fix = "wait for its start; see logs/server.log of the home"
        return bad(server.SERVER, f"{who} is in the home, and its server does not answer", fix)
    fix = "`baton up` starts one; `baton run` has one of its own"
    return doubtful(server.SERVER, "none stands, and PREFECT_API_URL is not set", fix)


def _print(one: Finding) -> None:
    fix = f" → {one.fix}" if one.fix else ""
    sign = f"[{_COLOURS[one.verdict]}]{one.verdict.sign}[/]"
    said = f"{sign} {one.what:<20} {escape(one.fact)}{escape(fix)}"
    OUT.print(said, highlight=False, soft_wrap=True)
