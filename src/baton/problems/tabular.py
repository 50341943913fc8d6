"""What problems on any table share: columns whose use is inferred, rows held out by bonds.

Where the table is from belongs in a problem.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar, cast

from pydantic import Field, TypeAdapter

from baton.bonds import Bonds, held_apart
from baton.choice import by_default
from baton.errors import InputError
from baton.problems.base import Goal, Params, Problem
from baton.problems.splits import marked, shuffled, stratified
from baton.tables.bonds import group_values, time_values
from baton.tables.features import build, used_columns
from baton.tables.roles import Schema
from baton.tables.unread import Unread, unread
from baton.terms import ROW, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

SCHEMA = TypeAdapter(Schema)

_LONGEST_NAME = 50
ModelName = Annotated[str, Field(pattern=rf"^[a-z0-9][a-z0-9-]{{0,{_LONGEST_NAME - 1}}}$")]


def given(value: Any) -> Any:
    """Nothing where an empty text is given."""
    return None if value == "" else value


class Asked(Protocol):
    """Parameters that every such problem has."""

    target: str
    time: str | None
    group: str | None
    test_size: float
    seed: int


P = TypeVar("P", bound=Params)


class TabularProblem(Problem[P]):
    """A problem whose columns are inferred from a table; its parameters are `Asked` too."""

    @abstractmethod
    def inferred(self, raw: pd.DataFrame, params: P) -> Schema:
        """What the columns are for, by the training rows."""

    def groups(self, features: pd.DataFrame, raw: pd.DataFrame, params: P) -> pd.Series | None:
        """What each row belongs to, by the column `group`."""
        name = _asked(params).group
        if name is None:
            return None
        return group_values(raw[name]).take(features[ROW].to_numpy()).set_axis(features.index)

    def times(self, features: pd.DataFrame, raw: pd.DataFrame, params: P) -> pd.Series | None:
        """When each row was, by the column `time`."""
        name = _asked(params).time
        if name is None:
            return None
        return time_values(raw[name].take(features[ROW].to_numpy())).set_axis(features.index)

    def features(self, raw: pd.DataFrame, params: P, *, with_target: bool = True) -> pd.DataFrame:
        """Columns of use under the user's names; rows without a target only if not asked for it."""
        return build(raw, self.inferred(raw, params), with_target=with_target)

    def schema(self, raw: pd.DataFrame, params: P) -> dict[str, Any]:
        """What the columns are for, as it was inferred."""
        found: dict[str, Any] = SCHEMA.dump_python(self.inferred(raw, params), mode="json")
        return found

    def new_features(
        self,
        raw: pd.DataFrame,
        params: P,  # noqa: ARG002
        schema: dict[str, Any],
    ) -> pd.DataFrame:
        """Columns of use, read as those of the training rows were."""
        return build(raw, SCHEMA.validate_python(schema), with_target=False)

    def needed(
        self,
        raw: pd.DataFrame,  # noqa: ARG002
        params: P,  # noqa: ARG002
        schema: dict[str, Any],
    ) -> tuple[str, ...]:
        """Columns of use."""
        return tuple(column.name for column in used_columns(SCHEMA.validate_python(schema)))

    def unread(self, raw: pd.DataFrame, schema: dict[str, Any]) -> Iterable[Unread]:
        """Cells that are not what their column was."""
        return unread(raw, SCHEMA.validate_python(schema))

    def split(self, features: pd.DataFrame, raw: pd.DataFrame, params: P) -> pd.Series:
        """By time and group if asked for, else at random."""
        asked = _asked(params)
        target = features[asked.target]
        if asked.time or asked.group:
            return _held_apart(self._bonds(features, raw, params), target, asked)
        if target.dtype.kind == "f":
            return shuffled(features.index, asked.test_size, asked.seed)
        return stratified(target, asked.test_size, asked.seed)

    def _bonds(self, features: pd.DataFrame, raw: pd.DataFrame, params: P) -> Bonds:
        ways = (self.groups, self.times)
        found = (way(features, raw, params) for way in ways)
        return Bonds(*(None if one is None else one.to_numpy() for one in found))


def _asked(params: Params) -> Asked:
    return cast("Asked", params)


def goal_of(
    learned: pd.DataFrame, target: str, schema: Schema, kind: Kind | None, notes: Iterable[str]
) -> Goal:
    """What is to be predicted, and what matters about it, by the rows to learn from.

    Its kind is the schema's, else the one that was asked for.
    """
    kind = schema.kind or kind or Kind.CLASSIFICATION
    values = build(learned, Schema((), schema.target, kind))[target]
    decides = by_default(kind, target, values)
    return Goal(
        kind,
        target,
        decides.headline,
        (*schema.notes, *notes, *decides.notes),
        selection=decides.selection,
        positive=decides.positive,
    )


def held_out_notes(params: Params) -> list[str]:
    """How rows are held out by time and group, where that was asked for."""
    asked = {"time": _asked(params).time, "group": _asked(params).group}
    said = {
        "time": "held-out rows are the latest by {!r}",
        "group": "held-out rows are of other values of {!r}, which is no feature",
    }
    return [said[what].format(name) for what, name in asked.items() if name]


def slug(*texts: str) -> str:
    """Texts as one name: letters, digits and hyphens, cut with a digest where it is long.

    Examples
    --------
    >>> slug("Wine Qualität", "quality"), slug("data", "价格")
    ('wine-qualitat-quality', 'data-0f4371a7')
    """
    parts = []
    for text in texts:
        plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
        word = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
        parts.append(word or hashlib.sha256(text.encode()).hexdigest()[:8])
    found = "-".join(parts)
    if len(found) <= _LONGEST_NAME:
        return found
    return f"{found[: _LONGEST_NAME - 9]}-{hashlib.sha256(found.encode()).hexdigest()[:8]}"


def is_finite(values: pd.Series) -> Any:
    """Whether each value is finite, of numbers; for a contract."""
    import numpy as np

    return ~np.isinf(values) if values.dtype.kind == "f" else True


def _held_apart(bonds: Bonds, target: pd.Series, asked: Asked) -> pd.Series:
    """Split by time or group; what is on neither side has none."""
    is_class = target.dtype.kind != "f"
    learned, held = held_apart(
        bonds, asked.test_size, asked.seed, target.to_numpy() if is_class else None
    )
    if is_class and target[learned].nunique() < 2:
        raise InputError(
            f"all {int(learned.sum())} rows to learn from are of one class of {asked.target!r}:"
            " change test_size, or leave time or group out"
        )
    return marked(target.index, held, learned)
