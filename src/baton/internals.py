"""Reaching behind the public face of a library, and the public way where that fails.

What is reached for belongs in one module per library, named ``<library>_internals``.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from baton.settings import settings

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

GONE = (AttributeError, ImportError)
"""What is raised when a name is no longer there."""


def reach(
    name: str,
    within: Callable[[], T],
    public: Callable[[], T],
    gone: tuple[type[Exception], ...] = GONE,
) -> T:
    """Answer of `within`, or of `public` if that cannot be had or is not wanted.

    Parameters
    ----------
    name : str
        What is reached for, for the one warning when it is gone.
    within : callable
        Uses what the library does not promise to keep.
    public : callable
        Does the same, slower, by what the library documents. Used without a warning if
        ``BATON_INTERNALS=0``.
    gone : tuple of exception types
        What `within` raises when the library has changed.

    Examples
    --------
    >>> reach("math.tau", lambda: 1, lambda: 2)
    1
    """
    if not settings().internals:
        return public()
    try:
        return within()
    except gone as error:
        _warn(name, str(error))
        return public()


@cache
def _warn(name: str, why: str) -> None:
    """Say it once in a process."""
    logging.getLogger(__name__).warning(
        "%s is not as Baton knows it (%s); Baton goes the public way, which is slower", name, why
    )
