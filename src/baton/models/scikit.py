"""What all families of scikit-learn's estimators have in common.

The estimators themselves belong in modules of their own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from baton.models import skops_files
from baton.models.interface import Explain, Family, FitSpec, is_small

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from baton.terms import Kind

_NOT_OFFERED = {
    # Baton's own to decide
    *("random_state", "categorical_features", "estimator", "init", "copy_X", "estimators"),
    # of the matrix's columns, which the user does not see
    *("monotonic_cst", "interaction_cst", "precompute"),
    # of no effect on a single fit, or deprecated
    *("warm_start", "verbose", "penalty", "callback"),
}


class Scikit(Family, ABC):
    """Base of the families whose estimators are scikit-learn's."""

    explain = Explain.TREE
    trusted: tuple[str, ...] = ()
    """Full names of the types in its files that skops does not know, such as
    ``package.module.Class``: of what reads a file, these are all that it may build."""

    @abstractmethod
    def estimator(self, kind: Kind) -> Any:
        """Class of the estimator."""

    def parameters(self, kind: Kind) -> Mapping[str, Any]:
        """Those of the estimator, which checks their values itself."""
        names = self.estimator(kind)().get_params(deep=False)
        return {name: Any for name in names if name not in _NOT_OFFERED}

    def fit(self, X: Any, y: Any, spec: FitSpec) -> Any:
        """Fit the estimator; on a small matrix in one thread."""
        parallel: dict[str, Any] = {}
        if "n_jobs" in self.parameters(spec.kind):
            parallel = {"n_jobs": 1 if is_small(X) else -1}
        estimator = self.build(spec.having({**parallel, **spec.params}))
        weighing = {} if spec.weights is None else {"sample_weight": spec.weights}
        return in_one_thread(estimator.fit(X, y, **weighing))

    def build(self, spec: FitSpec) -> Any:
        """Make the estimator that is to be fitted."""
        made = self.estimator(spec.kind)(**spec.params)
        has_seed = "random_state" in made.get_params()
        return made.set_params(random_state=spec.seed) if has_seed else made

    def save(self, estimator: Any, folder: Path) -> None:
        """Write a skops file."""
        skops_files.save(estimator, folder)

    def load(self, folder: Path, kind: Kind) -> Any:  # noqa: ARG002
        """Read a skops file."""
        return skops_files.load(folder, self.trusted)


def in_one_thread(estimator: Any) -> Any:
    """Let a fitted estimator predict in one thread.

    A forest's threads add up in the order in which they end, and the last bit follows it.
    """
    if "n_jobs" in estimator.get_params(deep=False):
        estimator.set_params(n_jobs=None)
    return estimator
