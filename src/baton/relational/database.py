"""Tables of a database and the keys that it declares, by any SQLAlchemy URL.

What cannot be mended by trying again is an InputError, what may pass an OSError; no message
holds a password. What the tables mean belongs in a problem.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baton.distribution import with_extra
from baton.errors import InputError
from baton.relational.reflection import KEY_COLUMNS
from baton.sources import local, secrets
from baton.words.text import quoted

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import URL, Connection, Engine

MEMORY = {None, "", ":memory:"}

_EXTRAS = {"postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}
_DRIVERS = {"postgresql": "psycopg2", "mysql": "pymysql", "mariadb": "pymysql"}
"""Drivers of Baton's extras; SQLAlchemy's own choice differs from version to version."""

_CONNECT_SECONDS = 20
_TIMEOUTS = {"psycopg2": "connect_timeout", "pymysql": "connect_timeout"}
_FINAL = re.compile(
    r"password|authentication|access denied|denied|unknown database|does not exist|no such"
    r"|not a database|malformed|readonly|role|permission",
    re.IGNORECASE,
)
"""Words of a driver for what trying again does not mend."""

_READS = re.compile(r"(\s|--[^\n]*\n|/\*.*?\*/)*\(?\s*(select|with|values|table)\b", re.I | re.S)
"""How a query begins that reads."""

_HIDDEN = re.compile(r"pass|pwd|secret|token", re.IGNORECASE)
_ASSIGNED = re.compile(r"(?:pwd|password)\s*=", re.IGNORECASE)


def checked_url(value: str) -> str:
    """URL without a password, the path of a SQLite file or of a folder absolute.

    Parameters
    ----------
    value : str
        SQLAlchemy URL, or the path of a SQLite file or of a folder of table files.

    Raises
    ------
    ValueError
        If it is neither, or holds a password, which would be stored with the run.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    if is_folder(value):
        return str(local.absolute(value))
    if "://" not in value and value.lower().endswith((".csv", ".tsv", ".parquet")):
        raise ValueError("one file is one table: give the folder in which the tables' files are")
    try:
        url = make_url(value if "://" in value else f"sqlite:///{value}")
    except (ArgumentError, ValueError):
        raise ValueError(
            "no SQLAlchemy URL, such as sqlite:///shop.sqlite or postgresql://user@host/shop"
        ) from None
    if url.password is not None or _is_login(value) or _hides_password(url):
        raise ValueError(
            "it holds a password, which would be stored with the run: put it into the setting"
            " BATON_DATABASE_PASSWORD, or into a Prefect Secret block named by -p secret=NAME"
        )
    return _rooted(url).render_as_string()


def is_folder(value: str) -> bool:
    """Tell whether a text names a folder, and no database."""
    if "://" in value or "\0" in value:
        return False
    return value.endswith("/") or local.absolute(value).is_dir()


def _is_login(value: str) -> bool:
    """Tell whether a text without a scheme is no path but user:password@host."""
    return "://" not in value and re.match(r"[^/\\]+:[^/\\]*@", value) is not None


def _hides_password(url: URL) -> bool:
    """Tell whether the query of a URL holds a password, by name or inside a value."""
    values = map(str, url.query.values())
    return any(map(_HIDDEN.search, url.query)) or any(map(_ASSIGNED.search, values))


def _rooted(url: URL) -> URL:
    """URL of a SQLite file that a process with another working directory reads, too."""
    if url.get_backend_name() != "sqlite":
        return url
    if url.database in MEMORY:
        raise ValueError("a database in memory is gone with its process: give a file")
    if str(url.database).startswith("file:"):
        raise ValueError("give the path of the SQLite file itself: sqlite:///shop.sqlite")
    return url.set(database=str(local.absolute(str(url.database))))


