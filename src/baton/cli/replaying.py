"""The command that begins a stage of a chain again: ``replay``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import Parameter

from baton import options, problems
from baton.chain import replay, status
from baton.chain.events import DatasetReady, EventName, Stage, labels_in
from baton.chain.manifest import PLAIN, Manifest
from baton.chain.runs import Begun, Json
from baton.cli.app import AsJson, Values, app, pairs
from baton.cli.connection import (
    away,
    require_there,
    the_one,
)
from baton.cli.running import carry_out, console_for, order_again, order_of
from baton.errors import InputError
from baton.settings import settings
from baton.stores import shelf
from baton.words.text import listed
from serving.embedded import private
from tasks.platform import orders
from tasks.platform.server import Order, Server

From = Annotated[Stage, Parameter(name="--from", help="Stage that is to begin again.")]


@app.command(name="replay")
def replay_chain(
    chain: str,
    /,
    *,
    start: From,
    parameters: Values = [],  # noqa: B006
    as_json: AsJson = False,
) -> int:
    """Begin a stage of an ended CHAIN again, on the results that it began with, and follow it.

    It is a chain of its own, with a new id: the event that began the stage is taken from the run
    that it began; where that never came, from the server. What the stages make anew is only what
    the options, prefect.yaml (such as the gate) or the code have changed. `-p` takes the options
    that the stages from there on look at; from `generate` and `predict` on also the problem's
    parameters.

    Examples
    --------
    `baton replay 3f9c1a --from evaluate -p folds=5`

    `baton replay 3f9c1a --from promote`

    Parameters
    ----------
    chain
        Id of a chain or its first digits.
    """
    require_there(chain)
    given = pairs(parameters)

    def order(server: Server, manifest: Manifest) -> Order:
        begun = the_one(server, chain)
        _require_over(server, manifest, begun)
        return _order(begun, start, _began(server, manifest, begun, start), given)

    return carry_out(order, console_for(as_json), as_json)


def _require_over(server: Server, manifest: Manifest, begun: Begun) -> None:
    """Refuse a chain that is not over."""
    seen, now = server.look(begun, manifest.stages(begun.stage, begun.labels)), datetime.now(UTC)
    if wait := status.wait_of(seen, now):
        raise InputError(f"chain {seen.id} is not over: {wait.said(seen.id, now)}")


def _began(server: Server, manifest: Manifest, begun: Begun, stage: Stage) -> Json:
    """Parameters of the stage's last run in a chain, or of that which was to be."""
    found = server.runs_of(begun)
    if stage not in found:
        if (event := _unheard(server, manifest, begun, stage)) is not None:
            return replay.begun_by(stage, event["payload"])
        there = listed((one.value for one in Stage if one in found), 9)
        raise InputError(
            f"stage {stage.value} never ran in chain {begun.chain_id}, and no event that begins it"
            f" is known; it has {there}"
        )
    completed = [run for run in found[stage] if run["state_type"] == "COMPLETED"]
    parameters: Json = (completed or found[stage])[-1]["parameters"]
    return parameters


def _unheard(server: Server, manifest: Manifest, begun: Begun, stage: Stage) -> Json | None:
    """Event of a chain that was to begin a stage which never ran; the last one."""
    for event in reversed(server.events_of(begun.chain_id)):
        followers = manifest.followers(EventName(event["event"]), begun.chain_id, begun.labels)
        if (begun.chain_id, stage) in followers:
            return event
    return None


def _order(begun: Begun, stage: Stage, parameters: Json, given: Mapping[str, str]) -> Order:
    """Chain that begins with this stage."""
    content = replay.payload_of(stage, parameters)
    _require_there(begun, content)
    match stage:
        case Stage.GENERATE:
            return _of_generate(begun, content, given)
        case Stage.PREDICT:
            return _of_predict(begun, content, given)
    asked = orders.with_places(problems.get(begun.problem), options.parse(None, dict(given)))
    orders.check_notebook(asked)
    replay.refuse_idle(stage, asked)
    if stage is Stage.TRAIN and asked:
        return order_again(DatasetReady.model_validate(content["data"]), asked)
    new = uuid.uuid4().hex[:12]
    made = replay.with_options(replay.renamed(content, begun.chain_id, new), asked)
    return Order(begun.problem, stage, made, labels_of(made), new)


def labels_of(parameters: Mapping[str, Any]) -> Mapping[str, str]:
    """Labels of the chain that these parameters begin."""
    return labels_in(parameters) or PLAIN


def _of_generate(begun: Begun, content: Json, given: Mapping[str, str]) -> Order:
    """The whole chain once more, with other parameters and options."""
    before = content.get("order", content)
    own, asked = before.get("parameters") or {}, before.get("options") or {}
    return order_of(begun.problem, {**own, **replay.set_options(asked), **given})


def _of_predict(begun: Begun, content: Json, given: Mapping[str, str]) -> Order:
    """Predictions by the same version or the champion, as it was asked for."""
    changed, new = problems.partial(problems.get(begun.problem), dict(given)), uuid.uuid4().hex[:12]
    before = content.get("order", content)
    made = before | {"parameters": (before.get("parameters") or {}) | changed}
    if "order" in content:
        renamed = replay.renamed({"order": made}, begun.chain_id, new)
        return Order(begun.problem, Stage.PREDICT, renamed, PLAIN, new)
    return Order(begun.problem, Stage.PREDICT, made)


def _require_there(begun: Begun, content: Json) -> None:
    """Refuse a stage whose results or model are gone, where that can be known here."""
    for key, _ in replay.files_of(content):
        is_elsewhere = settings().prefect_api_url and not settings().results.exists()
        path = settings().results / key
        is_there = path.is_file() or shelf.has(path)
        if not is_elsewhere and not is_there:
            raise InputError(
                f"chain {begun.chain_id}: result {key} was cleaned away, or is on another machine;"
                f" replay --from {Stage.GENERATE.value} makes it anew"
            )
    for name, version in dict.fromkeys(replay.models_of(content)):
        _require_version(begun, name, version)


def _require_version(begun: Begun, name: str, version: int) -> None:
    with away(), private():
        from tasks.platform.tracking import ensure_store, version_of

        ensure_store()
        if version_of(name, version) is None:
            raise InputError(
                f"chain {begun.chain_id}: version {version} of model {name} was deleted; replay"
                f" --from {Stage.TRAIN.value} trains it anew"
            )
