"""Reading prefect.yaml strictly.

Prefect takes a misspelt key in silence, and a trigger whose ``expect`` is misspelt matches
every event; here both are errors. Turning an entry into a deployment belongs in
``serving/serve.py``, into a process that answers in ``serving/beside.py``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    model_validator,
)

from baton import addresses
from baton.chain import yaml_files
from baton.chain.events import (
    HANDOVER,
    EventName,
    Stage,
    chain_begun_by,
    kind_of,
    subject_of,
)
from baton.errors import InputError, fault_of
from baton.terms import Options
from baton.words.spans import span
from baton.words.text import did_you_mean

EMITTED_BY: dict[EventName, Stage] = {
    EventName.DATASET_READY: Stage.GENERATE,
    EventName.STUDY_FINISHED: Stage.TUNE,
    EventName.MODEL_TRAINED: Stage.TRAIN,
    EventName.MODEL_EVALUATED: Stage.EVALUATE,
    EventName.MODEL_PROMOTED: Stage.PROMOTE,
    EventName.MODEL_REJECTED: Stage.PROMOTE,
    EventName.NOTEBOOK_READY: Stage.NOTEBOOK,
    EventName.PREDICTIONS_READY: Stage.PREDICT,
    EventName.PREDICTIONS_MONITORED: Stage.MONITOR,
    EventName.DRIFT_DETECTED: Stage.MONITOR,
}
"""The stage that announces each event; any of them may announce that its chain failed."""

Passed = Literal[
    "{{ event.payload }}",
    "{{ event.payload.data }}",
    "{{ event.payload.generate }}",
    "{{ event.payload.predict }}",
]
"""What of an event a trigger may pass on."""

ORDERS = frozenset({"{{ event.payload.generate }}", "{{ event.payload.predict }}"})
"""Those that are the order of another chain."""
NEW: dict[EventName, str] = {
    EventName.DATASET_READY: "data set",
    EventName.STUDY_FINISHED: "search",
    EventName.MODEL_TRAINED: "model",
    EventName.MODEL_EVALUATED: "evaluation",
    EventName.MODEL_PROMOTED: "champion",
    EventName.NOTEBOOK_READY: "notebook",
    EventName.PREDICTIONS_READY: "prediction",
}
"""What an event says is new; a rejected model leaves the champion as old as it was."""

_FIELD = re.compile(r"\bevent\.payload\.(\w+)")

MARK = "manifest:"
"""Beginning of the tag that says which prefect.yaml a deployment or an automation is of."""

PLAIN = Options().labels
"""Labels of a chain that asks for nothing beyond the usual stages."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Match(_Strict):
    """What an event must be about, and what its chain must have asked for."""

    resource: Annotated[str, Field(alias="prefect.resource.id", min_length=1)]
    """Resource that the event is about; `*` at its end stands for anything."""
    notebook: Annotated[Literal["yes", "no"] | None, Field(alias="baton.notebook")] = None
    """Whether the chain asked for a notebook; any chain if not given."""
    predict: Annotated[Literal["yes", "no"] | None, Field(alias="baton.predict")] = None
    """Whether the event begins a chain of predictions; any event if not given."""
    retrain: Annotated[Literal["yes", "no"] | None, Field(alias="baton.retrain")] = None
    """Whether the event begins a chain that trains anew; any event if not given."""
    begins: Annotated[Literal["generate", "predict"] | None, Field(alias="baton.begins")] = None
    """Stage that data begins which arrived; any if not given."""

    @property
    def labels(self) -> dict[str, str]:
        """Labels beside the resource's id."""
        asked = self.model_dump(exclude={"resource"})
        return {f"baton.{name}": value for name, value in asked.items() if value is not None}

    def meets(self, event: EventName, labels: Mapping[str, str]) -> bool:
        """Tell whether an event of a chain of these labels is meant."""
        return self._is_about(event, labels) and self.labels.items() <= labels.items()

    def is_asked(self, event: EventName, labels: Mapping[str, str]) -> bool:
        """Tell whether a chain of these labels asks for what is started, if all is spelt right."""
        others = ({**labels, "baton.tune": one} for one in ("yes", "no"))
        is_misspelt = not any(self._is_about(event, one) for one in others)
        is_about = is_misspelt or self._is_about(event, labels)
        return is_about and self.labels.items() <= labels.items()

    def _is_about(self, event: EventName, labels: Mapping[str, str]) -> bool:
        return fnmatchcase(f"baton.{subject_of(event, labels)}.any", self.resource)


