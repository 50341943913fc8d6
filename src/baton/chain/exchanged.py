"""What a stage takes and gives, as data sets: for those who are told of runs and their data.

Pure functions of a stage's events. Sending it belongs in ``tasks/platform/openlineage.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from baton.chain.events import (
    DatasetReady,
    Event,
    ModelEvaluated,
    ModelTrained,
    PredictionsReady,
    Stage,
)
from baton.chain.graph import Facts, Graph, Node, NodeKind, graph_of, model_id, table_id

_TAKEN = {NodeKind.SOURCE, NodeKind.TABLE, NodeKind.MODEL}
_GIVEN = {NodeKind.TABLE, NodeKind.MODEL, NodeKind.PAGE}


@dataclass(frozen=True)
class Exchanged:
    """What a stage takes, and what it gives."""

    inputs: tuple[Node, ...] = ()
    outputs: tuple[Node, ...] = ()


def exchanged(stage: Stage, taken: Event | None, made: Event | None) -> Exchanged:
    """Data sets of a run of a stage.

    Parameters
    ----------
    stage : Stage
    taken : Event or None
        What it was started by; None where it begins a chain.
    made : Event or None
        What it announced; None before its end.
    """
    known = tuple(one for one in (taken, made) if one is not None)
    graph = graph_of(Facts(known))
    own = [edge for edge in graph.edges if made is not None and edge.stage == stage.value]
    ends = {edge.end for edge in own}
    begins = {edge.begin for edge in own} | set(_needed(taken))
    return Exchanged(_some(graph, begins - ends, _TAKEN), _some(graph, ends, _GIVEN))


def _some(graph: Graph, ids: Iterable[str], kinds: set[NodeKind]) -> tuple[Node, ...]:
    wanted = set(ids)
    return tuple(node for node in graph.nodes if node.id in wanted and node.kind in kinds)


def _needed(taken: Event | None) -> list[str]:
    """Ids of what a stage needs of what it was started by."""
    match taken:
        case DatasetReady():
            return [table_id(one) for one in (taken.features, taken.study) if one]
        case ModelTrained() | ModelEvaluated():
            return [table_id(taken.data.features), model_id(taken.model)]
        case PredictionsReady():
            return [table_id(taken.raw), table_id(taken.predictions), model_id(taken.model)]
    return []