@dataclass(frozen=True)
class Database:
    """A database that is read."""

    url: str
    secret: str | None = None
    schema: str | None = None

    def __str__(self) -> str:
        return self.url

    @property
    def is_quiet(self) -> bool:
        """Whether a digest tells if its tables changed; of a server only reading tells."""
        return self.file is not None

    @property
    def stamp(self) -> str | None:
        """What changes when the file does: its size and time; None for a server."""
        if self.file is None:
            return None
        files = [one for one in (self.file, self._log) if one and one.is_file()]
        return str([(one.stat().st_size, one.stat().st_mtime_ns) for one in files])

    @property
    def _log(self) -> Path | None:
        """What is not yet in a SQLite file."""
        return self.file.with_name(self.file.name + "-wal") if self.file else None

    def fingerprint(self) -> str:
        """SHA-256 of the content of a SQLite file.

        Raises
        ------
        InputError
            If it is not there, or may not be read.
        """
        assert self.file is not None and self._log is not None
        try:
            with self.file.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256")
            digest.update(self._log.read_bytes() if self._log.is_file() else b"")
            return digest.hexdigest()
        except PermissionError:
            raise InputError(f"{self.file} may not be read; change its permissions") from None
        except FileNotFoundError:
            raise InputError(f"there is no database file {self.file}; check the path") from None

    @property
    def file(self) -> Path | None:
        """File of a SQLite database; None for a server."""
        from sqlalchemy.engine import make_url

        url = make_url(self.url)
        return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None

    @contextmanager
    def connect(self, password: str | None = None) -> Iterator[Connection]:
        """Open a connection.

        Parameters
        ----------
        password : str, optional
            That of the secret, or of the settings, if not given.

        Raises
        ------
        InputError
            If the database refuses, or its driver is not installed.
        ConnectionError
            If it cannot be reached.
        """
        from sqlalchemy.exc import SQLAlchemyError

        if password is None:
            password = "" if self.file else secrets.reveal(self.secret).get_secret_value()
        try:
            engine = self._engine(password)
            with engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self._translated(error, password) from None
        except ModuleNotFoundError as error:
            raise self._no_driver(error.name or "") from None

    def address(self, password: str) -> URL:
        """URL with the driver of Baton's extras, and the password: not to be shown."""
        from sqlalchemy.engine import make_url

        url = make_url(self.url)
        if self.file:
            # Opened to be read: a file that is not there must not come to be.
            address = f"file:{_escaped(str(self.file))}"
            url = url.set(database=address, query={"mode": "ro", "uri": "true"})
        elif url.drivername in _DRIVERS:
            url = url.set(drivername=f"{url.drivername}+{_DRIVERS[url.drivername]}")
        return url.set(password=password) if password else url

    def _engine(self, password: str) -> Engine:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        url = self.address(password)
        timeout = _TIMEOUTS.get(url.get_driver_name())
        options = {timeout: _CONNECT_SECONDS} if timeout else {}
        return create_engine(url, connect_args=options, poolclass=NullPool, hide_parameters=True)

    def _translated(self, error: Exception, password: str) -> Exception:
        """Error in one line, without the password."""
        from sqlalchemy.exc import InterfaceError, NoSuchModuleError, OperationalError

        if isinstance(error, NoSuchModuleError):
            return self._no_driver(self.url.split(":", 1)[0])
        said = " ".join(str(getattr(error, "orig", None) or error).split())[:300]
        if password:
            said = said.replace(password, "***")
        where = f"database {self.url}"
        if self.file and "locked" not in said:
            return InputError(f"{where} cannot be read: {said}; check that it is a SQLite file")
        if isinstance(error, OperationalError | InterfaceError) and not _FINAL.search(said):
            return ConnectionError(f"{where} cannot be reached: {said}; check host and network")
        fix = "check its name, the user and the password (BATON_DATABASE_PASSWORD or secret)"
        return InputError(f"{where} cannot be read: {said}; {fix}")

    def _no_driver(self, name: str) -> InputError:
        backend = re.split(r"[+:]", self.url, maxsplit=1)[0]
        extra = _EXTRAS.get(backend)
        fix = with_extra(extra) if extra else "install it"
        return InputError(f"the driver {name!r} of {backend} databases is not installed: {fix}")

    def keys(self) -> pd.DataFrame:
        """Columns of every table, and the keys that the database declares.

        Returns
        -------
        DataFrame of shape (n, 5)
            Columns of `KEY_COLUMNS`: one row for each column of a table, more where it refers
            to several tables; `parent` and `parent_column` are missing where it refers to none,
            and `constraint` numbers a table's foreign keys.
        """
        import pandas as pd
        from sqlalchemy import inspect

        with self.connect() as connection:
            inspector = inspect(connection)
            columns = inspector.get_multi_columns(schema=self.schema)
            primary = inspector.get_multi_pk_constraint(schema=self.schema)
            foreign = inspector.get_multi_foreign_keys(schema=self.schema)
        rows: list[tuple[Any, ...]] = []
        for table, found in columns.items():
            key: Any = primary.get(table) or {}
            own = set(key.get("constrained_columns") or ())
            rows += _key_rows(table[1], found, own, foreign.get(table) or [])
        return pd.DataFrame(rows, columns=list(KEY_COLUMNS)).astype(
            {"constraint": "int64", "is_primary": bool}
        )

    def read(self, table: str) -> pd.DataFrame:
        """All rows of a table in the order of its primary key, its binary columns left out.

        Raises
        ------
        InputError
            If there is no such table, or a value is not of its column's type.
        """
        return self._read(table, None)

    def column(self, table: str, name: str) -> pd.Series:
        """Values of one column."""
        found: pd.Series = self._read(table, name)[name]
        return found

    def _ill_typed(self, table: str, error: Exception) -> InputError:
        return InputError(
            f"table {table!r} of {self.url} holds a value that is not of its column's"
            f" type ({error}); mend it, or make the column's type text"
        )

    def _read(self, table: str, only: str | None) -> pd.DataFrame:
        import pandas as pd
        from sqlalchemy import LargeBinary, MetaData, Table, select
        from sqlalchemy.exc import NoSuchTableError

        with self.connect() as connection:
            try:
                found = Table(
                    table,
                    MetaData(),
                    schema=self.schema,
                    autoload_with=connection,
                    resolve_fks=False,
                )
            except NoSuchTableError:
                raise InputError(f"database {self.url} has no table {table!r}") from None
            plain = (c for c in found.columns if not isinstance(c.type, LargeBinary))
            wanted = [c for c in plain if only is None or c.name == only]
            try:
                wish = select(*wanted).order_by(*found.primary_key.columns)
                rows = pd.read_sql_query(wish, connection)
            except (ValueError, TypeError) as error:  # SQLite holds what a column's type forbids
                raise self._ill_typed(table, error) from None
        return rows.apply(_plain)

    def columns_of(self, sql: str) -> tuple[str, ...]:
        """Names of the columns that a query gives, once each.

        Raises
        ------
        InputError
            If the query is refused, or gives a name twice.
        """
        with self._asked(sql) as result:
            names = tuple(map(str, result.keys()))
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"the query gives {quoted(twice)} more than once; name them by AS")
        return names

    def query(self, sql: str) -> pd.DataFrame:
        """All rows of a query, in the order in which the database gives them.

        Raises
        ------
        InputError
            If the query is refused, gives a name twice, or gives no rows.
        """
        import pandas as pd

        names = list(self.columns_of(sql))
        with self._asked(sql) as result:
            rows = pd.DataFrame.from_records(
                [tuple(row) for row in result], columns=names, coerce_float=True
            )
        if rows.empty:
            raise InputError(f"the query of {self.url} gives no rows; add rows or ask for others")
        return rows.apply(_plain)

    @contextmanager
    def _asked(self, sql: str) -> Iterator[Any]:
        """Result of a query; nothing that it might change is kept."""
        if not _READS.match(sql):
            raise InputError("sql is to read: begin it with SELECT or WITH")
        with self.connect() as connection:
            options = {"no_parameters": True, "stream_results": True}
            result = connection.execution_options(**options).exec_driver_sql(sql)
            try:
                yield result
            finally:
                result.close()
                connection.rollback()