class Trigger(_Strict):
    """An event that starts a deployment, with the whole payload as one parameter."""

    type: Literal["event"]
    """Kind of trigger; Baton has this one."""
    name: str | None = None
    """Name of the automation that Prefect makes of it; by default the deployment's."""
    description: str = ""
    """What it is for, for people."""
    enabled: bool = True
    """Whether it fires."""
    match: Match
    """What the event must be about, and what its chain must have asked for."""
    expect: Annotated[list[EventName], Field(min_length=1)]
    """Events that it fires on; an empty list would match every event."""
    posture: Literal["Reactive"]
    """It answers events; Prefect's other posture answers their absence."""
    threshold: Literal[1]
    """Events that it takes to fire."""
    within: Annotated[
        Literal[0], Field(description="0 fires for every event; more swallows some of them")
    ]
    parameters: Annotated[dict[str, Passed], Field(min_length=1)]
    """Parameter of the flow that takes the event's whole payload, its data, or the order of the
    chain that it begins, with their types."""

    @property
    def begins_chain(self) -> bool:
        """Whether what it starts is of a chain of its own."""
        return bool(ORDERS & set(self.parameters.values()))

    def fires(self, event: EventName, labels: Mapping[str, str] | None) -> bool:
        """Tell whether it is started by an event of a chain of these labels; of any, if None."""
        is_heard = self.enabled and event in self.expect
        return is_heard and (labels is None or self.match.meets(event, labels))


class Schedule(_Strict):
    """When a deployment runs by itself."""

    cron: str | None = None
    """Times in cron's notation; either this or `interval`."""
    interval: Annotated[float, Field(ge=10)] | None = None
    """Seconds between two runs; either this or `cron`."""
    timezone: str = "UTC"
    """Time zone of `cron`."""
    active: bool = True
    """Whether it makes runs."""
    slug: str | None = None
    """Name that tells several schedules of one deployment apart."""
    parameters: dict[str, Any] = {}
    """Parameters of its runs, in place of the deployment's."""

    @model_validator(mode="after")
    def _one(self) -> Schedule:
        if (self.cron is None) == (self.interval is None):
            raise ValueError("a schedule has either cron or interval")
        return self


class Concurrency(_Strict):
    """How many runs of a deployment go at once, and what happens to one too many."""

    limit: PositiveInt
    """Runs at once."""
    collision_strategy: Literal["ENQUEUE", "CANCEL_NEW"] = "ENQUEUE"
    """What happens to one too many: it waits, or it is cancelled."""


class WorkPool(_Strict):
    """Where a deploy sends the runs; `serving/serve.py` runs them itself."""

    name: str
    """Name of the work pool."""
    work_queue_name: str | None = None
    """Queue of the pool; by default its default one."""
    job_variables: dict[str, Any] = {}
    """Values for the pool's job template, such as an image or environment variables."""


