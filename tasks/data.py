"""Making a problem's tables: raw as it came, features as a model sees them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa
from prefect import task

from baton import choice, problems
from baton.chain.events import DatasetReady, TableRef
from baton.errors import InputError
from baton.fingerprint import fingerprint
from baton.lineage import digest_of, folder, lineage_of, with_lineage
from baton.problems import Goal, Params, Problem
from baton.problems.piecewise import hidden
from baton.terms import IN_PARTS, Options, Quality, Split
from tasks.platform import results
from tasks.platform.plan import Plan
from tasks.platform.results import result_task

log = logging.getLogger(__name__)

_SOURCE = "source_"
"""Of the tables that the raw table is joined from."""


@dataclass(frozen=True)
class DatasetPlan(Plan):
    """Which tables are to be made, of which source."""

    problem: Problem[Any]
    params: Params
    options: Options
    chain: str
    source: str
    """Digest of what the raw table is made from."""
    read: Mapping[str, pa.Table] = field(default_factory=dict, repr=False)
    """Tables that had to be read to know it."""

    @property
    def is_fresh(self) -> bool:
        """Whether all is made anew, whatever stands there."""
        return self.options.fresh

    @property
    def code(self) -> str:
        """Fingerprint of what makes the tables."""
        return fingerprint(__name__, *problems.code_of(self.problem))

    @property
    def folder(self) -> str:
        """Folder of the tables."""
        return folder(
            self.problem.name,
            parameters=self.params.model_dump(mode="json"),
            source=self.source,
            code=self.code,
        )

    def key(self, table: str) -> str:
        """Place of a table; the name of a source, which may be any text, as words and a digest."""
        source = table.removeprefix(_SOURCE)
        if source != table:
            words = re.sub(r"[^a-z0-9]+", "_", source.lower()).strip("_")[:40]
            table = f"{_SOURCE}{words}_{digest_of(source)[:8]}"
        return super().key(table)

    @cached_property
    def pieces(self) -> Iterator[Any] | None:
        """Raw table piece by piece, where the problem offers that; to be gone through once."""
        found: Iterator[Any] | None = self.problem.pieces(self.params)
        return found

    @property
    def is_done(self) -> bool:
        """Whether both tables are there, and may be taken."""
        return not self.is_fresh and self.has("raw", "features")

    @property
    def lineage(self) -> dict[str, Any]:
        """What the tables are made from."""
        return {
            "problem": self.problem.name,
            "parameters": self.params.model_dump(mode="json"),
            "source": self.source,
            "code": self.code,
        }


def plan_dataset(
    problem: str,
    parameters: dict[str, Any] | None,
    options: Options | None,
    chain: str,
    *,
    is_newer: bool = False,
) -> DatasetPlan:
    """Check the parameters and the source, and settle where the tables will stand.

    Where newer rows are asked for, what is kept of the source, such as a download, is forgotten.

    Raises
    ------
    InputError
        If the problem or a parameter is unknown or ill-typed, or the source cannot be read.
    """
    found, asked = problems.get(problem), options or Options()
    params = problems.parse(found, parameters or {})
    source = look_at_source(found, params, is_fresh=asked.fresh or is_newer)
    if source is not None:
        return DatasetPlan(found, params, asked, chain, source)
    tables = read_first(found, params)
    if not tables:
        asked = asked.model_copy(update={"fresh": True})
    return DatasetPlan(found, params, asked, chain, _digest_of(tables), tables)


@task(name="look at the source", persist_result=False, **results.retried())
def look_at_source(problem: Problem[Any], params: Params, *, is_fresh: bool) -> str | None:
    """Digest of what the raw table is made from; None if only reading tells."""
    if is_fresh:
        problem.forget(params)
    return problem.fingerprint(params)


@task(name="read the source", persist_result=False, **results.retried())
def read_first(problem: Problem[Any], params: Params) -> dict[str, pa.Table]:
    """Read the tables of a source of which only reading tells whether it changed."""
    return {name: _table(problem.read(params, name)) for name in problem.sources(params)}


def _table(frame: Any) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def _digest_of(tables: Mapping[str, pa.Table]) -> str:
    return digest_of({name: results.digest_of_table(table) for name, table in tables.items()})


@task(name="list sources", persist_result=False, **results.retried())
def list_sources(plan: DatasetPlan) -> tuple[str, ...]:
    """Names of the tables that the raw table is joined from; none for most problems."""
    return tuple(plan.read) or plan.problem.sources(plan.params)


@result_task(_SOURCE + "{source}", name="read {source}", is_outside=True)
def read_source(plan: DatasetPlan, source: str) -> pa.Table:
    """Read one of the tables that the raw table is joined from."""
    found = plan.read.get(source)
    if found is None:
        found = _table(plan.problem.read(plan.params, source))
    log.info("%s: %d rows, %d columns", source, *found.shape)
    return with_lineage(found, plan.lineage)


def read_sources(plan: DatasetPlan) -> dict[str, pa.Table]:
    """Tables that the raw table is joined from."""
    read = read_source.with_options(refresh_cache=plan.is_fresh)
    return {name: read(plan, name) for name in list_sources(plan)}


def make_in_whole(plan: DatasetPlan) -> None:
    """Make the raw table and the features of it, each if it is not there."""
    load = load_raw.with_options(refresh_cache=plan.is_fresh)
    make = make_features.with_options(refresh_cache=plan.is_fresh)
    make(plan, load(plan, read_sources(plan)))


@result_task("raw", name="load raw table")
def load_raw(plan: DatasetPlan, sources: dict[str, pa.Table]) -> pa.Table:
    """Load the problem's raw table and check it against the problem's contract."""
    raw = plan.problem.join(plan.params, {n: table.to_pandas() for n, table in sources.items()})
    goal = plan.problem.goal(raw, plan.params)
    check_contract(plan, raw)
    log.info("%s: %d rows, %d columns", plan.problem.name, *raw.shape)
    table = pa.Table.from_pandas(raw, preserve_index=False)
    return with_lineage(table, plan.lineage | {"goal": stated(goal)})


def check_contract(plan: DatasetPlan, raw: Any) -> None:
    """Check a raw table against its problem's contract.

    Raises
    ------
    InputError
        If it breaks the contract, with the first breach.
    """
    require_contract(plan.problem.name, plan.problem.contract(plan.params), raw)


def require_contract(problem: str, contract: Any, raw: Any) -> None:
    """Check a raw table, or a piece of one, against a contract.

    Raises
    ------
    InputError
        If it breaks the contract, with the first breach.
    """
    from pandera.errors import SchemaError

    try:
        contract.validate(raw)
    except SchemaError as error:
        breach = " ".join(str(error).split())[:300]
        raise InputError(f"{problem}: the table breaks its contract: {breach}") from None


@result_task("features", name="make features")
def make_features(plan: DatasetPlan, raw: pa.Table) -> pa.Table:
    """Transform the raw table to features and split it."""
    frame, problem = raw.to_pandas(), plan.problem
    goal = problem.goal(frame, plan.params)
    features = problem.features(frame, plan.params)
    split = problem.split(features, frame, plan.params)
    counts = split.value_counts()
    for note in goal.notes:
        log.info("%s", note)
    log.info("%d rows to train on, %d held out", counts[Split.TRAIN], counts[Split.TEST])
    if n_neither := int(split.isna().sum()):
        log.info("%d rows left out: of groups that are on the other side of time", n_neither)
    sides = [features.loc[split == side, goal.target] for side in (Split.TRAIN, Split.TEST)]
    facts = {
        "goal": stated(goal),
        "choice": choice.facts_of(goal.kind, *sides),
        "n_train": int(counts[Split.TRAIN]),
        "n_test": int(counts[Split.TEST]),
        "raw": plan.table("raw").digest,
        "schema": problem.schema(frame, plan.params),
    }
    whole = features.assign(**hidden(problem, plan.params, features, frame, split))
    return with_lineage(pa.Table.from_pandas(whole, preserve_index=False), plan.lineage | facts)


def stated(goal: Goal) -> dict[str, Any]:
    """Goal as a table's lineage says it."""
    settled = {"kind": goal.kind.value, "model": goal.model or Quality.GOOD.family}
    return asdict(goal) | settled | {"notes": list(goal.notes)}


