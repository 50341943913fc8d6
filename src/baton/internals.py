"""Reaching behind the public face of a library: by leave of the settings, and never fatally.

A reach is a small function in a library's ``*_internals.py``, and nowhere else. Where the name
that it reaches for is gone, one warning says what is slower now, and the caller takes the public
way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec, TypeVar

from baton.settings import settings

P = ParamSpec("P")
T = TypeVar("T")

GONE = (AttributeError, ImportError, TypeError)
"""What a name says that is gone, or one that takes other arguments now."""


def reach(
    without: str, gone: tuple[type[Exception], ...] = GONE
) -> Callable[[Callable[P, T]], Callable[P, T | None]]:
    """Make a function a reach: it returns None where it may not, or finds its names gone.

    Parameters
    ----------
    without : str
        What is the case then, for the warning: "Prefect has no …: runs start cold".
    gone : tuple of exception types
        What it raises when the library has changed.
    """

    def made(function: Callable[P, T]) -> Callable[P, T | None]:
        @wraps(function)
        def reached(*args: P.args, **kwargs: P.kwargs) -> T | None:
            if not settings().internals:
                return None
            try:
                return function(*args, **kwargs)
            except gone as error:
                warn(function.__module__, f"{without} ({error})")
                return None

        return reached

    return made


@cache
def warn(logger: str, text: str) -> None:
    """Log a warning, once in a process.

    Parameters
    ----------
    logger : str
        Name of the module that reaches.
    text : str
    """
    logging.getLogger(logger).warning(text)
