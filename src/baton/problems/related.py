"""What problems on related tables share: where the tables are, and the keys between them.

How features are made of them belongs in ``baton.relational``.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from baton.errors import InputError
from baton.problems.base import Params, SourcedProblem
from baton.relational.database import Database, checked_url
from baton.relational.primitives import chosen
from baton.relational.reflection import Related, columns, links
from baton.relational.schema import Relationship
from baton.relational.store import Store, keys_of, store_of
from baton.tables.refusals import unknown_column
from baton.terms import names_in
from baton.words.text import did_you_mean, listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

KEYS = "_keys"
"""Name of the source that holds the keys between the tables."""


def _known_primitives(names: tuple[str, ...]) -> tuple[str, ...]:
    chosen(names)
    return names


def _places(values: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_is_place(value) for value in values):
        raise ValueError("table.column is wanted for each")
    return values


def _keys(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        sides = value.split("=")
        if len(sides) != 2 or not all(map(_is_place, sides)):
            raise ValueError("child.column=parent.column is wanted for each key")
    return values


def _is_place(text: str) -> bool:
    return [bool(part.strip()) for part in text.split(".")] == [True, True] and "=" not in text


Names = Annotated[tuple[str, ...], BeforeValidator(names_in)]
Optional = BeforeValidator(lambda value: None if value == "" else value)
Primitives = Annotated[
    Names, AfterValidator(_known_primitives), Field(description="primitives of features: a,b")
]


Url = Annotated[str, AfterValidator(checked_url), Field(validate_default=True, repr=False)]
"""Where the tables are, without a password."""


class RelatedParams(Params):
    """Parameters of a problem on related tables."""

    url: Annotated[
        Url,
        Field(
            description="SQLAlchemy URL without a password, path of a SQLite file, or folder of"
            " CSV and Parquet files"
        ),
    ]
    secret: Annotated[
        str | None,
        Optional,
        Field(
            description="Prefect Secret block with the password; by default BATON_DATABASE_PASSWORD"
        ),
    ] = None
    db_schema: Annotated[
        str | None, Optional, Field(description="schema of the tables, if not the default one")
    ] = None
    relations: Annotated[
        Names,
        AfterValidator(_keys),
        Field(description="keys that are not declared: child.column=parent.column,…"),
    ] = ()
    times: Annotated[
        Names,
        AfterValidator(_places),
        Field(description="column that dates a table's rows, if not the latest: table.column,…"),
    ] = ()
    hops: Annotated[
        int, Field(ge=0, le=5, description="most keys between the rows and a related table")
    ] = 2
    depth: Annotated[int, Field(ge=0, le=4, description="most primitives and keys stacked")] = 2
    max_features: Annotated[int, Field(ge=1, description="features at most, simplest first")] = 300

    @property
    def database(self) -> Store:
        """Where the tables are."""
        return store_of(self.url, self.secret, self.db_schema)

    @property
    def dates(self) -> dict[str, str]:
        """Column that dates a table's rows, by table."""
        return dict((part.strip() for part in place.split(".")) for place in self.times)  # type: ignore[misc]


P = TypeVar("P", bound=RelatedParams)


