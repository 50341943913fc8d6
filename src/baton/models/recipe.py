"""What is to be learnt from rows, whichever rows they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from baton.models.registry import DEFAULT

if TYPE_CHECKING:
    from baton.terms import Kind


@dataclass(frozen=True)
class Recipe:
    """A model before it has seen a row: its target, its family, its hyperparameters.

    Examples
    --------
    >>> from baton.terms import Kind
    >>> Recipe("quality", Kind.REGRESSION).family
    'xgboost'
    """

    target: str
    kind: Kind
    family: str = DEFAULT
    """A key of `FAMILIES`."""
    params: dict[str, Any] = field(default_factory=dict)
    """Hyperparameters; the family's defaults fill the rest."""
    seed: int = 0
    metric: str | None = None
    """Metric that says when to stop, where the engine can; the engine's own loss if not given."""
    positive: Any = None
    """Of two classes the one that is put second, which rankings and explanations are about."""
    origin: dict[str, Any] = field(default_factory=dict)
    """What the rows were made from, kept with the model; ready for JSON."""
