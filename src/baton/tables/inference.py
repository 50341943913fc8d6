"""The decision on a table: what every column is for, said in sentences.

One column at a time is decided in ``columns`` and ``target``; here stands what takes several.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from baton.errors import InputError
from baton.tables.columns import infer_column
from baton.tables.features import target_values
from baton.tables.levels import levels_of, text_of
from baton.tables.reading import NOTES, column_names
from baton.tables.refusals import unknown_column
from baton.tables.roles import Column, Role, Schema
from baton.tables.target import require_known_classes, target_kind, target_role
from baton.tables.text_columns import NEARLY_NUMBERS, readable_share
from baton.terms import SPLIT, Kind, Split
from baton.words.text import counted, quoted

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def infer(
    raw: pd.DataFrame,
    target: str,
    kind: Kind | None = None,
    drop: Sequence[str] = (),
    group: str | None = None,
    names: Sequence[str] = (),
) -> Schema:
    """Decide what every column is for.

    Only training rows decide where the table has the column `SPLIT`.

    Parameters
    ----------
    raw : DataFrame
        A table of `read`.
    target : str
        What is to be learnt.
    kind : Kind, optional
        Classification or regression; by default it follows from the target's values.
    drop : sequence of str
        Columns to leave out.
    group : str, optional
        Column that says what rows belong to: no feature, since new rows belong to others.
    names : sequence of str
        Columns of text that name things, and are no numbers whatever they look like.

    Returns
    -------
    Schema

    Raises
    ------
    InputError
        If the target or the other columns leave nothing to learn.
    """
    if target not in raw:
        raise unknown_column("target", target, column_names(raw), "the table")
    known = target_role(raw[target])
    values = target_values(raw[target], known)
    has_target = values.notna().to_numpy()
    is_train = has_target & _is_train(raw)
    kind, kind_note = target_kind(target, values[is_train], kind)
    require_known_classes(target, kind, values, is_train)
    train = raw if is_train.all() else raw[is_train]
    others = [n for n in column_names(raw) if n != target and n not in drop and n != group]
    found = (infer_column(name, train[name]) for name in others)
    columns = tuple(_as_name(one) if one.name in names else one for one in found)
    _require_usable(target, columns)
    _require_finite(raw, columns)
    _require_agreement(raw, columns)
    notes = (
        kind_note,
        *raw.attrs.get(NOTES, ()),
        *_row_notes(target, int((~has_target).sum())),
        *([f"target '{target}' {known.note}"] if known.note else []),
        *_column_notes(columns),
    )
    return Schema(columns, known, kind, notes)


def _as_name(column: Column) -> Column:
    is_read = column.role is not Role.DROPPED and column.style
    return Column(column.name, Role.CATEGORY) if is_read else column


def _is_train(raw: pd.DataFrame) -> np.ndarray:
    import numpy as np

    if SPLIT not in raw:
        return np.ones(len(raw), dtype=bool)
    return (raw[SPLIT] == Split.TRAIN.value).to_numpy(dtype=bool)


def _require_usable(target: str, columns: Sequence[Column]) -> None:
    if any(column.role is not Role.DROPPED for column in columns):
        return
    reasons = [f"'{column.name}' is left out ({column.note})" for column in columns]
    why = "; ".join(reasons[:3]) or "there is no other column"
    raise InputError(f"no column is left to predict '{target}' from: {why}; add a column of use")


def _require_finite(raw: pd.DataFrame, columns: Sequence[Column]) -> None:
    import numpy as np

    for column in columns:
        if column.role is Role.NUMBER and raw[column.name].dtype.kind == "f":
            count = int(np.isinf(raw[column.name].to_numpy()).sum())
            if count:
                raise InputError(
                    f"column '{column.name}' has {counted(count, 'infinite value')}; "
                    f"replace them, leave them empty or drop the column: -p drop={column.name}"
                )


def _require_agreement(raw: pd.DataFrame, columns: Sequence[Column]) -> None:
    """Refuse test rows whose text is not what the training rows' text was read as."""
    if SPLIT not in raw:
        return
    test = raw[~_is_train(raw)]
    for column in columns:
        if column.style:
            levels = levels_of(text_of(test[column.name])).without_missing()
            if levels.total and readable_share(levels, column) < NEARLY_NUMBERS:
                raise InputError(
                    f"column '{column.name}' is a {column.role} in the training file and mostly "
                    f"not in the test file (such as '{levels.values[0]}'); make them agree"
                )


def _row_notes(target: str, without: int) -> list[str]:
    rows = counted(without, "row")
    return [f"{rows} without a value of '{target}' left out"] if without else []


def _column_notes(columns: Sequence[Column]) -> list[str]:
    """One sentence per column that was read in a special way and per reason to drop columns."""
    dropped: dict[str, list[str]] = {}
    for column in columns:
        if column.role is Role.DROPPED:
            dropped.setdefault(column.note, []).append(column.name)
    kept = [column for column in columns if column.role is not Role.DROPPED and column.note]
    return [
        *(f"dropped {quoted(names)}: {reason}" for reason, names in dropped.items()),
        *(f"'{column.name}' {column.note}" for column in kept[:20]),
        *([f"{len(kept) - 20} more columns were read in such ways"] if len(kept) > 20 else []),
    ]