def _key_rows(
    table: str, columns: list[Any], primary: set[str], foreign: list[Any]
) -> Iterator[tuple[Any, ...]]:
    """Rows of `Database.keys` for one table."""
    for column in (column["name"] for column in columns):
        targets = [
            (place, key["referred_table"], parent_column)
            for place, key in enumerate(foreign)
            if len(key["constrained_columns"]) == len(key["referred_columns"])
            for own, parent_column in zip(
                key["constrained_columns"], key["referred_columns"], strict=True
            )
            if own == column
        ]
        for constraint, parent, parent_column in targets or [(-1, None, None)]:
            yield table, column, column in primary, constraint, parent, parent_column


def _plain(values: pd.Series) -> pd.Series:
    """Values that Parquet takes: bits as numbers, what else a driver makes as text."""
    known = values.dropna()
    if values.dtype != object or known.map(lambda value: isinstance(value, str)).all():
        return values
    if known.map(lambda value: isinstance(value, bytes) and len(value) == 1).all():
        return values.map(lambda value: value if value is None else value[0]).astype("Int64")
    if known.map(lambda value: isinstance(value, bool)).all():
        return values.astype("boolean")
    if known.map(lambda value: hasattr(value, "year")).all():
        return _dates(values)
    return values.map(str, na_action="ignore")


def _dates(values: pd.Series) -> pd.Series:
    """Dates and times, those with an offset in UTC: each may have another one."""
    import pandas as pd

    times = pd.to_datetime(values, errors="coerce", utc=True)
    return times.dt.tz_localize(None)


def _escaped(path: str) -> str:
    from urllib.parse import quote

    return quote(path)
