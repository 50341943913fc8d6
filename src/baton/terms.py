"""The words that everything uses: what is predicted, what a row is for, what a chain is asked for.

They stand on nothing of Baton's own; what a problem is belongs in ``baton.problems``.
"""

from __future__ import annotations

import csv
import json
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Iterable

ROW = "_row"
"""Column of every feature table: the row's id, its position in the raw table."""

SPLIT = "_split"
"""Column of every feature table: ``train`` or ``test``."""

GROUP = "_group"
"""Column of some feature tables: which rows belong together, for the folds of a validation."""

TIME = "_time"
"""Column of some feature tables: when each row was, where folds are to learn from earlier rows."""

WEIGHT = "_weight"
"""Column of some feature tables: how much each row counts, in fitting, stopping and metrics."""

RESERVED = (ROW, SPLIT, GROUP, TIME, WEIGHT)
"""Columns that Baton keeps for itself: no feature, and no column of a user's, has such a name."""

HIDDEN = (SPLIT, GROUP, TIME, WEIGHT)
"""Those that whoever reads the rows of one side is not shown."""


class Kind(StrEnum):
    """What is predicted."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


class ColumnType(StrEnum):
    """What a column's values are."""

    NUMBER = "number"
    FLAG = "flag"
    CATEGORY = "category"
    DATETIME = "datetime"
    TEXT = "text"


class Split(StrEnum):
    """What a row is for."""

    TRAIN = "train"
    TEST = "test"


def visible(names: Iterable[str]) -> list[str]:
    """Names of a feature table's columns that are shown: the row's id, the features, the target.

    Examples
    --------
    >>> visible(["_row", "x", "y", "_split", "_group", "_time"])
    ['_row', 'x', 'y']
    """
    return [name for name in names if name not in HIDDEN]


def _settings(value: Any) -> Any:
    """Hyperparameters from a JSON object or a mapping."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value or "{}")
    except (ValueError, RecursionError):
        raise ValueError('a JSON object is wanted, such as {"n_estimators": 50}') from None


def names_in(value: Any) -> Any:
    """Names from ``a,b``, from a JSON list or from a list."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        with suppress(ValueError, RecursionError):  # else a name that starts with a bracket
            return json.loads(value)
    try:
        names = next(csv.reader([value], skipinitialspace=True), [])
    except csv.Error as error:
        raise ValueError(f"names are wanted, a,b or a JSON list ({error})") from None
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


class Quality(StrEnum):
    """How much a first answer may cost, where neither the user nor the problem names a model."""

    FAST = "fast"
    """One booster."""
    GOOD = "good"
    """Two boosters whose margins are averaged."""
    BEST = "best"
    """An ensemble of what does best out of fold; at least those two."""

    @property
    def family(self) -> str:
        """Family of models that is trained; of the best, the one that it begins with."""
        return "xgboost" if self is Quality.FAST else "boosters"


IN_PARTS = "xgboost"
"""Family that learns from all rows of a table beyond memory, part by part."""

DEFAULT_MINUTES = 5.0
"""Minutes of `quality=best`."""

_TRIALS = 20
_MOST_TRIALS = 200
"""Trials of a search that time ends."""


class Options(BaseModel):
    """What a chain may be asked for whatever its problem is."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: Annotated[
        str | None, Field(description="family of models; by default the problem's own")
    ] = None
    quality: Annotated[
        Quality | None,
        Field(
            description="fast (one booster), good (two, averaged) or best (an ensemble of several"
            " families and settings), in place of the problem's own model; good where it has none"
        ),
    ] = None
    minutes: Annotated[
        float | None,
        Field(
            gt=0,
            le=10_000,
            description="time for quality=best, 5 if not given, or for the search of tune=true",
        ),
    ] = None
    model_params: Annotated[
        dict[str, Any],
        BeforeValidator(_settings),
        Field(description="hyperparameters of the model, as a JSON object"),
    ] = {}
    metric: Annotated[
        str | None,
        Field(
            description="metric that decides: where to stop, what is best of several, the headline;"
            " by default the problem's own"
        ),
    ] = None
    positive: Annotated[
        str | None,
        Field(description="the positive one of two classes; by default the rare or the second one"),
    ] = None
    threshold: Annotated[
        str | None,
        Field(
            description="probability from which on a row is positive: a number, or a goal it is"
            " tuned for out of fold: f1, recall@precision:0.9, precision@recall:0.9 or cost:FP,FN;"
            " by default the more probable class is said"
        ),
    ] = None
    calibrate: Annotated[
        bool, Field(description="bring probabilities to what is seen out of fold, by a temperature")
    ] = False
    interval: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="part of the rows that a predicted number's interval holds; 0 for none",
        ),
    ] = 0.9
    compare: Annotated[
        tuple[str, ...],
        BeforeValidator(names_in),
        AfterValidator(_once),
        Field(
            description="families to cross-validate side by side, a,b; the best is trained; with"
            " tune=true, families to search together"
        ),
    ] = ()
    tune: Annotated[bool, Field(description="search hyperparameters before training")] = False
    n_trials: Annotated[
        int | None,
        Field(
            ge=1,
            le=10_000,
            description="trials of the search; by default 20, or 200 where minutes end it",
        ),
    ] = None
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
        Engine,
        Field(description="where trials, fits and parts of large tables run: local, workers, dask"),
    ] = Engine.LOCAL
    fresh: Annotated[
        bool, Field(description="read the source again, whatever is kept of it, and make all anew")
    ] = False
    notebook: Annotated[
        str | None,
        Field(
            pattern=r"^[a-z][a-z0-9_-]{0,63}$",
            description="notebook to run after the evaluation, a name in notebooks/",
        ),
    ] = None
    predict: Annotated[
        dict[str, Any] | None,
        BeforeValidator(_settings),
        Field(
            description="once the model is promoted, predict new rows, read by these parameters of"
            ' the problem, a JSON object such as {"path": "new.csv"}'
        ),
    ] = None
    retrain: Annotated[
        dict[str, Any] | None,
        BeforeValidator(_settings),
        Field(
            description="where these rows have drifted, begin anew, with these parameters of the"
            " problem in place of its own, a JSON object; {} for the same place, read again"
        ),
    ] = None
    approve: Annotated[
        bool,
        Field(description="have a person approve before the champion is another: `baton approve`"),
    ] = False
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
        int | None,
        Field(
            ge=1,
            description="held-out rows whose Shapley values are kept, at most; by default all"
            " where they are counted to take less than 10 s, else 1,000",
        ),
    ] = None

    @property
    def most_trials(self) -> int:
        """Trials of the search, if time does not end it before."""
        return self.n_trials or (_MOST_TRIALS if self.minutes else _TRIALS)

    @property
    def labels(self) -> dict[str, str]:
        """Which stages beyond the usual ones are asked for, as events say it to triggers."""
        asked = {
            "baton.tune": self.tune,
            "baton.notebook": self.notebook is not None,
            "baton.predict": self.predict is not None,
            "baton.retrain": self.retrain is not None,
        }
        return {name: "yes" if value else "no" for name, value in asked.items()}
