"""The command that takes labels which come late: ``labels``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from baton.chain.events import Event
from baton.cli import show
from baton.cli.app import OUT, AsJson, Values, app, pairs, print_json
from baton.cli.connection import away, tell_standing
from baton.cli.deciding import Name
from baton.errors import InputError
from baton.sources import places
from serving.embedded import private

if TYPE_CHECKING:
    from tasks.labelling import Learnt

_TAKEN = ("path", "sheet")


@app.command
def labels(
    problem: Name,
    /,
    *,
    parameters: Values = [],  # noqa: B006
    id: str,
    label: str = "",
    as_json: AsJson = False,
) -> int:
    """Join labels of rows that were predicted by PROBLEM's model, and say how well it did.

    Labels come late: what was predicted is kept. They are joined by an id to the latest predictions
    that have it, and scored beside what the model showed when it was evaluated. If it got worse by
    more than chance, that is announced as drift, at most once an hour.

    Examples
    --------
    `baton labels wine-target -p path=labels.csv --id wine`

    Parameters
    ----------
    id
        Column of the ids, in the labels and in the predicted rows.
    label
        Column of the labels; the model's target if not given.
    """
    given = pairs(parameters)
    if strange := sorted(set(given) - set(_TAKEN)):
        raise InputError(f"labels take -p path=… and -p sheet=…, not {strange[0]!r}")
    if "path" not in given:
        raise InputError("labels are in a file: add -p path=…")
    given["path"] = places.checked(given["path"])
    if id == label:
        raise InputError(f"--id and --label are both {id!r}: name two columns")
    with away(), private():
        found, n_labels = _learnt(problem, given, id, label)
        found = _announced(found)
    made = _facts(found, n_labels)
    if as_json:
        print_json(made)
    else:
        show.labelled(OUT, made)
    return 0


def _learnt(asked: str, given: dict[str, str], id: str, label: str) -> tuple[Learnt, int]:
    from tasks.labelling import joined, labels_of, learnt
    from tasks.naming import model_named
    from tasks.platform.tracking import registered_models

    name = model_named(asked)
    model = next(one for one in registered_models() if one.name == name)
    column = label or model.target
    try:
        table = labels_of(given["path"], (id, column), given.get("sheet", ""))
    except ConnectionError as error:
        raise InputError(str(error)) from None
    labelled = joined(name, table, id, column)
    return learnt(labelled, model.problem, model.target), labelled.n_labels


def _facts(learnt: Learnt, n_labels: int) -> dict[str, Any]:
    judged, event = learnt.judged, learnt.event
    return {
        "model": learnt.model.name,
        "version": learnt.model.version,
        "n_labels": n_labels,
        "n_joined": learnt.n_rows,
        "metrics": judged.scores,
        "intervals": {name: list(ends) for name, ends in judged.intervals.items()},
        "worse": judged.is_worse,
        "reason": judged.reason,
        "held_back": learnt.look.held_back,
        "begins": event.generate.chain if event and event.generate else None,
    }


def _announced(learnt: Learnt) -> Learnt:
    """Tell the standing Baton that the model got worse, and write down whether it was told."""
    from tasks.labelling import note

    if learnt.event is not None and (reason := _untold(learnt.event)):
        look = learnt.look.model_copy(update={"held_back": f"nobody was told: {reason}"})
        learnt = replace(learnt, look=look, event=None)
    note(learnt)
    return learnt


def _untold(event: Event) -> str:
    """Announce an event where a server is; why nobody was told, empty if somebody was."""
    try:
        if tell_standing(event):
            return ""
    except RuntimeError as error:
        return str(error)
    return "no `baton up` stands; give the labels again when one does"
