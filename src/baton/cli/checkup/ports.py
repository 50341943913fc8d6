"""Ports: those that Baton listens on by the settings, free or with who holds them."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from baton.chain.manifest import Answering
from baton.cli.checkup.finding import Finding, doubtful, good
from baton.settings import Settings
from serving.embedded import Addresses
from serving.guard import HOST

_OR_FREE = "`baton up` takes a free one instead; set {setting} to have one that is known"


@dataclass(frozen=True)
class Port:
    """A port that something of Baton is to listen on."""

    what: str
    number: int
    fix: str
    """What to do where it is taken."""


def findings(
    settings: Settings, serving: Iterable[Answering], standing: Addresses | None
) -> Iterator[Finding]:
    """Whether each can be listened on.

    Parameters
    ----------
    settings : Settings
    serving : iterable of Answering
        Champions that answer by prefect.yaml.
    standing : Addresses or None
        The Baton that stands in this home.
    """
    own = own_ports(standing, serving)
    for one in wanted(settings, serving):
        yield of_port(one, own)


def wanted(settings: Settings, serving: Iterable[Answering]) -> list[Port]:
    """Ports that the settings and prefect.yaml name."""
    named = {
        "Prefect": (settings.prefect_port, "BATON_PREFECT_PORT", _OR_FREE),
        "MLflow": (settings.mlflow_port, "BATON_MLFLOW_PORT", _OR_FREE),
        "announce": (settings.announce_port, "BATON_ANNOUNCE_PORT", _OR_FREE),
        "serve": (settings.serve_port, "BATON_SERVE_PORT", "set {setting}, or give --port"),
    }
    found = [
        Port(f"port of {what}", number, fix.format(setting=setting))
        for what, (number, setting, fix) in named.items()
    ]
    mend = "give it another port in prefect.yaml"
    return found + [Port(f"port of {one.asked}", one.port, mend) for one in serving]


def own_ports(standing: Addresses | None, serving: Iterable[Answering]) -> dict[int, int]:
    """Process of this home's Baton by the ports that it listens on."""
    if standing is None or not standing.pid:
        return {}
    places = (standing.prefect, standing.mlflow, standing.announce)
    numbers = [urlsplit(one).port for one in places if one] + [one.port for one in serving]
    return {number: standing.pid for number in numbers if number}


def of_port(one: Port, own: Mapping[int, int]) -> Finding:
    """Whether a port can be listened on."""
    if not one.number:
        return good(one.what, "any free one")
    if is_free(one.number):
        return good(one.what, f"{one.number} is free")
    if one.number in own:
        return good(one.what, f"{one.number}: this home's Baton, process {own[one.number]}")
    who = holder(one.number) or "a process of another user"
    return doubtful(one.what, f"{one.number} is taken by {who}", one.fix)


def is_free(number: int) -> bool:
    """Tell whether a port of this machine can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, number))
        except OSError:
            return False
    return True


def holder(number: int) -> str:
    """Name and id of the process that listens on a port; empty where the system does not tell.

    Its arguments are not said: a secret may be among them.
    """
    import psutil

    try:
        for one in psutil.net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr.port == number and one.pid:
                return f"{psutil.Process(one.pid).name()} (process {one.pid})"
    except (psutil.Error, OSError):  # such as a system on which only its administrator may ask
        return ""
    return ""
