"""What a family of models is: the interface that every family in this folder implements."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from baton.terms import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from baton.models.space import Space

BOTH = (Kind.CLASSIFICATION, Kind.REGRESSION)

_THREADS_CELLS = 200_000


class Explain(StrEnum):
    """How a family's predictions are explained exactly, if they can be."""

    TREE = "tree"
    LINEAR = "linear"
    ANY = "any"


class Encoding(StrEnum):
    """How a table becomes a matrix; the hyperparameter ``encoding`` of every family."""

    NATIVE = "native"
    """Dense, a category is one column of codes."""
    ONE_HOT = "one_hot"
    """Sparse, a category is a column of zeros and ones per level."""


class Family(Protocol):
    """One kind of estimator: how it is fitted, written and read."""

    @property
    def explain(self) -> Explain:
        """How its predictions are explained."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What it can predict."""

    @property
    def encodings(self) -> tuple[Encoding, ...]:
        """Matrices that it takes, the one it takes by default first."""

    @property
    def takes_missing(self) -> bool:
        """Whether a dense matrix may hold NaN."""

    @property
    def standardizes(self) -> bool:
        """Whether it has the hyperparameter ``standardize``."""

    def parameters(self, kind: Kind) -> Mapping[str, Any]:
        """Hyperparameters of its own and their types; ``Any`` where the library checks it."""

    def defaults(self, kind: Kind, n_rows: int) -> dict[str, Any]:
        """Hyperparameters that are used where the user gives none."""

    def space(self, kind: Kind) -> Space:
        """Hyperparameters that are worth tuning, and their values."""

    def fit(
        self,
        X: Any,
        y: Any,
        kind: Kind,
        feature_types: list[str],
        params: dict[str, Any],
        seed: int,
    ) -> Any:
        """Fit an estimator with the scikit-learn interface."""

    def save(self, estimator: Any, folder: Path) -> None:
        """Write the estimator in a format that runs no code when it is read."""

    def load(self, folder: Path, kind: Kind) -> Any:
        """Read what `save` wrote."""


def is_small(X: Any) -> bool:
    """Whether threads cost more on this matrix than they give, and far more on a busy machine."""
    return bool(X.shape[0] * X.shape[1] < _THREADS_CELLS)
