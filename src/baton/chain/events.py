"""Events: their names, and what each one carries.

A payload carries references, digests and counts, never data. Emitting belongs in
``tasks/platform/events.py``, who listens to what in ``prefect.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any, ClassVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)

from baton.terms import Kind, Options

ChainId = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$", description="id of the chain")]
"""First twelve digits of the id of the flow run that began the chain."""

ProblemName = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$", description="name of the problem")
]

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the content")]

Key = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9_-]{0,63}/[0-9a-f]{16}/[a-z][a-z0-9_]{0,63}\.parquet$",
        description="place under the results folder: `<problem>/<digest>/<table>.parquet`",
    ),
]

ReportKey = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9_-]{0,63}/[0-9a-f]{16}/[a-z][a-z0-9_-]{0,79}\.html$",
        description="place under the results folder: `<problem>/<digest>/<name>.html`",
    ),
]

Text = Annotated[str, Field(min_length=1, max_length=1024)]


def registered_name(problem: str, name: str = "") -> str:
    """Name of a registered model: the problem's, or one of several of the problem's.

    Examples
    --------
    >>> registered_name("iris"), registered_name("table", "wine-quality")
    ('baton-iris', 'baton-table-wine-quality')
    """
    return "-".join(["baton", problem, name] if name else ["baton", problem])


class EventName(StrEnum):
    """Every event of Baton, once."""

    DATA_ARRIVED = "baton.data.arrived"
    DATASET_READY = "baton.dataset.ready"
    STUDY_FINISHED = "baton.study.finished"
    MODEL_TRAINED = "baton.model.trained"
    MODEL_EVALUATED = "baton.model.evaluated"
    MODEL_PROMOTED = "baton.model.promoted"
    MODEL_REJECTED = "baton.model.rejected"
    NOTEBOOK_READY = "baton.notebook.ready"
    PREDICTIONS_READY = "baton.predictions.ready"
    PREDICTIONS_MONITORED = "baton.predictions.monitored"
    DRIFT_DETECTED = "baton.drift.detected"
    CHAIN_FAILED = "baton.chain.failed"
    LATE = "baton.late"


class Stage(StrEnum):
    """Every stage, of a chain or on its own: the name of its flow."""

    GENERATE = "generate"
    TUNE = "tune"
    TRAIN = "train"
    EVALUATE = "evaluate"
    PROMOTE = "promote"
    NOTEBOOK = "notebook"
    PREDICT = "predict"
    MONITOR = "monitor"


TRIAL = "trial"
"""Flow of one trial of a search: a subflow of `tune`, or a run of its own on a worker."""


def progress_key(stage: Stage, chain: str) -> str:
    """Key of the artifact that shows how far a stage of a chain is."""
    return f"{stage.value}-{chain}"


class _Frozen(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), use_attribute_docstrings=True
    )


class TableRef(_Frozen):
    """Reference to a persisted table."""

    key: Key
    digest: Digest
    n_rows: NonNegativeInt
    """Number of rows."""


class PageRef(_Frozen):
    """Reference to an HTML page of a chain: its report, or an executed notebook."""

    key: ReportKey
    digest: Digest


ModelName = Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9-]{0,49})?$")]


class ModelRef(_Frozen):
    """Reference to a registered model version."""

    name: Annotated[str, Field(pattern=r"^baton-[a-z][a-z0-9_-]{0,63}$")]
    """Name in MLflow's registry: `baton-<problem>`, or `baton-<problem>-<name>`."""
    version: PositiveInt
    """Version in the registry."""
    run_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    """Id of the MLflow run that logged it."""
    digest: Digest

    @property
    def uri(self) -> str:
        """Address by which MLflow loads it."""
        return f"models:/{self.name}/{self.version}"


class Announcement(_Frozen):
    """What is announced: under a name, about a thing, with a payload."""

    event: ClassVar[EventName]
    subject: ClassVar[str]
    """Kind of the thing that the event is about: the middle of its resource id."""

    @property
    def about(self) -> str:
        """Name of the thing that the event is about."""
        raise NotImplementedError

    @property
    def resource_id(self) -> str:
        """Id of the resource that the event is about."""
        return f"baton.{self.subject}.{self.about}"

    @property
    def labels(self) -> dict[str, str]:
        """What triggers may match beside the resource."""
        return {}

    def payload(self) -> dict[str, Any]:
        """JSON-ready content."""
        return self.model_dump(mode="json")


