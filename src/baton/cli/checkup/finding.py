"""A finding: what was looked at, whether it is well, the fact, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from baton.chain.runs import Json


class Verdict(StrEnum):
    """Whether something is well."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    """It may be meant so, or is only missed by some."""
    BAD = "bad"

    @property
    def sign(self) -> str:
        """It, as a list shows it."""
        return {"good": "✓", "doubtful": "!", "bad": "✗"}[self.value]


@dataclass(frozen=True)
class Finding:
    """One line of what was found."""

    what: str
    verdict: Verdict
    fact: str
    fix: str = ""
    """What mends it; empty where nothing need be done."""

    @property
    def facts(self) -> Json:
        """It, ready for JSON."""
        said = {"what": self.what, "verdict": self.verdict.value, "fact": self.fact}
        return said | {"fix": self.fix or None}


def good(what: str, fact: str) -> Finding:
    """Something that is well."""
    return Finding(what, Verdict.GOOD, fact)


def doubtful(what: str, fact: str, fix: str) -> Finding:
    """Something that may be meant so."""
    return Finding(what, Verdict.DOUBTFUL, fact, fix)


def bad(what: str, fact: str, fix: str) -> Finding:
    """Something that does not work."""
    return Finding(what, Verdict.BAD, fact, fix)


def shown(address: str) -> str:
    """Address as it may be said: without user, password and query.

    Examples
    --------
    >>> shown("postgresql://ann:secret@db:5432/mlflow?sslmode=require")
    'postgresql://db:5432/mlflow'
    """
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl()
