"""The chain as it is written down: prefect.yaml, the flows it names, the plug-ins it needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from baton import problems
from baton.chain.manifest import Manifest, check_parameters, check_problems, read
from baton.cli.checkup.finding import Finding, bad, doubtful, good
from baton.errors import InputError

WHAT = "prefect.yaml"


def declared(path: Path) -> tuple[Manifest | None, list[Finding]]:
    """What prefect.yaml says, and what is to be said of it and of the plug-ins."""
    found = []
    try:
        manifest = read(path)
        check_problems(manifest.serving, problems.names())
        check_flows(manifest)
    except InputError as error:
        return None, [bad(WHAT, _without_name(str(error)), f"mend {path}"), *of_plug_ins()]
    found.append(good(WHAT, f"{len(manifest.deployments)} deployments, as their flows take them"))
    return manifest, [*found, *of_plug_ins()]


def check_flows(manifest: Manifest) -> None:
    """Check that each deployment names a flow and parameters that it has.

    Raises
    ------
    InputError
        If one does not.
    """
    from inspect import signature

    from baton.cli.connection import away

    with away():
        from serving.serve import flow_of

        for entry in manifest.deployments:
            check_parameters(entry, set(signature(flow_of(entry).fn).parameters))


def of_plug_ins() -> Iterator[Finding]:
    """Problems that cannot be imported."""
    for said in problems.loaded()[1]:
        yield doubtful("plug-in", said, "mend or remove the package that brings it")


def _without_name(said: str) -> str:
    return said.removeprefix(f"{WHAT}: ")
