"""The command ``deploy``: a server is given what prefect.yaml declares, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from baton.chain.deploying import Change, summed_up
from baton.chain.manifest import Manifest
from baton.chain.manifest import read as read_manifest
from baton.cli.app import ERR, OUT, AsJson, app, print_json
from baton.cli.connection import access_to, away, connected
from baton.errors import InputError
from baton.settings import settings
from tasks.platform.api import ApiError, Client
from tasks.platform.places import MANIFEST

if TYPE_CHECKING:
    from tasks.platform.deploying import Deploy

_COLOURS = {"+": "green", "~": "yellow", "-": "red"}

Check = Annotated[bool, Parameter(negative=())]


@app.command
def deploy(*, check: Check = False, as_json: AsJson = False) -> int:
    """Give the server in PREFECT_API_URL what prefect.yaml declares, and show what that changes.

    Deployments, automations and messages are compared field by field. What is as declared is left
    alone and keeps its id; what this file no longer declares is removed; what others made is not
    touched. Cut off, it is finished by the next one.

    Examples
    --------
    `baton deploy --check`

    Parameters
    ----------
    check
        Only show it; the exit code is 1 if there is anything to change.
    """
    declared = read_manifest(MANIFEST)
    if not settings().prefect_api_url:
        raise InputError(
            "PREFECT_API_URL is not set: it names the server to deploy to; `baton up` serves what"
            " prefect.yaml declares on its own"
        )
    with connected(ERR, serving=False) as (addresses, _), Client(access_to(addresses)) as client:
        with ERR.status("comparing …"):
            asked = _asked(declared, client)
            found = _compared(asked)
        if not as_json:
            _tell(found, asked.others)
        if not check:
            with ERR.status("deploying …"):
                asked.apply(found)
        _tell_end(found, client, check=check, as_json=as_json)
    return int(check and bool(found))


def _asked(declared: Manifest, client: Client) -> Deploy:
    with away():
        from serving.serve import flow_of
        from tasks.platform.deploying import Deploy

        return Deploy(declared, flow_of, settings().notify, client)


def _compared(asked: Deploy) -> tuple[Change, ...]:
    """What is to be done.

    Raises
    ------
    InputError
        Also where the server does not answer: 1 would say that there is a difference.
    """
    try:
        with away():
            asked.check()
            return asked.changes()
    except ApiError as error:
        raise InputError(f"the Prefect server did not answer as expected: {error}") from None


def _tell(found: Sequence[Change], others: Sequence[str]) -> None:
    """Show the difference, and what nobody removes without being asked."""
    for change in found:
        head, *fields = change.lines()
        _say(head, _COLOURS[change.sign])
        for line in fields:
            _say(line)
    _say(summed_up(found, are_done=False) if found else "nothing to change")
    if others:
        _say(
            f"left alone: {', '.join(others)}: no deploy made it, and prefect.yaml does not declare"
            " it; `baton prune` removes it"
        )


def _tell_end(found: Sequence[Change], client: Client, *, check: bool, as_json: bool) -> None:
    """Say what was done, to a person or to a script."""
    if as_json:
        changes = [change.as_json() for change in found]
        content = {"server": client.access.address, "applied": not check, "changes": changes}
        print_json(content)
    elif found and not check:
        _say(summed_up(found, are_done=True))


def _say(line: str, style: str = "") -> None:
    OUT.print(line, style=style, highlight=False, markup=False, soft_wrap=True)