class Deployment(_Strict):
    """One deployment."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    """Name of the deployment."""
    entrypoint: Annotated[str, Field(pattern=r"^flows/[a-z_]+\.py:[a-z_]+$")]
    """File and function of the flow."""
    description: str = ""
    """What it does, for people."""
    version: str | None = None
    """Version of the deployment, for people."""
    tags: list[str] = []
    """Tags of its runs, beside `manifest:` and the file's name; `baton prune` looks at `baton`."""
    parameters: dict[str, Any] = {}
    """Parameters of the flow."""
    enforce_parameter_schema: bool = True
    """Whether the server refuses parameters that do not fit; else the run fails and is seen."""
    triggers: list[Trigger] = []
    """Events that start it."""
    schedules: list[Schedule] = []
    """Times at which it starts."""
    concurrency_limit: PositiveInt | Concurrency | None = None
    """Runs at once, or that and what happens to one too many."""
    work_pool: WorkPool | None = None
    """Where a deploy sends its runs; needed by `baton deploy`."""
    fresh_within: Annotated[timedelta | None, BeforeValidator(span)] = None
    """Longest time without something new of it, such as `26 hours`; longer is `baton.late`."""

    @model_validator(mode="after")
    def _triggers_apart(self) -> Deployment:
        if twice := _twice((name,) for name in self.automation_names):
            raise ValueError(f"triggers of one name: {', '.join(name for (name,) in twice)}")
        return self

    @property
    def automation_names(self) -> tuple[str, ...]:
        """Names of the automations that are made of its triggers, as Prefect gives them."""
        return tuple(
            one.name or f"{self.name}__automation_{number}"
            for number, one in enumerate(self.triggers, 1)
        )

    @model_validator(mode="after")
    def _makes_something(self) -> Deployment:
        if self.fresh_within and not self.awaited:
            raise ValueError(f"fresh_within: the flow {self.flow_name} makes nothing to wait for")
        return self

    @property
    def awaited(self) -> tuple[EventName, ...]:
        """Events that say that its stage has made something new."""
        return tuple(one for one in NEW if EMITTED_BY.get(one) == self.flow_name)

    @property
    def module(self) -> str:
        """Module of the flow."""
        return self.entrypoint.partition(":")[0].removesuffix(".py").replace("/", ".")

    @property
    def function(self) -> str:
        """Name of the flow's function."""
        return self.entrypoint.partition(":")[2]

    @property
    def flow_name(self) -> str:
        """Name of the flow, which is its file's."""
        return self.module.rpartition(".")[2].replace("_", "-")


class Occasion(_Strict):
    """Which of the events that are expected a notification is for."""

    resource: Annotated[str, Field(alias="prefect.resource.id", min_length=1)] = "baton.*"
    """Resource that the event is about; `*` at its end stands for anything."""
    handover: Annotated[Literal["whole", "broken"] | None, Field(alias=HANDOVER)] = None
    """Of failed chains, those of which no stage followed (`broken`), or the others (`whole`)."""


class Notification(_Strict):
    """A message that is sent on an event, where `BATON_NOTIFY` says to whom."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    """Name of the automation that is made of it, behind `baton-notify: `."""
    enabled: bool = True
    """Whether it is sent."""
    expect: Annotated[list[EventName], Field(min_length=1)]
    """Events that it is sent on, once for all that say the same within a day."""
    match: Occasion = Occasion()
    """Which of these events."""
    message: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\n]+$")]
    """One line that says what to do: a template of Jinja's, with the event as `event`."""

    @model_validator(mode="after")
    def _known_fields(self) -> Notification:
        for event in self.expect:
            kind, fields = kind_of(event), _FIELD.findall(self.message)
            strange = [one for one in fields if kind and one not in kind.model_fields]
            if strange:
                raise ValueError(f"message: {event.value} has no field {', '.join(strange)}")
        return self


