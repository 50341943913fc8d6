"""The log of a model's champions: who or what decided, on which evidence, in which order.

One small Parquet file an entry, numbered, never written again; pandas or DuckDB open the folder
as one table. An entry is first written as an intent, which becomes the entry once the aliases in
MLflow are what it says: an end in between is finished by whoever looks next. Moving aliases
belongs in ``tasks/promotion.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, PositiveInt

from baton import disk
from baton.errors import InputError, StorageError
from baton.settings import Settings
from baton.stores import queue, shelf

GATE = "gate"
"""Who decided, where no person did."""

TOLD = {"champion", "previous", "by", "reason", "metric", "value"}
"""What of a decision is announced."""

_FILE = re.compile(r"\d{6}\.parquet")
_INTENT = "_intent"
"""What a reader of the folder as one table passes over."""


LONGEST_WORD = 500
"""Characters of what a person says of a decision."""


class Outcome(StrEnum):
    """What was decided."""

    PROMOTED = "promoted"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled back"


class Decision(BaseModel):
    """One entry of the log."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), use_attribute_docstrings=True
    )

    number: PositiveInt
    """Place in the log, from 1."""
    at: datetime
    """When it was decided."""
    model: str
    """Name in MLflow's registry."""
    outcome: Outcome
    """What was decided."""
    version: PositiveInt
    """What it was decided about: the challenger; the champion that was taken back."""
    digest: str = ""
    """SHA-256 of that version's model: the same model may be registered again."""
    champion: PositiveInt | None
    """Champion from then on; none where there is none."""
    previous: PositiveInt | None
    """Carries the alias ``previous`` from then on."""
    by: str
    """`gate`, or the person."""
    reason: str
    """Why, in one line."""
    metric: str = ""
    """That decided."""
    value: float | None = None
    """The challenger's, on the rows held out for it; the champion's own, where a person decided."""
    value_low: float | None = None
    """Lower end of its 95 % interval."""
    value_high: float | None = None
    """Upper end."""
    champion_value: float | None = None
    """The champion's, on the same rows."""
    gain: float | None = None
    """Above 0 where the challenger is better."""
    low: float | None = None
    """Lower end of the gain's interval."""
    high: float | None = None
    """Upper end."""
    n_rows: int | None = None
    """Rows that both were scored on."""
    gate: str = ""
    """What a challenger had to show, as JSON."""
    evidence: str = ""
    """All that was measured, as JSON."""
    chain: str = ""
    """Chain of the challenger."""
    decided_for: str = ""
    """Digest of what the decision follows from; the same again is not decided twice."""


def place(settings: Settings, model: str) -> Path:
    """Folder of a model's log."""
    return settings.results / "decisions" / model


def read(settings: Settings, model: str) -> tuple[Decision, ...]:
    """Every decision about a model, the oldest first.

    Raises
    ------
    InputError
        If an entry is damaged: the fact, and the fix.
    """
    entries = _entries(shelf.take_all(place(settings, model)))
    try:
        lines = _lines(entries)
        return tuple(Decision.model_validate(line) for line in lines)
    except ValueError:  # of one of them: which is it?
        return tuple(map(_decision, entries))


def _entries(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _FILE.fullmatch(path.name))


def intended(settings: Settings, model: str) -> Decision | None:
    """Return the decision whose aliases may not have been moved yet; None if there is none."""
    path = shelf.take_passing(place(settings, model) / _INTENT)
    if not path.exists() or not path.stat().st_size:  # of a store that shows what is being written
        return None
    found = _decision(path)
    if shelf.is_used() and found.number in {one.number for one in read(settings, model)}:
        drop(settings, model)
        return None
    return found


def intend(settings: Settings, decision: Decision) -> None:
    """Write down what is about to be done.

    Raises
    ------
    StorageError
        If another machine has decided meanwhile, or the disk or the shelf does not take it.
    """
    folder = place(settings, decision.model)
    folder.mkdir(parents=True, exist_ok=True)
    queue.require()
    if shelf.has(folder / _entry(decision)):
        raise StorageError(
            f"decision {decision.number} about {decision.model} was taken by another machine"
            " meanwhile: repeat the chain, which weighs anew"
        )
    with disk.told(settings.results):
        shelf.write(folder / _INTENT, _bytes(decision))


