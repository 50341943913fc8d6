"""What came of what: sources, tables, models, pages and decisions, and what each was made from.

Pure functions of what chains announced and of what tables at rest say of themselves: neither knows
all. Events tell of chains, reports and decisions, and are forgotten by a server; a table's lineage
stays with it. Reading them belongs in ``traces``, drawing in ``baton.showing.drawn_graph``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Protocol

from baton.chain.decisions import Decision
from baton.chain.events import (
    DatasetReady,
    DriftDetected,
    Event,
    ModelEvaluated,
    ModelPromoted,
    ModelRef,
    ModelRejected,
    ModelTrained,
    NotebookReady,
    PageRef,
    PredictionsMonitored,
    PredictionsReady,
    Stage,
    StudyFinished,
    TableRef,
)
from baton.chain.looks import Look
from baton.lineage import digest_of
from baton.words.text import counted


class NodeKind(StrEnum):
    """What a node stands for."""

    SOURCE = "source"
    TABLE = "table"
    MODEL = "model"
    PAGE = "page"
    DECISION = "decision"
    CHAIN = "chain"


@dataclass(frozen=True)
class Node:
    """A thing that was made, or that something was made from."""

    id: str
    """Kind and name, such as ``table:iris/0123456789abcdef/raw.parquet``."""
    title: str
    note: str = ""
    """More of it, in a few words."""

    @property
    def kind(self) -> NodeKind:
        """What it stands for."""
        return NodeKind(self.id.partition(":")[0])

    @property
    def name(self) -> str:
        """Key of a table or a page, address of a model, id of a chain."""
        return self.id.partition(":")[2]


@dataclass(frozen=True)
class Edge:
    """One thing was made from another."""

    begin: str
    end: str
    stage: str = ""
    """The stage that made it; empty where nobody says."""


@dataclass(frozen=True)
class Graph:
    """Things, and what each was made from; nothing is made from itself, by whatever way."""

    nodes: tuple[Node, ...]
    """Each after all that it was made from."""
    edges: tuple[Edge, ...]

    def __getitem__(self, node_id: str) -> Node:
        """Return the node of this id."""
        return self._by_id[node_id]

    def __contains__(self, node_id: object) -> bool:
        """Tell whether there is a node of this id."""
        return node_id in self._by_id

    @cached_property
    def _by_id(self) -> dict[str, Node]:
        return {node.id: node for node in self.nodes}

    @cached_property
    def before(self) -> Mapping[str, list[str]]:
        """What each was made from."""
        return self._links(lambda edge: (edge.end, edge.begin))

    @cached_property
    def after(self) -> Mapping[str, list[str]]:
        """What was made from each."""
        return self._links(lambda edge: (edge.begin, edge.end))

    def _links(self, ends: Callable[[Edge], tuple[str, str]]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {node.id: [] for node in self.nodes}
        for one, other in map(ends, self.edges):
            found[one].append(other)
        return found

    def around(self, *wanted: str) -> Graph:
        """All that some things were made from, and all that was made from them."""
        kept = {*wanted}
        for links in (self.before, self.after):
            kept |= _reached(links, wanted)
        return self.only(kept)

    def only(self, kept: Iterable[str]) -> Graph:
        """Some of the nodes, and what is between them."""
        own = set(kept)
        edges = tuple(one for one in self.edges if {one.begin, one.end} <= own)
        return Graph(tuple(node for node in self.nodes if node.id in own), edges)

    def as_json(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        nodes = [
            {"id": one.id, "kind": one.kind.value, "title": one.title, "note": one.note or None}
            for one in self.nodes
        ]
        edges = [
            {"from": one.begin, "to": one.end, "stage": one.stage or None} for one in self.edges
        ]
        return {"nodes": nodes, "edges": edges}


def _reached(links: Mapping[str, Sequence[str]], wanted: Iterable[str]) -> set[str]:
    found: set[str] = set()
    left = list(wanted)
    while left:
        for other in links.get(left.pop(), ()):
            if other not in found:
                found.add(other)
                left.append(other)
    return found


@dataclass(frozen=True)
class TableTrace:
    """What a table at rest says of itself."""

    key: str
    digest: str
    lineage: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the table."""
        return PurePosixPath(self.key).stem


@dataclass(frozen=True)
class Facts:
    """What is known of any number of chains, in any order."""

    events: tuple[Event, ...] = ()
    """What they announced."""
    decisions: tuple[Decision, ...] = ()
    """What was decided about their models."""
    looks: tuple[tuple[str, Look], ...] = ()
    """Looks for drift, with the registered name of the model that predicted."""
    traces: tuple[TableTrace, ...] = ()
    """Tables at rest."""


def graph_of(facts: Facts) -> Graph:
    """Join what chains announced, what was written down, and what tables say."""
    growing = _Growing()
    for event in facts.events:
        if tell := _TELL.get(type(event)):
            tell(growing, event)
    for decision in facts.decisions:
        _decided(growing, decision.model, decision)
    for name, look in facts.looks:
        _looked(growing, name, look)
    growing.trace(facts.traces)
    return growing.graph


