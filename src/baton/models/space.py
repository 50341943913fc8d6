"""Search spaces: the values of a hyperparameter that are worth trying.

How they are searched belongs elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Int:
    """Whole numbers from `low` to `high`, both among them."""

    low: int
    high: int
    step: int = 1
    log: bool = False


@dataclass(frozen=True)
class Float:
    """Numbers from `low` to `high`, both among them; any, or those a `step` apart."""

    low: float
    high: float
    step: float | None = None
    log: bool = False


@dataclass(frozen=True)
class Categorical:
    """One of these."""

    choices: tuple[str | int | float | bool | None, ...]


Space = Mapping[str, Int | Float | Categorical]