def append(settings: Settings, decision: Decision) -> None:
    """Add what was intended to the log; one that stands there already is left."""
    folder = place(settings, decision.model)
    entry = (folder / _INTENT).replace(folder / _entry(decision))
    shelf.put(entry)
    shelf.drop(folder / _INTENT)


def drop(settings: Settings, model: str) -> None:
    """Forget what was intended."""
    intent = place(settings, model) / _INTENT
    shelf.drop(intent)
    intent.unlink(missing_ok=True)


def _entry(decision: Decision) -> str:
    return f"{decision.number:06d}.parquet"


def _bytes(decision: Decision) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([_plain(decision)], schema=_schema()), sink)
    return bytes(sink.getvalue().to_pybytes())


def _plain(decision: Decision) -> dict[str, Any]:
    return decision.model_dump() | {"outcome": decision.outcome.value}


def _schema() -> Any:
    """Types of the columns, the same in every entry: one folder is one table."""
    import pyarrow as pa

    numbers = ("number", "version", "champion", "previous", "n_rows")
    values = ("value", "value_low", "value_high", "champion_value", "gain", "low", "high")
    types: dict[str, Any] = dict.fromkeys(numbers, pa.int64())
    types |= dict.fromkeys(values, pa.float64()) | {"at": pa.timestamp("us", tz="UTC")}
    return pa.schema([(name, types.get(name, pa.string())) for name in Decision.model_fields])


def _lines(paths: list[Path]) -> list[dict[str, Any]]:
    """Entries of these files, in their order.

    Raises
    ------
    ValueError
        If one of them is no Parquet of its own entry.
    """
    import pyarrow.dataset as ds

    if not paths:
        return []
    try:
        found: list[dict[str, Any]] = ds.dataset([str(one) for one in paths]).to_table().to_pylist()
    except OSError as error:
        raise ValueError(str(error)) from None
    if len(found) != len(paths):
        raise ValueError(f"{len(found)} entries in {len(paths)} files")
    return found


def _decision(path: Path) -> Decision:
    try:
        (line,) = _lines([path])
        return Decision.model_validate(line)
    except ValueError:
        raise InputError(
            f"{path} is no whole decision: put it back from a copy, or move it away; MLflow's"
            " aliases say which version is the champion"
        ) from None


def said(reason: str) -> str:
    r"""What a person says of a decision, in one line that is not too long; empty if nothing is.

    Examples
    --------
    >>> said(" agreed with\nthe clinic ")
    'agreed with the clinic'
    """
    return " ".join(reason.split())[:LONGEST_WORD]


def champions(decisions: tuple[Decision, ...]) -> Iterator[Decision]:
    """Return the decisions that made another version the champion, the oldest first."""
    return (one for one in decisions if one.outcome is not Outcome.REJECTED)


def next_number(decisions: tuple[Decision, ...]) -> int:
    """Place of the next entry."""
    return decisions[-1].number + 1 if decisions else 1


def scored(decisions: tuple[Decision, ...], version: int) -> dict[str, Any]:
    """What was measured of a version when it was decided about; nothing where it never was."""
    wanted = ("metric", "value", "value_low", "value_high")
    for one in reversed(decisions):
        if one.by == GATE and one.version == version and one.value is not None:
            return {name: getattr(one, name) for name in wanted}
    return {}


def withdrawn(decisions: tuple[Decision, ...], version: int, digest: str = "") -> str:
    """When and by whom a model was taken back, or put behind another, by a person's last word.

    Parameters
    ----------
    decisions : tuple of Decision
    version : int
    digest : str
        Of the model: the same one under another number is taken back, too.
    """
    same = {one.version for one in decisions if digest and one.digest == digest} | {version}
    word = None
    for one in decisions:
        if one.by == GATE:
            continue
        behind = one.version if one.outcome is Outcome.ROLLED_BACK else one.previous
        word = one if behind in same else None if one.champion in same else word
    return "" if word is None else f"by {word.by} on {word.at:%Y-%m-%d}: {word.reason}"