class Answering(_Strict):
    """A champion that answers over HTTP, in a process of its own beside the chain."""

    problem: Annotated[str, Field(min_length=1)]
    """Problem whose champion answers; until there is one, `/ready` says 503."""
    model: Annotated[str | None, Field(pattern=r"^[\w.-]+$")] = None
    """Name of the model, where a problem has several, one for each table."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """Port on the loopback interface."""

    @property
    def asked(self) -> str:
        """What a person calls the model."""
        return self.model or self.problem


class Watch(_Strict):
    """A folder whose files, or a bucket whose objects, begin chains."""

    problem: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
    """Problem that is begun with each file."""
    folder: Annotated[str, Field(min_length=1)]
    """Folder that is watched, without those below it; from where `baton up` runs, if relative. Or
    one in a bucket, such as `s3://bucket/incoming/`."""
    files: Annotated[str, Field(min_length=1)] = "*"
    """Pattern of the names of the files that count, such as `*.csv`."""
    begins: Literal["generate", "predict"] = "generate"
    """What a file holds: rows to learn from, or rows to predict."""
    parameters: dict[str, Any] = {}
    """Parameters and options beside the file, as `-p` takes them."""
    key: str = ""
    """Regular expression that finds a file's period in its name; no periods if not given."""

    @model_validator(mode="after")
    def _found(self) -> Watch:
        if addresses.is_address(self.folder):
            if addresses.parse(self.folder).is_pattern:
                raise ValueError("a folder has no pattern in its address: files takes one")
        elif scheme := re.match(r"[a-z][a-z0-9+.-]+://", self.folder):
            raise ValueError(
                f"folders of this machine and buckets ({addresses.SCHEMES}) are watched, not"
                f" {scheme[0]}"
            )
        try:
            re.compile(self.key)
        except re.error as error:
            raise ValueError(f"key {self.key!r} is no regular expression: {error}") from None
        return self


class Manifest(_Strict):
    """The chain: all deployments, the champions that answer beside it, the messages about it."""

    name: Annotated[str, Field(min_length=1)]
    """Name of the chain; what is deployed bears it, so each repository of a server has its own."""
    definitions: dict[str, Any] = {}
    """YAML anchors for use below; nothing else reads them."""
    prefect_version: Annotated[str | None, Field(alias="prefect-version")] = None
    """Version of Prefect that the file was written for."""
    build: list[dict[str, Any]] | None = None
    """Steps that `prefect deploy` takes before it deploys; `baton deploy` refuses them."""
    push: list[dict[str, Any]] | None = None
    """Steps by which `prefect deploy` uploads the code; `baton deploy` refuses them."""
    pull: list[dict[str, Any]] | None = None
    """Steps by which a worker gets the code; by default it is where the deploy found it."""
    serving: list[Answering] = []
    """Champions that answer over HTTP beside the chain; Prefect does not look at this key."""
    watch: list[Watch] = []
    """Folders, of this machine or in buckets, whose files begin chains."""
    deployments: Annotated[list[Deployment], Field(min_length=1)]
    """Every deployment."""
    notifications: list[Notification] = []
    """Messages that are sent where `BATON_NOTIFY` is set; Prefect itself does not read them."""

    @model_validator(mode="after")
    def _unique(self) -> Manifest:
        names = [(deployment.module, deployment.name) for deployment in self.deployments]
        if twice := _twice(names):
            raise ValueError(f"deployments of one name: {', '.join(name for _, name in twice)}")
        if again := _twice((one.name,) for one in self.notifications):
            raise ValueError(f"notifications of one name: {', '.join(name for (name,) in again)}")
        return self

    @property
    def mark(self) -> str:
        """Tag of what is made of this file on a server."""
        return f"{MARK}{self.name}"

    @model_validator(mode="after")
    def _apart(self) -> Manifest:
        ports = [one.port for one in self.serving]
        twice = sorted({port for port in ports if ports.count(port) > 1})
        if twice:
            raise ValueError(f"serving: port {twice[0]} is given twice; give each its own")
        return self

    def generator_of(self, problem: str) -> Deployment | None:
        """Deployment that makes the tables of a problem."""
        for deployment in self.deployments:
            if deployment.parameters.get("problem") == problem:
                return deployment
        return None

    @property
    def automations(self) -> list[str]:
        """Names of the automations that are made of its triggers."""
        return [name for one in self.deployments for name in one.automation_names]

    def stages(
        self, first: Stage = Stage.GENERATE, labels: Mapping[str, str] = PLAIN
    ) -> list[Stage]:
        """Stages of a chain, in the order in which events start them.

        Parameters
        ----------
        first : Stage
            The stage that begins it.
        labels : mapping of str to str
            Labels of its events, :attr:`baton.terms.Options.labels`.
        """
        order = [first]
        for stage in order:
            order += [s for s in self.successors(stage, labels) if s not in order]
        return order

    def successors(self, stage: Stage, labels: Mapping[str, str] | None = None) -> list[Stage]:
        """Stages of the same chain that are started by what this one announces.

        Parameters
        ----------
        stage : Stage
        labels : mapping of str to str, optional
            Labels of the chain's events; of any chain if not given.
        """
        told = [event for event, by in EMITTED_BY.items() if by is stage]
        found = [one for event in told for one in self._started(event, labels, begun=False)]
        return list(dict.fromkeys(found))

    def followers(
        self, event: EventName, chain: str, labels: Mapping[str, str]
    ) -> list[tuple[str, Stage]]:
        """Chain and stage of each run that an event starts.

        Parameters
        ----------
        event : EventName
        chain : str
            Id of the event's chain.
        labels : mapping of str to str
            Labels of the chain's events.
        """
        begun = chain_begun_by(event, chain)
        return [
            *((chain, stage) for stage in self._started(event, labels, begun=False)),
            *((begun, stage) for stage in self._started(event, labels, begun=True)),
        ]

    def _started(
        self, event: EventName, labels: Mapping[str, str] | None, *, begun: bool
    ) -> list[Stage]:
        """Stages that an event starts, in the same chain or in one that it begins."""
        return [
            Stage(deployment.flow_name)
            for deployment in self.deployments
            if any(
                one.begins_chain is begun and one.fires(event, labels)
                for one in deployment.triggers
            )
        ]


