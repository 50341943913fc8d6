"""What a problem is: the interface that every problem in this folder implements.

The registry is ``baton.problems``; a problem's own code belongs in a file of its own.
"""

from __future__ import annotations

import csv
import json
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from pandera.pandas import DataFrameSchema

ROW = "_row"
"""Column of every feature table: the row's id, its position in the raw table."""

SPLIT = "_split"
"""Column of every feature table: ``train`` or ``test``."""


GROUP = "_group"
"""Column of some feature tables: which rows belong together, for the folds of a validation."""


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


def _settings(value: Any) -> Any:
    """Hyperparameters from a JSON object or a mapping."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value or "{}")
    except json.JSONDecodeError:
        raise ValueError('a JSON object is wanted, such as {"n_estimators": 50}') from None


def names_in(value: Any) -> Any:
    """Names from ``a,b``, from a JSON list or from a list."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        with suppress(json.JSONDecodeError):  # else a name that starts with a bracket
            return json.loads(value)
    names = next(csv.reader([value], skipinitialspace=True), [])
    return [name.strip() for name in names if name.strip()]


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


class Engine(StrEnum):
    """Where trials and fits run."""

    LOCAL = "local"
    """In the stage's own process; trials are subflows of it."""
    WORKERS = "workers"
    """Each trial is a run of the deployment `trial`, taken by whichever process serves it."""
    DASK = "dask"
    """On a Dask cluster: trials, and the fit of a model that can."""


class Options(BaseModel):
    """What a chain may be asked for whatever its problem is."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: Annotated[
        str | None, Field(description="family of models; by default the problem's own")
    ] = None
    model_params: Annotated[
        dict[str, Any],
        BeforeValidator(_settings),
        Field(description="hyperparameters of the model, as a JSON object"),
    ] = {}
    compare: Annotated[
        tuple[str, ...],
        BeforeValidator(names_in),
        AfterValidator(_once),
        Field(description="families to cross-validate side by side, a,b; the best is trained"),
    ] = ()
    tune: Annotated[bool, Field(description="search hyperparameters before training")] = False
    n_trials: Annotated[int, Field(ge=1, le=10_000, description="trials of the search")] = 20
    trials_at_once: Annotated[
        int | None,
        Field(ge=1, le=1_000, description="trials that run at the same time; by default the cores"),
    ] = None
    space: Annotated[
        dict[str, Any],
        BeforeValidator(_settings),
        Field(
            description='what to search, as a JSON object such as {"max_depth": [2, 8],'
            ' "booster": ["gbtree", "dart"]}; by default the family\'s own space'
        ),
    ] = {}
    study: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
            description="name of the study, to go on with it later; by default made from the data",
        ),
    ] = None
    engine: Annotated[
        Engine, Field(description="where trials and fits run: local, workers or dask")
    ] = Engine.LOCAL
    notebook: Annotated[
        str | None,
        Field(
            pattern=r"^[a-z][a-z0-9_-]{0,63}$",
            description="notebook to run after the evaluation, a name in notebooks/",
        ),
    ] = None
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

    @property
    def labels(self) -> dict[str, str]:
        """Which stages beyond the usual ones are asked for, as events say it to triggers."""
        asked = {"baton.tune": self.tune, "baton.notebook": self.notebook is not None}
        return {name: "yes" if value else "no" for name, value in asked.items()}


@dataclass(frozen=True)
class Goal:
    """What a chain learns: settled once the raw table is known."""

    kind: Kind
    target: str
    headline: str
    """The metric that decides, a name of ``baton.metrics``."""
    notes: tuple[str, ...] = ()
    """What was inferred about the input, a sentence each, for people to read."""
    model: str = "xgboost"
    """Family that is trained where the user names none."""
    model_params: dict[str, Any] = field(default_factory=dict)
    """Its hyperparameters, where they are not the family's own defaults."""
    trials_at_once: int | None = None
    """Trials of a search that run at the same time, where not one for each core."""


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
        OSError
            If trying again may help.
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

    def groups(self, features: pd.DataFrame, raw: pd.DataFrame, params: P) -> pd.Series | None:  # noqa: ARG002
        """Which feature rows belong together: no fold of a cross-validation parts them."""
        return None

    def schema(self, raw: pd.DataFrame, params: P) -> dict[str, Any]:  # noqa: ARG002
        """How the raw table's columns are read, where that is inferred from it: ready for JSON.

        It stays with the model, so that new rows are read as the training rows were.
        """
        return {}

    @abstractmethod
    def features(self, raw: pd.DataFrame, params: P, *, with_target: bool = True) -> pd.DataFrame:
        """Feature table: `ROW`, the columns a model sees and, if asked for, the target.

        Columns are numbers, booleans, datetimes or categoricals; nothing is fitted here,
        so nothing can leak from test to train.
        """

    def new_features(
        self,
        raw: pd.DataFrame,
        params: P,
        schema: dict[str, Any],  # noqa: ARG002
    ) -> pd.DataFrame:
        """Features of rows to be predicted, read by the `schema` of the training rows."""
        return self.features(raw, params, with_target=False)

    def unseen(self, params: P) -> pd.DataFrame:
        """Raw rows to be predicted; the target need not be among their columns."""
        return self.load(params)

    def unseen_fingerprint(self, params: P) -> str:
        """Digest of whatever outside the parameters decides the rows of `unseen`."""
        return self.fingerprint(params)

    @abstractmethod
    def split(self, features: pd.DataFrame, raw: pd.DataFrame, params: P) -> pd.Series:
        """`Split` of every feature row, in the order and with the index of `features`.

        `ROW` says which row of `raw` it was made from, whose columns may decide.
        """


class SourcedProblem(Problem[P]):
    """A problem whose raw table is joined from tables of a network or a database.

    Each is read once, tried again when that fails, and kept as a result of its own.
    """

    @abstractmethod
    def sources(self, params: P) -> tuple[str, ...]:
        """Names of the tables."""

    @abstractmethod
    def read(self, params: P, source: str) -> pd.DataFrame:
        """One of the tables, as it came.

        Raises
        ------
        InputError
            If it does not exist; with what to do instead.
        OSError
            If trying again may help.
        """

    @abstractmethod
    def join(self, params: P, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        """Raw table from the tables of `sources`, by name."""

    def load(self, params: P) -> pd.DataFrame:
        """Raw table, its tables read here and now."""
        return self.join(params, {name: self.read(params, name) for name in self.sources(params)})
