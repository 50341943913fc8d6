"""Prefect's clients: what they would do again and again is done once in a process."""

from __future__ import annotations

import ssl
from functools import cache
from types import SimpleNamespace


def share_certificates(*, are_read: bool = False) -> None:
    """Let the clients of this process share one TLS context for each file of certificates.

    Parameters
    ----------
    are_read : bool
        Read the system's now, for processes that are forked from this one.

    Notes
    -----
    Prefect reads them for every client that it makes, a tenth of a second each, also where the
    server's address has no TLS; a stage makes dozens. The contexts are used by nothing but
    Prefect's clients, which set all of them alike.
    """
    from prefect.client import orchestration

    shared = SimpleNamespace(**vars(ssl))
    shared.create_default_context = cache(ssl.create_default_context)
    vars(orchestration)["ssl"] = shared
    if are_read:
        shared.create_default_context()