class Event(Announcement):
    """What every payload of a chain's event carries."""

    chain: ChainId
    problem: ProblemName

    @property
    def about(self) -> str:
        """The problem."""
        return self.problem

    @property
    def labels(self) -> dict[str, str]:
        """What triggers may match: the chain, and the stages that it asked for."""
        return {"baton.chain": self.chain, **labels_in({"event": self.payload()})}


HANDOVER = "baton.handover"
"""Label of a failed chain: `broken` if no stage followed one that ended well, else `whole`."""

SEARCH = "search"
"""Subject of a data set whose chain asks for a search of hyperparameters before training."""


def subject_of(event: EventName, labels: Mapping[str, str]) -> str:
    """Kind of the thing that an event is about, in a chain of these labels."""
    if event is EventName.DATASET_READY and labels.get("baton.tune") == "yes":
        return SEARCH
    return next(kind.subject for kind in Event.__subclasses__() if kind.event is event)


def labels_in(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Labels of a chain from the parameters of one of its runs; none if no options are in it."""
    for name, value in parameters.items():
        if not isinstance(value, dict):
            continue
        if name == "options":
            with suppress(ValidationError):  # of another version of Baton
                return Options.model_validate(value).labels
        if found := labels_in(value):
            return found
    return {}


class DatasetReady(Event):
    """A problem's tables are made, checked and split."""

    event = EventName.DATASET_READY
    subject = "dataset"

    raw: TableRef
    """The table as it came."""
    features: TableRef
    """The feature table: row ids, the columns that a model sees, the target and the split."""
    kind: Kind
    """Whether classes or numbers are predicted."""
    target: Text
    """Column that is predicted."""
    headline: Text
    """Metric that decides."""
    selection: Annotated[str, Field(max_length=1024)] = ""
    """Metric by which the best of several is chosen; empty where it is the headline."""
    positive: bool | int | float | str | None = None
    """The positive one of two classes; none where it is the second in their order."""
    n_train: PositiveInt
    """Rows to learn from."""
    n_test: PositiveInt
    """Rows held out."""
    seed: NonNegativeInt = 0
    """Seed of the model and of whatever is drawn at random."""
    options: Options = Options()
    """What the chain was asked for whatever its problem is."""
    name: ModelName = ""
    """Name of what is learnt, where the problem has several models."""
    source: Annotated[str, Field(max_length=1024)] = ""
    """What the rows are from, for people: such as the name of a file."""
    study: TableRef | None = None
    """Trials of the search that found the options' hyperparameters, if there was one."""
    warnings: TableRef | None = None
    """What a colleague would warn of, by the tables alone."""

    @property
    def resource_id(self) -> str:
        """Id of the resource: what is to be searched first is nothing to train on yet."""
        labels = self.options.labels if self.study is None else {}
        return f"baton.{subject_of(self.event, labels)}.{self.problem}"

    @property
    def title(self) -> str:
        """What the chain is about, in a few words."""
        return f"{self.target} from {self.source or self.problem}"

    @property
    def model_name(self) -> str:
        """Name in MLflow's registry of what is learnt."""
        return registered_name(self.problem, self.name)


class StudyFinished(Event):
    """A search of hyperparameters is over; the data's options hold the best it found."""

    event = EventName.STUDY_FINISHED
    subject = "study"

    data: DatasetReady
    """The data set, its options changed to the best hyperparameters, with the study's trials."""


class ModelTrained(Event):
    """A model is fitted and registered."""

    event = EventName.MODEL_TRAINED
    subject = "model"

    data: DatasetReady
    """What it was learnt from."""
    model: ModelRef
    """The registered version."""
    leaderboard: TableRef | None = None
    """Scores and costs of the candidates that were compared, if any were."""


class Coverage(_Frozen):
    """What the intervals of predicted numbers hold."""

    level: FiniteFloat
    """Part of the rows that they are to hold."""
    held_out: FiniteFloat
    """Part of the held-out rows that they do hold."""
    width: FiniteFloat
    """Mean width on the held-out rows, in the target's unit."""


class DecisionThreshold(_Frozen):
    """From when on a row is said to be positive."""

    positive: bool | int | float | str
    """The positive class."""
    value: FiniteFloat
    """Probability of it."""
    goal: Text
    """What it was chosen by."""
    precision: FiniteFloat | None = None
    """Part of the held-out rows said to be positive that are; none where none is said to be."""
    recall: FiniteFloat | None = None
    """Part of the positive held-out rows that are said to be."""


class ModelEvaluated(Event):
    """A model is scored on the rows held out."""

    event = EventName.MODEL_EVALUATED
    subject = "model"

    data: DatasetReady
    """What it was learnt from."""
    model: ModelRef
    """The registered version."""
    leaderboard: TableRef | None = None
    """Scores and costs of the candidates that were compared, if any were."""
    predictions: TableRef
    """Prediction of every held-out row."""
    metrics: TableRef
    """Metrics on the rows held out, with intervals and a baseline."""
    permutation_importance: TableRef
    """Loss of score when a column is shuffled."""
    shap_global: TableRef
    """Mean absolute Shapley value of every column."""
    shap_local: TableRef
    """Shapley values by row and class."""
    report: PageRef
    """One HTML page of it all."""
    scores: dict[Text, FiniteFloat]
    """Value of each metric on the rows held out."""
    intervals: dict[Text, tuple[FiniteFloat, FiniteFloat]]
    """95 % interval of each metric that has one."""
    baseline: dict[Text, FiniteFloat] = {}
    """Value of each metric for a model that ignores every column."""
    drivers: dict[str, FiniteFloat] = {}
    """Columns that drive the model most, by their mean absolute Shapley value, strongest first."""
    drivers_unit: str = ""
    """What these values are measured in, in words."""
    summary: str = ""
    """What was learnt, in one paragraph of plain words."""
    columns: TableRef | None = None
    """What each column was taken for, and what was done with it."""
    coverage: Coverage | None = None
    """What the intervals of predicted numbers hold, if the model has such."""
    threshold: DecisionThreshold | None = None
    """From when on a row is said to be positive, if that was chosen."""
    warnings: TableRef | None = None
    """What a colleague would warn of, in data and model."""

    @property
    def tables(self) -> dict[str, TableRef]:
        """Every table of the chain by name."""
        optional = {
            "leaderboard": self.leaderboard,
            "trials": self.data.study,
            "warnings": self.warnings,
            "columns": self.columns,
        }
        return {name: table for name, table in optional.items() if table} | {
            "raw": self.data.raw,
            "features": self.data.features,
            "predictions": self.predictions,
            "metrics": self.metrics,
            "permutation_importance": self.permutation_importance,
            "shap_global": self.shap_global,
            "shap_local": self.shap_local,
        }


class _Order(_Frozen):
    """A chain that an event begins: it has an id of its own, which the event decides."""

    chain: ChainId
    problem: ProblemName
    parameters: dict[str, Any] = {}
    """Of the problem."""


class DatasetOrder(_Order):
    """A chain that begins by making a data set."""

    options: Options = Options()
    """What it is asked for whatever its problem is."""


class PredictionOrder(_Order):
    """A chain that begins by predicting new rows."""

    model: ModelRef | None = None
    """Version that predicts; the champion if not given."""


def chain_begun_by(event: EventName, chain: str) -> str:
    """Id of the chain that an event of another chain begins: the same however often it is told.

    Examples
    --------
    >>> chain_begun_by(EventName.MODEL_PROMOTED, "3f9c1a2b4d5e")
    'ef4e24cf2d84'
    """
    return sha256(f"{event.value} {chain}".encode()).hexdigest()[:12]


def _yes(value: Any) -> str:
    return "no" if value is None else "yes"


class DataArrived(Event):
    """Data is there: rows to learn from, or rows to predict."""

    event = EventName.DATA_ARRIVED
    subject = "data"

    source: Text
    """What arrived, for people: such as the name of a file."""
    generate: DatasetOrder | None = None
    """The chain that it begins, where there are rows to learn from."""
    predict: PredictionOrder | None = None
    """The chain that it begins, where there are rows to predict."""

    @property
    def labels(self) -> dict[str, str]:
        """Which stage it begins."""
        return super().labels | {"baton.begins": "predict" if self.predict else "generate"}


class _Decided(_Frozen):
    model: ModelRef
    """The version that was decided about."""
    target: Text
    """Column that is predicted."""
    champion: PositiveInt | None
    """Version that is the champion from then on."""
    previous: PositiveInt | None
    """Version that carries the alias ``previous`` from then on."""
    by: Text
    """Who decided: `gate`, or a person."""
    reason: Text
    """Why, in one line."""
    metric: str = ""
    """That decided."""
    value: FiniteFloat | None = None
    """The version's, on the rows held out for it."""
    page: PageRef | None = None
    """The chain's report, with the decision."""


class ModelPromoted(_Decided, Event):
    """A version is the champion."""

    event = EventName.MODEL_PROMOTED
    subject = "model"

    predict: PredictionOrder | None = None
    """The chain that it begins: predictions of new rows, where its own chain asked for them."""

    @property
    def labels(self) -> dict[str, str]:
        """Whether it begins a chain of predictions."""
        return super().labels | {"baton.predict": _yes(self.predict)}


class ModelRejected(_Decided, Event):
    """A version is not to be the champion; the one that was stays."""

    event = EventName.MODEL_REJECTED
    subject = "model"


ModelDecided = ModelPromoted | ModelRejected
"""What the gate announces."""


class NotebookReady(Event):
    """A notebook ran on what an evaluation made."""

    event = EventName.NOTEBOOK_READY
    subject = "notebook"

    data: DatasetReady
    """The data set of the chain."""
    model: ModelRef
    """The model that it is about."""
    name: Text
    """The notebook's, as the chain asked for it."""
    page: PageRef
    """The executed notebook."""


class PredictionsReady(Event):
    """Rows whose target nobody knows are predicted."""

    event = EventName.PREDICTIONS_READY
    subject = "predictions"

    model: ModelRef
    """The version that predicted."""
    target: Text
    """Column that is predicted."""
    raw: TableRef
    """The new rows as they came."""
    predictions: TableRef
    """A prediction for each of them."""
    doubts: TableRef | None = None
    """Cells that the model could not read, or whose category it does not know, one by one."""
    warnings: TableRef | None = None
    """What is to be said of the new rows."""
    retrain: DatasetOrder | None = None
    """What is to be begun anew if the new rows have drifted, where that was asked for."""
    period: str = ""
    """Period that the rows are of, such as ``2021-03``; empty where none was asked for."""
    is_past: bool = False
    """Whether it was made up for: such rows say nothing of the present."""


class _Monitored(_Frozen):
    model: ModelRef
    """The version that predicted."""
    target: Text
    """Column that is predicted."""
    n_rows: NonNegativeInt
    """Rows that were looked at."""
    reason: Text
    """What was found, in one line."""
    drifted: tuple[Annotated[str, Field(max_length=256)], ...] = ()
    """Columns that drifted, the furthest first; at most 20."""
    columns: TableRef | None = None
    """How far each column has moved; none where the model keeps no profile."""
    page: PageRef | None = None
    """It on a page, with pictures."""


class PredictionsMonitored(_Monitored, Event):
    """New rows were compared with those that the model knows, and nothing is begun by it."""

    event = EventName.PREDICTIONS_MONITORED
    subject = "predictions"

    held_back: str = ""
    """Why drift that was found is not announced; empty where none was found."""


class DriftDetected(_Monitored, Event):
    """New rows are no longer like those that the champion knows."""

    event = EventName.DRIFT_DETECTED
    subject = "drift"

    generate: DatasetOrder | None = None
    """The chain that it begins: training on newer rows, where that was asked for."""

    @property
    def labels(self) -> dict[str, str]:
        """Whether it begins a chain."""
        return super().labels | {"baton.retrain": _yes(self.generate)}


RowsMonitored = PredictionsMonitored | DriftDetected
"""What a look at new rows announces."""


class ChainFailed(Event):
    """A chain ends without its last stage: one of its stages failed, or was given up."""

    event = EventName.CHAIN_FAILED
    subject = "chain"

    stage: Stage
    """The stage that failed."""
    flow_run_id: Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")]
    """Id of its flow run."""
    reason: Text
    """Why, in one line."""
    is_unheard: bool = False
    """Whether that stage ended well, and no stage followed what it announced."""

    @property
    def labels(self) -> dict[str, str]:
        """What triggers may match: also whether it was the hand-over that failed."""
        return super().labels | {HANDOVER: "broken" if self.is_unheard else "whole"}


class Late(Announcement):
    """A deployment has made nothing new for longer than its `fresh_within` allows."""

    event = EventName.LATE
    subject = "freshness"

    deployment: Text
    """Name of the deployment."""
    awaited: tuple[EventName, ...]
    """Events of which none came."""
    since: AwareDatetime
    """When the last one came; where none is known, when the wait began."""
    allowed_seconds: PositiveFloat
    """How long the deployment may be without one."""
    reason: Text
    """What is late, and what to do, in one line."""

    @property
    def about(self) -> str:
        """The deployment."""
        return self.deployment


def kind_of(event: EventName) -> type[Announcement] | None:
    """Payload of an event."""
    kinds: list[type[Announcement]] = [*Event.__subclasses__(), Late]
    return next((kind for kind in kinds if kind.event is event), None)