class RelatedProblem(SourcedProblem[P]):
    """A problem whose rows are those of one table among others."""

    hint: ClassVar[str] = "check its path"
    """What to do where there is no such database."""

    wanted: ClassVar[str] = "rows to learn"
    """What the table must hold."""

    @abstractmethod
    def table(self, params: P) -> tuple[str, str]:
        """Table whose rows are learnt, and the parameter that names it."""

    @abstractmethod
    def names(self, params: P) -> dict[str, str]:
        """Columns of that table by the parameter that names them."""

    @abstractmethod
    def around(self, keys: pd.DataFrame, params: P) -> Related:
        """Tables that tell something of the rows."""

    @abstractmethod
    def joined(
        self, params: P, tables: Mapping[str, pd.DataFrame], *, only_new: bool
    ) -> pd.DataFrame:
        """Rows with what the tables around them tell; all of them, or those without a target."""

    def join(self, params: P, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        """All rows, with what the tables around them tell."""
        return self.joined(params, tables, only_new=False)

    def unseen(self, params: P) -> pd.DataFrame:
        """Rows without a target, with what the tables around them tell."""
        tables = {name: self.read(params, name) for name in self.sources(params)}
        return self.joined(params, tables, only_new=True)

    def fingerprint(self, params: P) -> str | None:
        """SHA-256 of files; whether a server's tables changed, only reading tells."""
        store = params.database
        if isinstance(store, Database) and store.file is not None and not store.file.is_file():
            raise InputError(f"there is no database file {store.file}. {self.hint}")
        try:
            self.sources(params)
        except OSError as error:
            raise ConnectionError(f"{error}. {self.hint}") from None
        return store.fingerprint() if store.is_quiet else None

    def sources(self, params: P) -> tuple[str, ...]:
        """The keys, then the table of the rows and those around it."""
        keys = self.keys(params)
        self.require(keys, params)
        known = set(keys["table"])
        return (KEYS, *(t for t in self.around(keys, params).tables if t in known))

    def keys(self, params: P) -> pd.DataFrame:
        """Columns of every table, and the keys between them."""
        return keys_of(params.database, is_told=bool(params.relations))

    def read(self, params: P, source: str) -> pd.DataFrame:
        """One table as it stands."""
        rows = self.keys(params) if source == KEYS else params.database.read(source)
        if source == self.table(params)[0] and rows.empty:
            raise InputError(
                f"table {source!r} of {params.database} is empty; there must be {self.wanted}"
            )
        return rows

    def require(self, keys: pd.DataFrame, params: P) -> None:
        """Check the names that were given against what is there.

        Raises
        ------
        InputError
            If there is no such table or column.
        """
        table, parameter = self.table(params)
        require_table(keys, table, f"parameter {parameter}", str(params.database))
        for name, column in self.names(params).items():
            require_column(keys, table, column, name)
        sides = [side for pair in params.relations for side in pair.split("=")]
        for name, places in (("relations", sides), ("times", params.times)):
            for one, _, column in (place.strip().partition(".") for place in places):
                require_column(keys, one.strip(), column.strip(), name)


def require_table(keys: pd.DataFrame, table: str, parameter: str, where: str) -> None:
    """Refuse a table that is not there."""
    tables = list(keys["table"].unique())
    if table not in tables:
        meant = did_you_mean(table, tables)
        raise InputError(
            f"there is no table {table!r} ({parameter}) in {where}; {meant}it has:"
            f" {listed(tables, 20, last=', ') or 'none'}"
        )


def require_column(keys: pd.DataFrame, table: str, column: str, parameter: str) -> None:
    """Refuse a column that is not there."""
    known = columns(keys, table)
    if not known:
        tables = list(keys["table"].unique())
        raise InputError(
            f"parameter {parameter}: there is no table {table!r}; {did_you_mean(table, tables)}"
            f"there are: {listed(tables, 20, last=', ')}"
        )
    if column not in known:
        raise unknown_column(parameter, column, known, f"table {table}")


def every_link(keys: pd.DataFrame, params: RelatedParams) -> list[Relationship]:
    """Keys between tables that are there: declared or guessed, then those that were given."""
    found = links(keys)
    for pair in params.relations:
        child, parent = ([part.strip() for part in side.split(".")] for side in pair.split("="))
        found.append(Relationship(parent[0], parent[1], child[0], child[1]))
    known = set(keys["table"])  # a key may refer to a table that is not here
    return list(dict.fromkeys(link for link in found if link.parent in known))


def stated(raw: pd.DataFrame) -> Any:
    """What a raw table says of the tables it was made from, ready for JSON."""
    from baton.relational.account import NAME

    return {NAME: raw.attrs[NAME]} if NAME in raw.attrs else {}