def dataset_ready(plan: DatasetPlan) -> DatasetReady:
    """Announcement of a plan's tables, once they can be read back."""
    features = plan.table("features")
    facts = lineage_of(results.schema(features))
    goal = facts["goal"]
    return DatasetReady(
        chain=plan.chain,
        problem=plan.problem.name,
        raw=plan.table("raw"),
        features=features,
        kind=goal["kind"],
        target=goal["target"],
        **choice.settled(facts, plan.options),
        n_train=facts["n_train"],
        n_test=facts["n_test"],
        seed=getattr(plan.params, "seed", 0),
        name=plan.problem.model_name(plan.params),
        source=plan.problem.source_name(plan.params)[:1024],
        options=with_model(plan.options, *_model_of(goal, features)),
    )


def _model_of(goal: dict[str, Any], features: TableRef) -> tuple[str, dict[str, Any]]:
    """The problem's own model; of a table beyond memory the one that can learn from all rows."""
    if results.is_beyond_memory(features) and goal["model"] != IN_PARTS:
        return IN_PARTS, {}
    return goal["model"], goal["model_params"]


def with_model(options: Options, model: str, model_params: dict[str, Any]) -> Options:
    """Options of what comes next: the user's model or quality, or else the problem's own model."""
    name = options.model or (options.quality.family if options.quality else model)
    own = model_params if name == model else {}
    settled = {"model": name, "model_params": own | options.model_params, "fresh": False}
    return options.model_copy(update=settled)