def table_id(reference: TableRef | str) -> str:
    """Id of a table's node, by reference or key."""
    return f"table:{reference if isinstance(reference, str) else reference.key}"


def model_id(reference: ModelRef) -> str:
    """Id of a model's node."""
    return f"model:{reference.name}/{reference.version}"


def chain_id(chain: str) -> str:
    """Id of a chain's node."""
    return f"chain:{chain}"


@dataclass
class _Growing:
    """A graph that is being put together; what is told twice is there once."""

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: dict[tuple[str, str], Edge] = field(default_factory=dict)

    def node(self, node_id: str, title: str, note: str = "") -> str:
        known = self.nodes.get(node_id)
        if known is None or (note and not known.note):
            self.nodes[node_id] = Node(node_id, title, note)
        return node_id

    def made(self, end: str | None, stage: str, *begins: str | None) -> None:
        """Say what a node was made from."""
        for begin in begins:
            if begin and end and begin != end:
                known = self.edges.get((begin, end))
                if known is None or not known.stage:
                    self.edges[begin, end] = Edge(begin, end, stage)

    def table(self, reference: TableRef | None, title: str = "") -> str | None:
        if reference is None:
            return None
        name = title or PurePosixPath(reference.key).stem.replace("_", " ")
        return self.node(table_id(reference), name, counted(reference.n_rows, "row"))

    def page(self, reference: PageRef | None, title: str) -> str | None:
        return self.node(f"page:{reference.key}", title) if reference else None

    def model(self, reference: ModelRef) -> str:
        return self.node(model_id(reference), f"version {reference.version}", reference.name)

    def source(self, problem: str, title: str) -> str:
        return self.node(f"source:{problem}/{title}", title or problem, problem)

    def trace(self, traces: Iterable[TableTrace]) -> None:
        """Add what tables say: what stands in their lineage by its digest, and beside them."""
        traces = tuple(traces)
        by_digest = {one.digest: one for one in traces if one.digest}
        there = {one.key for one in traces}
        for one in traces:
            own = self.node(table_id(one.key), one.name.replace("_", " "))
            # New rows say who is to answer them.
            model = None if one.name in _FIRST else self._model_in(one.lineage)
            named = [by_digest[v] for v in _texts(one.lineage) if v in by_digest]
            self.made(own, "", model, *(table_id(other.key) for other in named))
            self.made(own, "", *(table_id(key) for key in _beside(one) if key in there))
            if model and (learnt := by_digest.get(str(one.lineage.get("features")))):
                self.made(model, Stage.TRAIN.value, table_id(learnt.key))
            if one.name in _FIRST and not any(end == own for _, end in self.edges):
                problem = str(one.lineage.get("problem") or one.key.partition("/")[0])
                self.made(own, "", self.source(problem, _source_in(one.lineage, problem)))

    def _model_in(self, lineage: Mapping[str, Any]) -> str | None:
        name, _, version = str(lineage.get("model", "")).removeprefix("models:/").rpartition("/")
        if not name or not version.isdecimal():
            return None
        return self.node(f"model:{name}/{version}", f"version {version}", name)

    @property
    def graph(self) -> Graph:
        """Graph of what is known, ends of edges that nobody told of left out."""
        edges = [one for one in self.edges.values() if {one.begin, one.end} <= self.nodes.keys()]
        return Graph(tuple(_ordered(self.nodes, edges)), tuple(edges))


def _ordered(nodes: Mapping[str, Node], edges: Iterable[Edge]) -> Iterator[Node]:
    """Nodes, each after all that it was made from."""
    before: dict[str, set[str]] = {one: set() for one in nodes}
    for edge in edges:
        before[edge.end].add(edge.begin)
    done: set[str] = set()
    while len(done) < len(nodes):
        ready = [one for one in nodes if one not in done and before[one] <= done]
        for one in ready or [next(one for one in nodes if one not in done)]:
            done.add(one)
            yield nodes[one]


_FIRST = {"raw", "new_rows"}
"""Tables that are made from nothing that stands at rest, unless it stands beside them."""

_BESIDE = {
    "features": ("raw",),
    "new_predictions": ("new_rows",),
    "new_doubts": ("new_rows",),
    "new_warnings": ("new_rows",),
}
"""Tables of one folder of which one is made from another."""


def _beside(one: TableTrace) -> Iterator[str]:
    folder = one.key.rpartition("/")[0]
    for name in _BESIDE.get(one.name, ()):
        yield f"{folder}/{name}.parquet"


def _texts(lineage: Mapping[str, Any]) -> list[str]:
    return [value for value in lineage.values() if isinstance(value, str)]


def _source_in(lineage: Mapping[str, Any], problem: str) -> str:
    """What a table's parameters say that it was read from."""
    given = lineage.get("parameters")
    place = next((given[one] for one in ("path", "url") if given.get(one)), "") if given else ""
    return PurePosixPath(str(place)).name or problem


