"""Versions of an object in a bucket: which one is known, and whether it still stands there.

A list of a bucket tells size and time, and the time in whole seconds: an object that is overwritten
within the second in which it was written looks the same. So what was compared while it was young
is compared once more by its etag, which asking for one object tells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pydantic import NonNegativeInt, TypeAdapter, ValidationError

YOUNG_SECONDS = 60
"""How long after it was written an object may have been overwritten unseen: more than the clocks of
two machines are apart."""


@dataclass(frozen=True)
class Version:
    """What a store says of an object."""

    size: NonNegativeInt
    changed: int
    """When it was written, in whole seconds since 1970."""
    etag: str = ""
    """Empty where a list told of it, or the store has none."""

    def is_like(self, other: Version) -> bool:
        """Tell whether nothing that is known of both differs."""
        etag = {self.etag, other.etag} - {""}
        return (self.size, self.changed) == (other.size, other.changed) and len(etag) < 2


@dataclass(frozen=True)
class Known:
    """A version that is known, and when it was compared last, by this machine's clock.

    Examples
    --------
    >>> young, old = (Known(Version(9, 1000, "a"), at) for at in (1001, 1070))
    >>> listed, overwritten = Version(9, 1000), Version(9, 1000, "b")
    >>> [one.compared(listed, lambda: overwritten, 1080) is one for one in (young, old)]
    [False, True]
    """

    version: Version
    at: int

    def compared(
        self, found: Version, ask: Callable[[], Version | None], now: float
    ) -> Known | None:
        """What is known, compared with what a store says; None if another version stands there.

        It is the same object where nothing is to be written down anew.

        Parameters
        ----------
        found : Version
            What a list, or the store itself, says of the object.
        ask : callable
            Asks the store for the object, where the list's word is not enough.
        now : float
            This machine's clock.
        """
        if not self.version.is_like(found):
            return None
        is_settled = self.at - self.version.changed >= YOUNG_SECONDS
        told = found if found.etag or is_settled else ask()
        if told is None or not self.version.is_like(told):
            return None
        return self if is_settled else replace(self, at=int(now))


_KNOWN = TypeAdapter(Known)


def written(known: Known) -> bytes:
    """What is known, as a file holds it."""
    return _KNOWN.dump_json(known)


def read(content: bytes) -> Known | None:
    """What a file says that is known; None if it says nothing that is understood."""
    try:
        return _KNOWN.validate_json(content, strict=True)
    except ValidationError:
        return None
