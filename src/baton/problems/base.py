"""What a problem is: the interface that every problem in this folder implements.

The registry is ``baton.problems``; a problem's own code belongs in a file of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from baton.errors import InputError
from baton.terms import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from pandera.pandas import DataFrameSchema

    from baton.problems.targets import Targets
    from baton.tables.unread import Unread


class Params(BaseModel):
    """Base of a problem's parameters: frozen, and a misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Goal:
    """What a chain learns: settled once the raw table is known."""

    kind: Kind
    target: str
    headline: str
    """The metric that decides, a name of ``baton.evaluation.metrics``."""
    notes: tuple[str, ...] = ()
    """What was inferred about the input, a sentence each, for people to read."""
    model: str | None = None
    """Family that is trained where the user names none; by default as `Quality.GOOD` says."""
    model_params: dict[str, Any] = field(default_factory=dict)
    """Its hyperparameters, where they are not the family's own defaults."""
    space: dict[str, Any] = field(default_factory=dict)
    """What a search of that family goes through, in the words of `Options.space`; by default the
    family's own."""
    trials_at_once: int | None = None
    """Trials of a search that run at the same time, where not one for each core."""
    selection: str = ""
    """The metric by which the best of several is chosen; the headline if not given."""
    positive: Any = None
    """The positive one of two classes; by default the second in their order."""


P = TypeVar("P", bound=Params)


