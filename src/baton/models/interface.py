"""What a family of models is: the base of every family in this folder, and what it is told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from baton.bonds import NONE, Bonds
from baton.metric import Metric
from baton.terms import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from baton.models.space import Space

BOTH = (Kind.CLASSIFICATION, Kind.REGRESSION)

THREADS_CELLS = 200_000
"""Cells of a matrix below which one thread is quicker than several."""


class Explain(StrEnum):
    """How a family's predictions are explained exactly, if they can be."""

    TREE = "tree"
    LINEAR = "linear"
    ANY = "any"


class Encoding(StrEnum):
    """How a table becomes a matrix; the hyperparameter ``encoding`` of every family."""

    NATIVE = "native"
    """Dense, a category is one column of codes."""
    TARGET = "target"
    """Dense; of a category with many levels, what the target is on average where it has each."""
    ONE_HOT = "one_hot"
    """Sparse, a category is a column of zeros and ones per level."""


@dataclass(frozen=True)
class FitSpec:
    """What a family is to fit: all but the rows."""

    kind: Kind
    params: Mapping[str, Any] = field(default_factory=dict)
    """Its own hyperparameters, the defaults among them."""
    feature_types: tuple[str, ...] = ()
    """Type of every column of the matrix, as XGBoost writes it: ``c`` is a category."""
    n_classes: int = 0
    """Number of classes, whose codes are 0, 1, …; 0 for a regression."""
    seed: int = 0
    bonds: Bonds = NONE
    """What the rows hang together by, so that none is stopped by its own like or by its past."""
    metric: Metric | None = None
    """What says when to stop, where the engine can; its own loss if not given."""
    weights: Any = None
    """How much each row counts: array of shape (n,); None where all count the same."""

    @property
    def categories(self) -> list[int]:
        """Places of the matrix's columns that are categories."""
        return [place for place, one in enumerate(self.feature_types) if one == "c"]

    def having(self, params: Mapping[str, Any]) -> FitSpec:
        """Return the same with these hyperparameters in place of its own."""
        return replace(self, params=params)

    def without(self, *names: str) -> FitSpec:
        """Return the same without some of its hyperparameters."""
        return self.having({one: value for one, value in self.params.items() if one not in names})


@dataclass(frozen=True)
class Matrix:
    """Encoded rows and what is learnt of them."""

    X: Any
    y: Any
    weights: Any = None


class Family(ABC):
    """One kind of estimator: how it is fitted, written and read."""

    explain: Explain = Explain.ANY
    """How its predictions are explained."""
    kinds: tuple[Kind, ...] = BOTH
    """What it can predict."""
    encodings: tuple[Encoding, ...] = (Encoding.NATIVE, Encoding.ONE_HOT)
    """Matrices that it takes, the one it takes by default first."""
    takes_missing: bool = False
    """Whether a dense matrix may hold NaN."""
    standardizes: bool = False
    """Whether it has the hyperparameter ``standardize``."""

    @abstractmethod
    def parameters(self, kind: Kind) -> Mapping[str, Any]:
        """Hyperparameters of its own and their types; ``Any`` where the library checks it."""

    def defaults(self, kind: Kind, n_rows: int) -> dict[str, Any]:  # noqa: ARG002
        """Hyperparameters that are used where the user gives none."""
        return {"encoding": self.encodings[0].value}

    @abstractmethod
    def space(self, kind: Kind) -> Space:
        """Hyperparameters that are worth tuning, and their values."""

    @abstractmethod
    def fit(self, X: Any, y: Any, spec: FitSpec) -> Any:
        """Fit an estimator with the scikit-learn interface."""

    def learns_in_parts(self, params: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Tell whether all rows of a table beyond memory can be learnt from, by `fit_parts`."""
        return False

    def fit_parts(
        self, some: Matrix, watched: Matrix, parts: Iterable[Matrix], n_parts: int, spec: FitSpec
    ) -> Any:
        """Fit an estimator on rows that are in memory part by part.

        Parameters
        ----------
        some : Matrix
            Rows of which quantiles are made; nothing is fitted on them.
        watched : Matrix
            Rows that say when to stop, likewise.
        parts : iterable of Matrix
            All other rows, each part a sample of them, there when it is asked for.
        n_parts : int
        spec : FitSpec
        """
        raise NotImplementedError

    def settled(self, estimator: Any, params: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Hyperparameters that fit the same again, without a search for the number of trees."""
        return params

    @abstractmethod
    def save(self, estimator: Any, folder: Path) -> None:
        """Write the estimator in a format that runs no code when it is read."""

    @abstractmethod
    def load(self, folder: Path, kind: Kind) -> Any:
        """Read what `save` wrote."""


def is_small(X: Any) -> bool:
    """Whether threads cost more on this matrix than they give, and far more on a busy machine."""
    return bool(X.shape[0] * X.shape[1] < THREADS_CELLS)
