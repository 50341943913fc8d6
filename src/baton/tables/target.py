"""The column to be predicted: its role, and whether it asks for classification or regression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from baton.errors import InputError
from baton.tables.columns import role_of
from baton.tables.levels import levels_of, text_of
from baton.tables.roles import Column, Role
from baton.tables.text_columns import readable_share
from baton.terms import Kind
from baton.words.text import counted, quoted

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MAX_INTEGER_CLASSES = 20
"""More distinct integers than these are amounts, not classes."""

_MANY_CLASSES = 0.5


def target_role(series: pd.Series) -> Column:
    """Column to be predicted in its role; refused if that is none."""
    name = str(series.name)
    column = role_of(name, series, keep=True)
    match column.role:
        case Role.DATETIME:
            raise InputError(
                f"target '{name}' is a date, which Baton does not predict; choose another target, "
                "such as the days until it"
            )
        case Role.DROPPED:
            raise InputError(f"target '{name}' is {column.note}; choose another target")
        case Role.NUMBER if column.style and not _is_target_number(series, column):
            return Column(name, Role.CATEGORY)
    return column


def _is_target_number(series: pd.Series, column: Column) -> bool:
    """Whether text is read as numbers in a target: a class must not be lost as a stray value."""
    levels = levels_of(text_of(series)).without_missing()
    return readable_share(levels, column) == 1 or len(levels.values) > MAX_INTEGER_CLASSES


def target_kind(target: str, values: pd.Series, wanted: Kind | None) -> tuple[Kind, str]:
    """Kind of a target of numbers, booleans or text, and the sentence that says why."""
    sizes = values.value_counts()
    _require_variety(target, values, sizes)
    natural, what = _natural_kind(values, sizes)
    kind = wanted or natural
    _require_possible(target, kind, values, sizes)
    if wanted:
        why = "; as asked"
    elif what.endswith("integers"):
        other = next(other for other in Kind if other is not kind)
        why = f"; -p kind={other} for the other"
    else:
        why = ""
    return kind, f"target '{target}' has {what}: {kind}{why}"


def _require_possible(target: str, kind: Kind, values: pd.Series, sizes: pd.Series) -> None:
    is_number = values.dtype.kind in "iuf"
    if kind is Kind.REGRESSION and not is_number and values.dtype.kind != "b":
        raise InputError(
            f"target '{target}' is text (such as '{sizes.index[0]}'), which cannot be regressed; "
            "add -p kind=classification or choose a target of numbers"
        )
    if kind is Kind.CLASSIFICATION and len(sizes) > _MANY_CLASSES * len(values):
        other = "add -p kind=regression or choose another target"
        raise InputError(
            f"target '{target}' has {len(sizes)} different values in {len(values)} rows, too many "
            f"to classify; {other if is_number else 'choose another target'}"
        )


def _require_variety(target: str, values: pd.Series, sizes: pd.Series) -> None:
    import numpy as np

    if sizes.empty:
        raise InputError(f"target '{target}' has no values; choose another target")
    if values.dtype.kind == "f" and (count := int(np.isinf(values.to_numpy()).sum())):
        raise InputError(
            f"target '{target}' has {counted(count, 'infinite value')}; "
            "leave them empty and those rows are left out"
        )
    if len(sizes) == 1:
        raise InputError(
            f"target '{target}' has one value only ('{sizes.index[0]}'), so there is nothing to "
            "learn; choose another target"
        )


def _natural_kind(values: pd.Series, sizes: pd.Series) -> tuple[Kind, str]:
    if values.dtype.kind not in "iuf":
        return Kind.CLASSIFICATION, f"{len(sizes)} classes"
    if values.dtype.kind == "f" and not (values % 1 == 0).all():
        return Kind.REGRESSION, "numbers with fractions"
    few = len(sizes) <= MAX_INTEGER_CLASSES and sizes.median() >= 5
    kind = Kind.CLASSIFICATION if few or len(sizes) == 2 else Kind.REGRESSION
    return kind, f"{len(sizes):,} distinct integers"


def require_known_classes(target: str, kind: Kind, values: pd.Series, is_train: np.ndarray) -> None:
    """Refuse classes that only test rows have."""
    if kind is Kind.REGRESSION or is_train.all():
        return
    known = set(values[is_train].unique())
    strange = [value for value in values[~is_train].dropna().unique() if value not in known]
    if strange:
        raise InputError(
            f"the test file has classes of '{target}' that no training row has: "
            f"{quoted(strange)}; leave those rows out or train on some"
        )
