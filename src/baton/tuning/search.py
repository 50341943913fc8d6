"""What a search is: everything that makes two of them the same study."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from baton.evaluation import metrics
from baton.lineage import digest_of
from baton.models.space import Space
from baton.terms import Kind
from baton.tuning.spaces import written

MODEL = "model"
"""Dimension of a search of several families: which one."""


def several(of_each: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Names of several families in one mapping, the family's and a dot before each."""
    return {f"{name}.{key}": v for name, own in of_each.items() for key, v in own.items()}


@dataclass(frozen=True)
class Search:
    """A search of one family's hyperparameters on one table, or of several families'.

    Of several, the space has a choice `MODEL` and each family's own dimensions, its name and a dot
    before them.
    """

    problem: str
    family: str
    """Of several, their names with a plus between them."""
    kind: Kind
    metric: str
    space: Space
    data: str
    """Digest of the feature table."""
    seed: int
    n_trials: int
    start: dict[str, Any]
    """Hyperparameters where nothing is searched, and of the first trial."""
    firsts: tuple[dict[str, Any], ...] = ({},)
    """What the first trials change of that, one after the other; what the space lacks is left."""
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
            "firsts": list(self.firsts),
            "data": self.data,
            "seed": self.seed,
            **self.asked,
        }

    @property
    def is_of_several(self) -> bool:
        """Whether it chooses the family too."""
        return MODEL in self.space

    def active(self, model: Any) -> Space:
        """Dimensions of a family, of all where there is one."""
        if not self.is_of_several:
            return self.space
        return {k: v for k, v in self.space.items() if k.startswith(f"{model}.")}

    def settings(self, params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Family of a trial, and its hyperparameters as the family calls them."""
        if not self.is_of_several:
            return self.family, params
        name = str(params[MODEL])
        begin = f"{name}."
        own = {k.removeprefix(begin): v for k, v in params.items() if k.startswith(begin)}
        return name, own

    @property
    def name(self) -> str:
        """Name of the study: the user's, or one made from the contract."""
        return self.study or f"{self.problem}-{self.family[:40]}-{digest_of(self.contract)[:12]}"