class Problem(ABC, Generic[P]):
    """A data set, how it becomes features, and what is predicted.

    Implementations are stateless: everything a run depends on is in its parameters.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    params: type[P]
    names_models: ClassVar[tuple[str, ...]] = ()
    """Parameters by which one of the problem's models is asked for, if it has several."""
    piped: ClassVar[tuple[str, ...]] = ()
    """Parameters that name a file, so that ``-`` may stand for what a pipe sends."""
    rows_at_once: ClassVar[int | None] = None
    """New rows whose features may be made without the others; None if they must all be there."""

    def model_name(self, params: P) -> str:  # noqa: ARG002
        """Name of what is learnt, where a problem has several models; its versions go by it.

        Letters, digits and hyphens; empty for the problem's only one.
        """
        return ""

    def source_name(self, params: P) -> str:  # noqa: ARG002
        """What the rows are from, for people: the file's name where there is one."""
        return self.name

    def fingerprint(self, params: P) -> str | None:  # noqa: ARG002
        """Digest of whatever outside the parameters decides the raw table.

        Returns
        -------
        str or None
            None if only reading tells: then the tables of `sources` are read for every chain, and
            their content is what decides; where there are none, all is made anew.

        Raises
        ------
        InputError
            If the source is missing or unreadable; this is the cheap check before a run starts.
        OSError
            If trying again may help.
        """
        return ""

    def forget(self, params: P) -> None:
        """Forget what is kept of the source, such as a download, so that it is read again."""

    @abstractmethod
    def load(self, params: P) -> pd.DataFrame:
        """Raw table, as it came."""

    def pieces(self, params: P) -> Iterator[pd.DataFrame] | None:  # noqa: ARG002
        """Raw table piece by piece, in the order of its rows; None where `load` makes it whole.

        A problem whose tables may be larger than memory offers this. `telling_rows` say the goal
        and the schema; `features_of_piece` and `held_out` are then asked, not `split`.
        """
        return None

    def telling_rows(self, first: pd.DataFrame, params: P) -> pd.DataFrame:  # noqa: ARG002
        """Rows that say the goal and the schema of a table in pieces, given the first of them."""
        return first

    def contract_of_piece(self, params: P) -> DataFrameSchema:
        """Input contract of each piece."""
        return self.contract(params)

    def features_of_piece(
        self,
        raw: pd.DataFrame,
        params: P,
        schema: dict[str, Any],  # noqa: ARG002
    ) -> pd.DataFrame:
        """Features of a piece, target included; `ROW` counts the rows of this piece."""
        return self.features(raw, params)

    def target_of_piece(
        self,
        raw: pd.DataFrame,
        params: P,
        schema: dict[str, Any],  # noqa: ARG002
    ) -> pd.Series:
        """Target of every row of a piece, of which only its column need be there."""
        found: pd.Series = raw[self.goal(raw, params).target]
        return found

    def held_out(self, targets: Targets, params: P) -> np.ndarray:
        """Which rows of a table in pieces are held out, decided by its targets alone.

        Returns
        -------
        ndarray of shape (n,), bool
            By rows of the raw table; what it says of rows without a target does not count.
        """
        raise NotImplementedError(f"problem {self.name!r} offers no pieces")

    def sources(self, params: P) -> tuple[str, ...]:  # noqa: ARG002
        """Names of the tables that the raw table is joined from; none for most problems."""
        return ()

    def read(self, params: P, source: str) -> pd.DataFrame:  # noqa: ARG002
        """One of these tables, as it came.

        Raises
        ------
        InputError
            If it does not exist; with what to do instead.
        OSError
            If trying again may help.
        """
        raise InputError(f"problem {self.name!r} has no source {source!r}")

    def join(self, params: P, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:  # noqa: ARG002
        """Raw table from the tables of `sources`, by name."""
        return self.load(params)

    @abstractmethod
    def contract(self, params: P) -> DataFrameSchema:
        """Input contract of the raw table."""

    @abstractmethod
    def goal(self, raw: pd.DataFrame, params: P) -> Goal:
        """Kind, target and headline metric, and what was inferred to get there."""

    def groups(self, features: pd.DataFrame, raw: pd.DataFrame, params: P) -> pd.Series | None:  # noqa: ARG002
        """Which feature rows belong together: no fold of a cross-validation parts them."""
        return None

    def times(self, features: pd.DataFrame, raw: pd.DataFrame, params: P) -> pd.Series | None:  # noqa: ARG002
        """When each feature row was, if what is learnt is to be scored on later rows.

        Numbers or dates. Folds of a cross-validation then learn from earlier rows only.
        """
        return None

    def weights(self, features: pd.DataFrame, raw: pd.DataFrame, params: P) -> pd.Series | None:  # noqa: ARG002
        """How much each feature row counts, in fitting, stopping and metrics; none is negative."""
        return None

    def kind(self, params: P) -> Kind | None:  # noqa: ARG002
        """What is predicted, where that is known, or is cheaply seen, before the table is read.

        What is asked for and is of the other kind is refused by it before a chain begins.
        """
        return None

    def schema(self, raw: pd.DataFrame, params: P) -> dict[str, Any]:  # noqa: ARG002
        """How the raw table's columns are read, where that is inferred from it: ready for JSON.

        It stays with the model, so that new rows are read as the training rows were.
        """
        return {}

    @abstractmethod
    def features(self, raw: pd.DataFrame, params: P, *, with_target: bool = True) -> pd.DataFrame:
        """Feature table: `ROW`, the columns a model sees and, if asked for, the target.

        Columns are numbers, booleans, datetimes or categoricals; nothing is fitted here,
        so nothing can leak from test to train.
        """

    def new_features(
        self,
        raw: pd.DataFrame,
        params: P,
        schema: dict[str, Any],  # noqa: ARG002
    ) -> pd.DataFrame:
        """Features of rows to be predicted, read by the `schema` of the training rows."""
        return self.features(raw, params, with_target=False)

    def needed(self, raw: pd.DataFrame, params: P, schema: dict[str, Any]) -> tuple[str, ...]:
        """Columns of rows without which `new_features` would be others, or could not be.

        What a person is asked for who makes a row up; by default each is left out in turn.
        """
        whole = self.new_features(raw, params, schema)
        return tuple(
            name for name in raw.columns if not self._is_idle(name, raw, params, schema, whole)
        )

    def _is_idle(
        self, name: str, raw: pd.DataFrame, params: P, schema: dict[str, Any], whole: pd.DataFrame
    ) -> bool:
        try:
            return self.new_features(raw.drop(columns=name), params, schema).equals(whole)
        except (InputError, KeyError, ValueError, TypeError, AttributeError):
            return False

    def unread(self, raw: pd.DataFrame, schema: dict[str, Any]) -> Iterable[Unread]:  # noqa: ARG002
        """Cells of new rows that cannot be read by the `schema` of the training rows."""
        return ()

    def for_new_rows(self, learnt: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """Parameters by which new rows are read: those of the training rows but for some."""
        return learnt | given

    def require_new(self, params: P, schema: dict[str, Any]) -> tuple[str, ...]:  # noqa: ARG002
        """See in their head that new rows can be read by the `schema` of the training rows.

        Returns
        -------
        tuple of str
            Columns that are left aside.

        Raises
        ------
        InputError
            If a column is missing.
        """
        return ()

    def unseen(self, params: P) -> pd.DataFrame:
        """Raw rows to be predicted; the target need not be among their columns."""
        return self.load(params)

    def unseen_tables(self, params: P) -> Iterator[pa.Table]:
        """Raw rows to be predicted, table by table, all of one schema.

        The decimal mark that their schema's metadata says stands in the ``attrs`` of the rows that
        are given to `new_features` and `unread`.
        """
        import pyarrow as pa

        yield pa.Table.from_pandas(self.unseen(params), preserve_index=False)

    def new_columns(self, given: dict[str, Any]) -> tuple[str, ...]:  # noqa: ARG002
        """Columns of the rows that parameters of a prediction name, if these alone say it."""
        return ()

    def unseen_fingerprint(self, params: P) -> str | None:
        """Digest of whatever outside the parameters decides the rows of `unseen`.

        None if only reading tells: then they are read for every answer.
        """
        return self.fingerprint(params)

    @abstractmethod
    def split(self, features: pd.DataFrame, raw: pd.DataFrame, params: P) -> pd.Series:
        """`Split` of every feature row, in the order and with the index of `features`.

        A row that may be on neither side has none. `ROW` says which row of `raw` it was made
        from, whose columns may decide.
        """


class SourcedProblem(Problem[P]):
    """A problem whose raw table is joined from tables of a network or a database.

    Each is read once, tried again when that fails, and kept as a result of its own.
    """

    @abstractmethod
    def sources(self, params: P) -> tuple[str, ...]:
        """Names of the tables."""

    @abstractmethod
    def read(self, params: P, source: str) -> pd.DataFrame:
        """One of the tables, as it came."""

    @abstractmethod
    def join(self, params: P, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        """Raw table from the tables of `sources`, by name."""

    def load(self, params: P) -> pd.DataFrame:
        """Raw table, its tables read here and now."""
        return self.join(params, {name: self.read(params, name) for name in self.sources(params)})
