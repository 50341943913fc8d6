"""What a problem is: the interface that every problem in this folder implements.

The registry is ``baton.problems``; a problem's own code belongs in a file of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import pandas as pd
    from pandera.pandas import DataFrameSchema

ROW = "_row"
"""Column of every feature table: the row's id, its position in the raw table."""

SPLIT = "_split"
"""Column of every feature table: ``train`` or ``test``."""


class Kind(StrEnum):
    """What is predicted."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


class Split(StrEnum):
    """What a row is for."""

    TRAIN = "train"
    TEST = "test"


class Params(BaseModel):
    """Base of a problem's parameters: frozen, and a misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Options(BaseModel):
    """What a chain may be asked for whatever its problem is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folds: Annotated[
        int, Field(ge=0, le=100, description="folds of a cross-validation; 0 for none")
    ] = 0
    n_repeats: Annotated[
        int, Field(ge=1, le=1000, description="shuffles of a column in permutation importance")
    ] = 5
    importance_rows: Annotated[
        int, Field(ge=10, description="held-out rows for permutation importance, at most")
    ] = 10_000
    explain_rows: Annotated[
        int, Field(ge=1, description="held-out rows whose Shapley values are kept, at most")
    ] = 1_000


@dataclass(frozen=True)
class Goal:
    """What a chain learns: settled once the raw table is known."""

    kind: Kind
    target: str
    headline: str
    """The metric that decides, a name of ``baton.metrics``."""
    notes: tuple[str, ...] = ()
    """What was inferred about the input, a sentence each, for people to read."""


P = TypeVar("P", bound=Params)


class Problem(ABC, Generic[P]):
    """A data set, how it becomes features, and what is predicted.

    Implementations are stateless: everything a run depends on is in its parameters.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    params: type[P]

    def fingerprint(self, params: P) -> str:  # noqa: ARG002
        """Digest of whatever outside the parameters decides the raw table.

        Raises
        ------
        InputError
            If the source is missing or unreadable; this is the cheap check before a run starts.
        """
        return ""

    @abstractmethod
    def load(self, params: P) -> pd.DataFrame:
        """Raw table, as it came."""

    @abstractmethod
    def contract(self, params: P) -> DataFrameSchema:
        """Input contract of the raw table."""

    @abstractmethod
    def goal(self, raw: pd.DataFrame, params: P) -> Goal:
        """Kind, target and headline metric, and what was inferred to get there."""

    @abstractmethod
    def features(self, raw: pd.DataFrame, params: P, *, with_target: bool = True) -> pd.DataFrame:
        """Feature table: `ROW`, the columns a model sees and, if asked for, the target.

        Columns are numbers, booleans, datetimes or categoricals; nothing is fitted here,
        so nothing can leak from test to train.
        """

    @abstractmethod
    def split(self, features: pd.DataFrame, params: P) -> pd.Series:
        """`Split` of every feature row, in the order and with the index of `features`."""
