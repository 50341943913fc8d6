"""Databases: that of Prefect and that of MLflow, whole, reachable and migrated."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sqlalchemy import make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from baton import mlflow_internals
from baton.cli.checkup.finding import Finding, bad, doubtful, good, shown
from baton.errors import InputError
from baton.relational.database import Database
from baton.settings import Settings
from serving.databases import damage
from tasks.platform import prefect_internals
from tasks.platform.api import Access, Client

PREFECT, MLFLOW = "Prefect's database", "MLflow's store"

_REVISION = re.compile(r"^(down_)?revision\b[^=\n]*=\s*(.+)$", re.MULTILINE)
_NAME = re.compile(r"[\"']([0-9a-zA-Z_]+)[\"']")
_UPGRADE = "`mlflow db upgrade` with its address; keep a copy of it first"


def findings(settings: Settings) -> Iterator[Finding]:
    """What is to be said of the databases that this home or the settings name."""
    if not settings.prefect_api_url:
        place = settings.home / "prefect" / "prefect.db"
        mend = "the next `baton up` migrates it"
        yield of_file(PREFECT, place, prefect_internals.migrations(), mend)
    yield of_store(settings)


def of_store(settings: Settings) -> Finding:
    """MLflow's, wherever that is."""
    uri = settings.mlflow_tracking_uri
    migrations = mlflow_internals.migrations()
    if not uri:
        return of_file(MLFLOW, settings.mlflow / "mlflow.db", migrations, _UPGRADE)
    if uri.startswith(("http://", "https://")):
        return of_server(uri)
    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        return bad(MLFLOW, "BATON_MLFLOW_TRACKING_URI is no address", "set it to one, or unset it")
    if url.get_backend_name() == "sqlite":
        return of_file(MLFLOW, Path(url.database or ""), migrations, _UPGRADE)
    return of_database(uri, migrations)


def of_file(what: str, place: Path, migrations: Path | None, mend: str) -> Finding:
    """A SQLite file, which is looked at and never changed."""
    if not place.is_file():
        return good(what, f"{place} is not there yet: the first `baton run` makes it")
    if reason := damage(place):
        return bad(
            what, f"{place} is damaged ({reason})", "the next Baton puts it aside, and says so"
        )
    try:
        with closing(sqlite3.connect(f"{place.as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("select version_num from alembic_version").fetchall()
    except sqlite3.Error as error:
        return bad(what, f"{place} cannot be read ({error})", "see who else has it open")
    return of_revision(what, f"SQLite, {place}", {str(one) for (one,) in found}, migrations, mend)


def of_database(uri: str, migrations: Path | None) -> Finding:
    """MLflow's on a database server."""
    url, place = make_url(uri), shown(uri)
    try:
        with Database(url.render_as_string()).connect(password=url.password or "") as connection:
            rows = connection.execute(text("select version_num from alembic_version")).fetchall()
    except (InputError, OSError, SQLAlchemyError) as error:
        said = " ".join(str(error).split())[:200]
        hidden = said.replace(url.password, "***") if url.password else said
        return bad(MLFLOW, f"{place}: {hidden}", "see BATON_MLFLOW_TRACKING_URI")
    return of_revision(MLFLOW, place, {str(one[0]) for one in rows}, migrations, _UPGRADE)


def of_server(uri: str) -> Finding:
    """MLflow's tracking server."""
    with Client(Access(uri)) as client:  # of MLflow it is asked what every server answers
        if client.is_healthy():
            return good(MLFLOW, f"{shown(uri)} answers")
    return bad(
        MLFLOW, f"{shown(uri)} does not answer", "start it, or see BATON_MLFLOW_TRACKING_URI"
    )


def of_revision(
    what: str, place: str, found: set[str], migrations: Path | None, mend: str
) -> Finding:
    """A database by the revisions that it says of itself."""
    if migrations is None:
        return good(what, f"{place}; revision {', '.join(sorted(found))}")
    known, heads = revisions(migrations)
    if found <= heads and found:
        return good(what, f"{place}; migrated")
    if found - known:
        fix = "install the version that made it, or a later one"
        return bad(what, f"{place}; it is of a later version than is installed", fix)
    return doubtful(what, f"{place}; it is not migrated to the installed version", mend)


def revisions(folder: Path) -> tuple[set[str], set[str]]:
    """Every revision that a folder of migrations has, and the last ones."""
    known: set[str] = set()
    before: set[str] = set()
    for path in folder.glob("*.py"):
        for is_before, names in _REVISION.findall(path.read_text("utf-8")):
            (before if is_before else known).update(_NAME.findall(names))
    return known, known - before
