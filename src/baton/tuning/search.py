"""What a search is: everything that makes two of them the same study."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from baton.evaluation import metrics
from baton.lineage import digest_of
from baton.models.space import Space
from baton.terms import Kind
from baton.tuning.spaces import written


@dataclass(frozen=True)
class Search:
    """A search of one family's hyperparameters on one table."""

    problem: str
    family: str
    kind: Kind
    metric: str
    space: Space
    data: str
    """Digest of the feature table."""
    seed: int
    n_trials: int
    start: dict[str, Any]
    """Hyperparameters where nothing is searched, and of the first trial."""
    study: str | None = None
    """Name that the user gave."""
    asked: dict[str, Any] = field(default_factory=dict)
    """What else decides how a trial is fitted: the positive class, the metric that stops it."""

    @property
    def is_maximized(self) -> bool:
        """Whether more of the metric is better."""
        return metrics.GREATER_IS_BETTER[metrics.parse(self.metric)]

    @property
    def contract(self) -> dict[str, Any]:
        """What all trials of one study have in common, ready for JSON."""
        return {
            "problem": self.problem,
            "model": self.family,
            "kind": self.kind.value,
            "metric": self.metric,
            "direction": "maximize" if self.is_maximized else "minimize",
            "space": written(self.space),
            "start": self.start,
            "data": self.data,
            "seed": self.seed,
            **self.asked,
        }

    @property
    def name(self) -> str:
        """Name of the study: the user's, or one made from the contract."""
        return self.study or f"{self.problem}-{self.family}-{digest_of(self.contract)[:12]}"
