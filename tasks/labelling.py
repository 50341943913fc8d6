"""Labels that come late: joined to what was predicted, scored, and kept.

Whether a model got worse is decided in ``baton.evaluation.labelled``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from baton import models
from baton.chain import looks, records
from baton.chain.events import DriftDetected, ModelRef, TableRef
from baton.chain.looks import Look
from baton.errors import InputError
from baton.evaluation.labelled import Held, Judged, judge
from baton.lineage import digest_of
from baton.metric import Metric
from baton.models.answers import PREDICTED
from baton.settings import settings
from baton.sources import places
from baton.tables.reading import read
from baton.tables.refusals import unknown_column
from baton.tables.source import describe_all
from baton.terms import GROUP, WEIGHT, Kind
from baton.words.text import counted, elide, quoted
from tasks.platform import results
from tasks.platform.stage import exclusive
from tasks.platform.tracking import CHAMPION, aliases_of, load_model, version_of
from tasks.prediction import retraining

COOL_DOWN = timedelta(hours=1)
"""Shortest time between two announcements that a model got worse."""


@dataclass(frozen=True)
class Labelled:
    """Rows whose label is known, with what a version had predicted of them."""

    model: ModelRef
    rows: pd.DataFrame
    """Columns of the predictions, and ``actual``."""
    n_labels: int
    """Labels that were given."""
    id_column: str


@dataclass(frozen=True)
class Learnt:
    """What labels say of a version."""

    model: ModelRef
    n_rows: int
    """Labels that were joined."""
    judged: Judged
    look: Look
    event: DriftDetected | None
    """What is to be announced; none where nothing got worse, or it is held back."""


def labels_of(path: str, columns: tuple[str, str], sheet: str = "") -> pd.DataFrame:
    """Read labels from a file: those of one column, by the ids of another.

    Parameters
    ----------
    path : str
    columns : tuple of str
        Of the id, and of the label.

    Raises
    ------
    InputError
        If a column is missing, an id is there twice, or there is no label.
    """
    sources = describe_all(places.files(path), sheet)
    for name in columns:
        if name not in sources[0].columns:
            raise unknown_column("column", name, sources[0].columns, path)
    found = read(sources, only=list(columns)).dropna()
    if found.empty:
        raise InputError(f"{path} has no label in column {columns[1]!r}")
    twice = found[columns[0]].astype(str).duplicated()
    if twice.any():
        again = str(found[columns[0]][twice].iloc[0])
        raise InputError(f"{path}: id {again!r} is there twice; leave one of them out")
    return found


def joined(model: str, labels: pd.DataFrame, id_column: str, target: str) -> Labelled:
    """Join labels to the latest predictions of a model that have their ids.

    Parameters
    ----------
    model : str
        Registered name.
    labels : DataFrame of columns `id_column` and `target`
    id_column : str
        A column of the predicted rows; `_row` for their number.
    target : str

    Raises
    ------
    InputError
        If none of the ids is among the predicted rows.
    """
    wanted = dict(zip(labels[id_column].map(_plain), labels[target], strict=True))
    n_wanted, reference = len(wanted), None
    known: list[str] = []
    parts: list[pd.DataFrame] = []
    for look, table in _predictions(model):
        is_other = reference is not None and look.version != reference.version
        if is_other or not wanted or id_column not in results.schema(table).names:
            continue
        ids = results.read(table, columns=[id_column]).column(0).to_pandas().map(_plain)
        known = known or [str(one) for one in ids.head(3)]
        is_there = ids.isin(wanted.keys()).to_numpy()
        version = version_of(model, look.version) if is_there.any() else None
        if version is not None:
            reference = version
            rows = results.read(table).filter(pa.array(is_there)).to_pandas()
            parts.append(rows.assign(actual=ids[is_there].map(wanted).to_numpy()))
            for one in ids[is_there]:
                wanted.pop(one, None)
    if reference is not None:
        return Labelled(reference, pd.concat(parts, ignore_index=True), n_wanted, id_column)
    raise _unjoined(model, labels, id_column, known)


def _unjoined(model: str, labels: pd.DataFrame, id_column: str, known: list[str]) -> InputError:
    if not known:
        return InputError(
            f"no predicted rows of {model} have a column {id_column!r}: predict rows with it first,"
            " or name another column by --id"
        )
    given = [str(one) for one in labels[id_column].head(3)]
    return InputError(
        f"none of {counted(len(labels), 'id')}, such as {quoted(given)}, is"
        f" among the predicted rows, whose {id_column!r} is such as {quoted(known)}"
    )


def _plain(value: Any) -> str:
    """Id as text: a whole number that a file gave as 7.0 is 7."""
    is_whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if is_whole else str(value)


def _predictions(model: str) -> Iterator[tuple[Look, TableRef]]:
    """What was predicted by versions of a model, the latest first, as far as it is there."""
    for look in reversed(looks.read(settings(), model)):
        if look.predictions and results.find(look.predictions.key) == look.predictions:
            yield look, look.predictions


def learnt(labelled: Labelled, problem: str, target: str) -> Learnt:
    """Score labelled rows, and settle whether it is to be announced that the model got worse.

    What is announced is written down by :func:`note`, once it is.
    """
    model, reference = load_model(labelled.model), labelled.model
    judged = judge(**_judged_of(model, labelled.rows), held=_held(problem, reference))
    ids = labelled.rows[[labelled.id_column, "actual"]].astype(str).sort_values(labelled.id_column)
    about = digest_of([reference.digest, ids.to_numpy().tolist()])
    look = _look(reference, judged, about[:12])
    event = None
    if look.is_announced:
        event = DriftDetected(
            chain=look.chain,
            problem=problem,
            model=reference,
            target=target,
            n_rows=len(labelled.rows),
            reason=look.reason,
            generate=retraining(problem, reference, model, look.chain),
        )
    return Learnt(reference, len(labelled.rows), judged, look, event)


def note(found: Learnt) -> None:
    """Write down that it was looked at labels, and what was announced of it."""
    with exclusive(f"looks/{found.model.name}"):
        looks.append(settings(), found.model.name, found.look)


def _judged_of(model: models.FittedModel, rows: pd.DataFrame) -> dict[str, Any]:
    """Labels and answers as metrics take them.

    Raises
    ------
    InputError
        If a label is none that the model knows.
    """
    if model.kind is Kind.REGRESSION:
        actual = pd.to_numeric(rows["actual"], errors="coerce").to_numpy(float)
        if np.isnan(actual).any():
            raise InputError(f"a label of {model.target!r} is no number")
        output = rows[PREDICTED].to_numpy(float)
        return {"kind": model.kind, "actual": actual, "output": output} | _NO_CLASSES
    known = {_plain(label): label for label in model.classes}
    said = rows["actual"].map(_plain)
    if strange := sorted(set(said) - set(known)):
        raise InputError(
            f"{quoted(strange[:3])} is no class of {model.target!r}; the model knows"
            f" {quoted(list(known)[:10])}"
        )
    proba = rows[[f"p({label})" for label in model.classes]].to_numpy(float)
    labels = np.array([known[one] for one in said])
    answers = {"output": proba, "classes": model.classes, "y_pred": rows[PREDICTED].to_numpy()}
    return {"kind": model.kind, "actual": labels} | answers


_NO_CLASSES: dict[str, Any] = {"classes": (), "y_pred": None}


def _held(problem: str, reference: ModelRef) -> Held:
    """What the version showed on the rows held out for it.

    Raises
    ------
    InputError
        If no chain of this home has evaluated it.
    """
    evaluated = records.of_model(settings(), problem, reference)
    if evaluated is None:
        raise InputError(f"no chain in {settings().home} has evaluated {reference.uri}")
    name = evaluated.data.headline
    interval = evaluated.intervals.get(name)
    if {GROUP, WEIGHT} & set(_columns_of(evaluated.data.features)):
        interval = None  # labels come without groups and weights: intervals would not compare
    return Held(Metric(name), evaluated.scores.get(name), interval)


def _columns_of(table: TableRef) -> list[str]:
    """Names of a table's columns; none where it is not here any more."""
    try:
        return list(results.schema(table).names)
    except InputError:
        return []


def _look(reference: ModelRef, judged: Judged, chain: str) -> Look:
    known, now = looks.read(settings(), reference.name), datetime.now(UTC)
    before = next((one for one in known if one.chain == chain and one.is_announced), None)
    held = f"these labels were announced at {before.at:%Y-%m-%d %H:%M} UTC" if before else ""
    held = held or looks.held_back(
        known,
        now,
        COOL_DOWN,
        version=reference.version,
        champion=aliases_of(reference.name).get(CHAMPION),
        going="",
    )
    return Look(
        chain=chain,
        at=now,
        version=reference.version,
        is_drifted=judged.is_worse,
        reason=elide(judged.reason, 1000),
        held_back=held if judged.is_worse else "",
    )