def _dataset(growing: _Growing, data: DatasetReady) -> None:
    raw, features = growing.table(data.raw), growing.table(data.features)
    stage = Stage.GENERATE.value
    assert raw and features
    growing.made(raw, stage, growing.source(data.problem, data.source or data.problem))
    growing.made(features, stage, raw)
    _warned(growing, stage, data.warnings, raw, features)
    if study := growing.table(data.study):
        growing.made(study, Stage.TUNE.value, features)


def _warned(growing: _Growing, stage: str, table: TableRef | None, *begins: str) -> None:
    if warnings := growing.table(table, "warnings"):
        growing.made(warnings, stage, *begins)


def _trained(growing: _Growing, event: ModelTrained | ModelEvaluated) -> str:
    _dataset(growing, event.data)
    model, features = growing.model(event.model), table_id(event.data.features)
    stage, board = Stage.TRAIN.value, growing.table(event.leaderboard)
    study = table_id(event.data.study) if event.data.study else None
    growing.made(model, stage, features, study, board)
    if board:
        growing.made(board, stage, features)
    return model


def _evaluated(growing: _Growing, event: ModelEvaluated) -> None:
    model, stage = _trained(growing, event), Stage.EVALUATE.value
    predictions = growing.table(event.predictions)
    assert predictions
    made = [growing.table(one) for one in (event.permutation_importance, event.shap_local)]
    for one in (predictions, *made):
        growing.made(one, stage, model, table_id(event.data.features))
    for table, begin in ((event.metrics, predictions), (event.shap_global, made[1])):
        growing.made(growing.table(table), stage, begin)
    report = growing.page(event.report, "report")
    shown = (event.metrics, event.permutation_importance, event.shap_global)
    growing.made(report, stage, *map(table_id, shown))


def _announced(growing: _Growing, event: ModelPromoted | ModelRejected) -> None:
    growing.model(event.model)
    own = _decided(growing, event.model.name, event)
    if isinstance(event, ModelPromoted) and event.predict:
        growing.made(_begun(growing, event.predict.chain), "", own)


class _Said(Protocol):
    """What an event says of a decision, and the log."""

    @property
    def champion(self) -> int | None: ...
    @property
    def previous(self) -> int | None: ...
    @property
    def by(self) -> str: ...
    @property
    def reason(self) -> str: ...


def _decided(growing: _Growing, name: str, said: _Said) -> str:
    """Decision about a model: made by the version that is the champion, beside the one before."""
    title = f"version {said.champion} is the champion" if said.champion else "no champion"
    mark = digest_of([said.champion, said.by, said.reason])[:12]
    own = growing.node(f"decision:{name}/{mark}", title, f"by {said.by}: {said.reason}")
    versions = [one for one in (said.champion, said.previous) if one]
    begins = [growing.node(f"model:{name}/{one}", f"version {one}", name) for one in versions]
    growing.made(own, Stage.PROMOTE.value, *begins)
    return own


def _looked(growing: _Growing, name: str, look: Look) -> None:
    if look.page:
        page = growing.node(f"page:{look.page}", "drift", look.reason)
        model = growing.node(f"model:{name}/{look.version}", f"version {look.version}", name)
        growing.made(page, Stage.MONITOR.value, growing.table(look.predictions), model)


def _begun(growing: _Growing, chain: str) -> str:
    return growing.node(chain_id(chain), f"chain {chain}", "begun by it")


def _predicted(growing: _Growing, event: PredictionsReady) -> None:
    model, stage = growing.model(event.model), Stage.PREDICT.value
    raw = growing.table(event.raw)
    assert raw
    growing.made(raw, stage, growing.source(event.problem, event.period or "new rows"))
    for one in (event.predictions, event.doubts):
        growing.made(growing.table(one), stage, raw, model)
    _warned(growing, stage, event.warnings, raw, model)


def _monitored(growing: _Growing, event: PredictionsMonitored | DriftDetected) -> None:
    model, stage = growing.model(event.model), Stage.MONITOR.value
    columns = growing.table(event.columns, "drift by column")
    page = growing.page(event.page, "drift")
    growing.made(columns, stage, model)
    growing.made(page, stage, columns or model)
    if isinstance(event, DriftDetected) and event.generate:
        growing.made(_begun(growing, event.generate.chain), "", page or columns or model)


def _noted(growing: _Growing, event: NotebookReady) -> None:
    page = growing.page(event.page, f"notebook {event.name}")
    begins = growing.model(event.model), growing.table(event.data.features)
    growing.made(page, Stage.NOTEBOOK.value, *begins)


_TELL: Mapping[type[Event], Callable[[_Growing, Any], object]] = {
    DatasetReady: _dataset,
    StudyFinished: lambda growing, event: _dataset(growing, event.data),
    ModelTrained: _trained,
    ModelEvaluated: _evaluated,
    ModelPromoted: _announced,
    ModelRejected: _announced,
    PredictionsReady: _predicted,
    PredictionsMonitored: _monitored,
    DriftDetected: _monitored,
    NotebookReady: _noted,
}
"""What each event tells."""
