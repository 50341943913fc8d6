"""Telling a lineage server of runs and their data sets, in the words of OpenLineage.

Off unless BATON_OPENLINEAGE_URL says where. Whether anybody hears it changes nothing for a stage:
what cannot be sent is a warning in its log.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from prefect.runtime import flow_run
from pydantic import ValidationError

from baton import distribution
from baton.chain.events import (
    DatasetReady,
    Event,
    ModelEvaluated,
    ModelTrained,
    PredictionsReady,
    Stage,
)
from baton.chain.exchanged import Exchanged, exchanged
from baton.chain.graph import Node, NodeKind
from baton.chain.manifest import EMITTED_BY
from baton.settings import settings

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run

log = logging.getLogger(__name__)

_SECONDS = 3.0
"""Longest that a server is waited for, once."""

_CHAINS = uuid.UUID("0c0f6e0e-5f0a-5d0e-8c1a-7b1f1d6f3a52")
"""Namespace of the ids of chains, which OpenLineage wants to be UUIDs."""

_STARTING = (ModelEvaluated, ModelTrained, PredictionsReady, DatasetReady)
"""Events that start a stage."""


def started(name: str, problem: str, chain: str) -> None:
    """Tell that a stage began."""
    if _is_off():
        return
    with _harmless():
        if name in list(Stage):
            _send("START", Stage(name), problem, chain, exchanged(Stage(name), _taken(), None))


def completed(event: Event) -> None:
    """Tell that a stage ended well, with what it made."""
    if _is_off():
        return
    with _harmless():
        if stage := EMITTED_BY.get(event.event):
            _send("COMPLETE", stage, event.problem, event.chain, exchanged(stage, _taken(), event))


def failed(name: str, problem: str, chain: str, reason: str) -> None:
    """Tell that a stage failed."""
    if _is_off():
        return
    with _harmless():
        if name in list(Stage):
            found = exchanged(Stage(name), _taken(), None)
            _send("FAIL", Stage(name), problem, chain, found, reason)


def _is_off() -> bool:
    return not settings().openlineage_url


@contextmanager
def _harmless() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001  whatever it is, the stage goes on
        said = " ".join(str(error).split())[:300]
        log.warning("the lineage server was not told: %s", said)


def _taken() -> Event | None:
    """What this run was started by."""
    for given in (flow_run.parameters or {}).values():
        if isinstance(given, Event):
            return given
        for kind in _STARTING if isinstance(given, Mapping) else ():
            with suppress(ValidationError):
                return kind.model_validate(given)
    return None


def _send(
    state: str, stage: Stage, problem: str, chain: str, found: Exchanged, reason: str = ""
) -> None:
    from openlineage.client.event_v2 import RunEvent, RunState

    event = RunEvent(
        eventType=RunState[state],
        eventTime=datetime.now(UTC).isoformat(),
        run=_run(chain, problem, reason),
        job=_job(f"{problem}.{stage.value}"),
        inputs=[_input(one) for one in found.inputs],
        outputs=[_output(one) for one in found.outputs],
        producer=_producer(),
    )
    _transport(settings().openlineage_url).emit(event)


@cache
def _transport(url: str) -> Any:
    """What sends: once, and not for long."""
    from openlineage.client.transport.http import (
        ApiKeyTokenProvider,
        HttpConfig,
        HttpTransport,
        TokenProvider,
    )

    key = settings().openlineage_key.get_secret_value()
    auth = ApiKeyTokenProvider({"apiKey": key}) if key else TokenProvider({})
    return HttpTransport(HttpConfig(url, timeout=_SECONDS, retry={"total": 0}, auth=auth))


def _producer() -> str:
    return f"urn:baton:{distribution.version()}"


def _job(name: str) -> Job:
    from openlineage.client.event_v2 import Job
    from openlineage.client.facet_v2 import job_type_job

    kind = job_type_job.JobTypeJobFacet(
        processingType="BATCH", integration="BATON", jobType="STAGE", producer=_producer()
    )
    return Job(settings().openlineage_namespace, name, {"jobType": kind})


def _run(chain: str, problem: str, reason: str) -> Run:
    """The run, within its chain."""
    from openlineage.client.event_v2 import Run
    from openlineage.client.facet_v2 import error_message_run, parent_run

    whole = parent_run.Run(runId=str(uuid.uuid5(_CHAINS, chain)))
    job = parent_run.Job(namespace=settings().openlineage_namespace, name=problem)
    facets: dict[str, Any] = {
        "parent": parent_run.ParentRunFacet(run=whole, job=job, producer=_producer())
    }
    if reason:
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message=reason, programmingLanguage="Python", producer=_producer()
        )
    return Run(str(flow_run.id), facets)


def _input(node: Node) -> InputDataset:
    from openlineage.client.event_v2 import InputDataset

    return InputDataset(*_named(node), facets=_facets(node))


def _output(node: Node) -> OutputDataset:
    from openlineage.client.event_v2 import OutputDataset

    return OutputDataset(*_named(node), facets=_facets(node))


def _named(node: Node) -> tuple[str, str]:
    """Namespace and name, as OpenLineage has files; a model is called as MLflow loads it."""
    if node.kind in {NodeKind.TABLE, NodeKind.PAGE}:
        return "file", str(settings().results / node.name)
    if node.kind is NodeKind.MODEL:
        return "mlflow", f"models:/{node.name}"
    return settings().openlineage_namespace, node.name


def _facets(node: Node) -> dict[str, Any]:
    """Columns of a table, if it is here."""
    path = settings().results / node.name
    if node.kind is not NodeKind.TABLE or not path.is_file():
        return {}
    import pyarrow.parquet as pq
    from openlineage.client.facet_v2 import schema_dataset

    fields = [
        schema_dataset.SchemaDatasetFacetFields(name=one.name, type=str(one.type))
        for one in pq.read_schema(path)
    ]
    return {"schema": schema_dataset.SchemaDatasetFacet(fields=fields, producer=_producer())}
