"""What is common to programs that begin chains and wait for them: burst and soak.

Their options, a home on SQLite or PostgreSQL, what became of the chains and how it is said. The
`baton up` in it, and how one sees what became of a chain, belong in ``standing.py``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import sqlalchemy as sa
from standing import Ended, Json, Memory, Standing, all_runs, chain_of, is_of, judged

POSTGRESQL = os.environ.get("BATON_TEST_POSTGRESQL", "postgresql://root@127.0.0.1:5432/postgres")
REDIS = os.environ.get("BATON_TEST_REDIS", "redis://127.0.0.1:6379/5")
DATABASES = ("sqlite", "postgresql")
_TWICE = "select count(*) - count(distinct value) from model_version_tags where key = 'baton.key'"


def parser_of(text: str) -> argparse.ArgumentParser:
    """Parser of what all of these programs take."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1, help="of the chains' tables")
    parser.add_argument(
        "--database",
        choices=DATABASES,
        default="sqlite",
        help="where Prefect, MLflow and Optuna keep what they know; with postgresql, events go"
        " through Redis (BATON_TEST_POSTGRESQL and BATON_TEST_REDIS say where, databases of its"
        " own are made and dropped)",
    )
    parser.add_argument("--rows", type=int, default=2000, help="of each chain's table")
    parser.add_argument("--folder", help="where the temporary home is made")
    parser.add_argument("--keep", help="folder to copy the home to in the end, to look at it")
    return parser


@contextmanager
def standing_in(
    options: argparse.Namespace, *up: str, **more: str
) -> Iterator[tuple[Standing, Memory]]:
    """A `baton up` with these options in a temporary home, and a watch of its memory."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was made is taken away then too
    with (
        tempfile.TemporaryDirectory(prefix="baton-", dir=options.folder) as home,
        databases(options.database) as extra,
    ):
        standing = Standing(Path(home), extra | more, up)
        watch = Memory(standing)
        try:
            standing.keep()
            watch.start()
            yield standing, watch
        finally:
            watch.is_over.set()
            standing.end()
            if options.keep:
                shutil.copytree(home, options.keep, dirs_exist_ok=True)


@contextmanager
def databases(kind: str) -> Iterator[dict[str, str]]:
    """Environment of a Baton on databases of its own, which are dropped afterwards."""
    if kind == "sqlite":
        yield {}
        return
    server = sa.make_url(POSTGRESQL)
    name = f"baton_bench_{os.getpid()}"
    names = {role: f"{name}_{role}" for role in ("prefect", "mlflow", "optuna")}
    try:
        for one in names.values():
            _execute(server, f'create database "{one}"')
        prefect, mlflow, optuna = (server.set(database=one) for one in names.values())
        _execute(prefect, "create extension if not exists pg_trgm")
        asked = {
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": prefect.set(drivername="postgresql+asyncpg"),
            "BATON_MLFLOW_TRACKING_URI": mlflow.set(drivername="postgresql+psycopg2"),
            "BATON_STUDY_STORAGE": optuna.set(drivername="postgresql+psycopg2"),
        }
        told = {k: v.render_as_string(hide_password=False) for k, v in asked.items()}
        yield told | _broker(name)
    finally:
        for one in names.values():
            _execute(server, f'drop database if exists "{one}" with (force)')


def _broker(name: str) -> dict[str, str]:
    """Environment of a server whose events go through Redis, where its adapter is installed."""
    if find_spec("prefect_redis") is None:
        return {}
    redis = sa.make_url(REDIS)
    return {
        "PREFECT_SERVER_EVENTS_MESSAGING_BROKER": "prefect_redis.messaging",
        "PREFECT_SERVER_EVENTS_MESSAGING_CACHE": "prefect_redis.messaging",
        "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
        "PREFECT_SERVER_DOCKET_NAME": name,
        "PREFECT_SERVER_DOCKET_URL": REDIS,
        "PREFECT_REDIS_MESSAGING_HOST": redis.host or "127.0.0.1",
        "PREFECT_REDIS_MESSAGING_PORT": str(redis.port or 6379),
        "PREFECT_REDIS_MESSAGING_DB": redis.database or "0",
    }


def databases_of(standing: Standing) -> dict[str, str]:
    """Addresses of the databases of a standing Baton, as one asks them from outside."""
    inside = {
        "prefect": standing.home / "prefect" / "prefect.db",
        "mlflow": standing.home / "mlflow" / "mlflow.db",
    }
    asked = {
        "prefect": standing.extra.get("PREFECT_SERVER_DATABASE_CONNECTION_URL", ""),
        "mlflow": standing.extra.get("BATON_MLFLOW_TRACKING_URI", ""),
    }
    return {
        name: asked[name].replace("+asyncpg", "+psycopg2") or f"sqlite:///{place}"
        for name, place in inside.items()
    }


def _execute(address: sa.URL, statement: str) -> None:
    engine = sa.create_engine(address.set(drivername="postgresql+psycopg2"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


# --- what became of chains ------------------------------------------------------------------------


@dataclass
class Waited(Ended):
    """What became of chains that were waited for, and how long each took."""

    seconds: dict[str, float] = field(default_factory=dict)
    """From when each was asked for to the end of its last run."""

    def look(self, standing: Standing, begun: list[str]) -> None:
        """See how far chains are that these runs began."""
        runs = standing.ask(lambda client: list(all_runs(client)))
        for run_id in begun:
            chain = chain_of(run_id)
            mine = [run for run in runs if run["id"] == run_id or is_of(run, chain)]
            self.chains[chain], self.reasons[chain] = judged(mine)
            self.seconds[chain] = lasted(mine)

    def wait(self, standing: Standing, begun: list[str], patience: float) -> None:
        """Wait until all of them have ended, or none of them has for so many seconds."""
        n_going, since = len(begun) + 1, time.monotonic()
        while True:
            standing.keep()
            self.look(standing, begun)
            if self.stuck < n_going:
                n_going, since = self.stuck, time.monotonic()
            if not n_going or time.monotonic() - since > patience:
                return
            time.sleep(2.0)

    def tell(self, standing: Standing, watch: Memory, minutes: float) -> None:
        """Print it."""
        print(f"chains            {len(self.chains)}, completed {self.count('completed')}")
        print(f"lost              {self.lost + self.count('given up')}")
        print(f"twice             {self.doubled}")
        print(f"stuck             {self.stuck}")
        print(f"chains per minute {self.count('completed') / minutes:.1f}")
        print(f"longest chain     {max(self.seconds.values(), default=0.0):.1f} s")
        print(f"peak memory       {watch.peak_kib / 1024:.0f} MiB")
        print(f"database locked   {standing.n_locked}")
        for chain, reason in self.reasons.items():
            if reason:
                print(f"  chain {chain} {self.chains[chain]}: {reason}")

    @property
    def is_whole(self) -> bool:
        """Tell whether every chain completed, and once."""
        return self.count("completed") == len(self.chains) and not self.doubled


def lasted(runs: list[Json]) -> float:
    """Seconds from the first run of a chain to the end of its last one; 0.0 while there is none."""
    ends = [datetime.fromisoformat(run["end_time"]) for run in runs if run["end_time"]]
    begins = [datetime.fromisoformat(run["created"]) for run in runs]
    return (max(ends) - min(begins)).total_seconds() if ends else 0.0


def made_twice(standing: Standing) -> int:
    """Model versions that there are too many of: more than one with the same key."""
    engine = sa.create_engine(databases_of(standing)["mlflow"])
    with engine.connect() as database:
        n_twice = database.scalar(sa.text(_TWICE))
    engine.dispose()
    return int(n_twice or 0)