def _twice(names: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    every = list(names)
    return sorted({one for one in every if every.count(one) > 1})


def read(path: Path) -> Manifest:
    """Read prefect.yaml.

    Raises
    ------
    InputError
        If it is missing, is not YAML, or says anything that is not understood.
    """
    if not path.exists():
        raise InputError(f"{path} is missing: run from Baton's folder")
    content = yaml_files.read(path)
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path.name}: {_said(error, content)}") from None


_ENTRIES: dict[Any, tuple[str, str]] = {
    "deployments": ("deployment", "name"),
    "serving": ("serving", "problem"),
    "notifications": ("notification", "name"),
    "watch": ("watch", "problem"),
}
"""What an entry of a list is called, and the key that names it."""


def _said(error: ValidationError, content: Any) -> str:
    first = error.errors(include_url=False)[0]
    place = list(first["loc"])
    if len(place) > 1 and place[0] in _ENTRIES and isinstance(place[1], int):
        what, key = _ENTRIES[place[0]]
        entry = content[place[0]][place[1]]
        name = entry.get(key, place[1]) if isinstance(entry, dict) else place[1]
        place[:2] = [f"{what} {name!r}"]
    where = ": ".join([str(place[0]), ".".join(map(str, place[1:]))]) if place else "file"
    what = "unknown key" if first["type"] == "extra_forbidden" else fault_of(first)
    return f"{where.removesuffix(': ')}: {what}"


def check_parameters(deployment: Deployment, known: set[str]) -> None:
    """Check that a deployment's parameters are those of its flow.

    Parameters
    ----------
    deployment : Deployment
    known : set of str
        Names of the flow's parameters.

    Raises
    ------
    InputError
        If one is not.
    """
    given = set(deployment.parameters).union(
        *(trigger.parameters for trigger in deployment.triggers),
        *(schedule.parameters for schedule in deployment.schedules),
    )
    strange = sorted(given - known)
    if strange:
        raise InputError(
            f"prefect.yaml: deployment {deployment.name!r}: {', '.join(strange)} is no parameter"
            f" of {deployment.entrypoint}; it has: {', '.join(sorted(known))}"
        )


def check_problems(serving: Iterable[Answering], known: Collection[str]) -> None:
    """Check that what is to answer are problems that there are.

    Parameters
    ----------
    serving : iterable of Answering
    known : collection of str
        Names of the problems.

    Raises
    ------
    InputError
        If one is not.
    """
    for one in serving:
        if one.problem not in known:
            raise InputError(
                f"prefect.yaml: serving {one.problem!r}: there is no such problem;"
                f" {did_you_mean(one.problem, known)}there are: {', '.join(sorted(known))}"
            )
