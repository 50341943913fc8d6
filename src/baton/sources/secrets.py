"""Passwords: where they come from, never what they are.

A name is revealed by the source that a process registered, such as Prefect's Secret blocks;
without a name the setting ``BATON_DATABASE_PASSWORD`` counts. A password goes from here to the
driver; it is in no parameter, no table and no message.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic import SecretStr

from baton.errors import InputError
from baton.settings import settings

Source = Callable[[str], SecretStr]

_sources: list[Source] = []


class SecretOutOfReachError(InputError):
    """A named secret in a process that has no source of them; a stage's process has one."""


def use(source: Source | None) -> None:
    """Register where named secrets come from, instead of what was registered before.

    Parameters
    ----------
    source : callable, optional
        Returns the secret of a name, or raises InputError; None for no source.
    """
    _sources[:] = [] if source is None else [source]


def reveal(name: str | None) -> SecretStr:
    """Return the secret of a name; without one, the database password of the settings.

    Raises
    ------
    SecretOutOfReachError
        If a name is given and no source is registered.
    InputError
        If there is no secret of that name.
    """
    if name is None:
        return settings().database_password
    if not _sources:
        raise SecretOutOfReachError(
            f"secret {name!r} cannot be read here: it is a Prefect Secret block, which a stage"
            " reads while it runs; or set BATON_DATABASE_PASSWORD and leave secret out"
        )
    return _sources[0](name)
