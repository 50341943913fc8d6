"""Making a problem's tables: raw as it came, features as a model sees them."""

from __future__ import annotations

import inspect
import logging
import re
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from prefect import task

from baton import problems
from baton.chain.events import DatasetReady
from baton.errors import InputError
from baton.lineage import code_version, digest_of, folder, lineage_of, with_lineage
from baton.problems import Goal, Params, Problem, SourcedProblem
from baton.terms import GROUP, ROW, SPLIT, Options, Split
from tasks.platform import results
from tasks.platform.results import result_task

log = logging.getLogger(__name__)

_EXAMPLE_ROWS = 5


@dataclass(frozen=True)
class Plan:
    """What is to be made and where it will stand."""

    problem: Problem[Any]
    params: Params
    chain: str
    fingerprint: str
    code: str

    @property
    def folder(self) -> str:
        """Folder of the results, decided by everything that decides their content."""
        return folder(
            self.problem.name,
            parameters=self.params.model_dump(mode="json"),
            source=self.fingerprint,
            code=self.code,
        )

    @property
    def raw_key(self) -> str:
        """Place of the raw table."""
        return f"{self.folder}/raw.parquet"

    @property
    def features_key(self) -> str:
        """Place of the feature table."""
        return f"{self.folder}/features.parquet"

    def source_key(self, name: str) -> str:
        """Place of one of the tables that the raw table is joined from."""
        words = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40]
        return f"{self.folder}/source_{words}_{digest_of(name)[:8]}.parquet"

    @property
    def lineage(self) -> dict[str, Any]:
        """What the tables are made from."""
        return {
            "chain": self.chain,
            "problem": self.problem.name,
            "parameters": self.params.model_dump(mode="json"),
            "source": self.fingerprint,
            "code": self.code,
        }


def plan_dataset(problem: str, parameters: dict[str, Any], chain: str) -> Plan:
    """Check the parameters and the source, and settle where the tables will stand.

    Raises
    ------
    InputError
        If the problem or a parameter is unknown or ill-typed, or the source cannot be read.
    """
    found = problems.get(problem)
    params = problems.parse(found, parameters)
    code = code_version(inspect.getfile(type(found)))
    return Plan(found, params, chain, fingerprint(found, params), code)


@task(name="look at the source", persist_result=False, **results.again())
def fingerprint(problem: Problem[Any], params: Params) -> str:
    """Digest of what the raw table is made from."""
    return problem.fingerprint(params)


@result_task(name="read {source}", outside=True)
def read_source(plan: Plan, source: str, key: str) -> pa.Table:  # noqa: ARG001
    """Read one of the tables that the raw table is joined from."""
    assert isinstance(plan.problem, SourcedProblem)
    found = plan.problem.read(plan.params, source)
    log.info("%s: %d rows, %d columns", source, *found.shape)
    return with_lineage(pa.Table.from_pandas(found, preserve_index=False), plan.lineage)


@task(name="list sources", persist_result=False, **results.again())
def list_sources(plan: Plan) -> tuple[str, ...]:
    """Names of the tables that the raw table is joined from; none for most problems."""
    problem = plan.problem
    return problem.sources(plan.params) if isinstance(problem, SourcedProblem) else ()


def read_sources(plan: Plan) -> dict[str, pa.Table]:
    """Tables that the raw table is joined from."""
    names = list_sources(plan)
    return {name: read_source(plan, name, key=plan.source_key(name)) for name in names}


@result_task(name="load raw table")
def load_raw(plan: Plan, sources: dict[str, pa.Table], key: str) -> pa.Table:  # noqa: ARG001
    """Load the problem's raw table and check it against the problem's contract."""
    if isinstance(plan.problem, SourcedProblem):
        tables = {name: table.to_pandas() for name, table in sources.items()}
        raw = plan.problem.join(plan.params, tables)
    else:
        raw = plan.problem.load(plan.params)
    goal = plan.problem.goal(raw, plan.params)
    check_contract(plan, raw)
    log.info("%s: %d rows, %d columns", plan.problem.name, *raw.shape)
    table = pa.Table.from_pandas(raw, preserve_index=False)
    return with_lineage(table, plan.lineage | {"goal": _stated(goal)})


def check_contract(plan: Plan, raw: Any) -> None:
    """Check a raw table against its problem's contract.

    Raises
    ------
    InputError
        If it breaks the contract, with the first breach.
    """
    from pandera.errors import SchemaError

    try:
        plan.problem.contract(plan.params).validate(raw)
    except SchemaError as error:
        breach = " ".join(str(error).split())[:300]
        raise InputError(f"{plan.problem.name}: the table breaks its contract: {breach}") from None


@result_task(name="make features")
def make_features(raw: pa.Table, plan: Plan, key: str) -> pa.Table:  # noqa: ARG001
    """Transform the raw table to features and split it."""
    frame = raw.to_pandas()
    goal = plan.problem.goal(frame, plan.params)
    features = plan.problem.features(frame, plan.params)
    split = plan.problem.split(features, frame, plan.params)
    counts = split.value_counts()
    for note in goal.notes:
        log.info("%s", note)
    log.info("%d rows to train on, %d held out", counts[Split.TRAIN], counts[Split.TEST])
    groups = plan.problem.groups(features, frame, plan.params)
    hidden = {SPLIT: split} if groups is None else {SPLIT: split, GROUP: groups}
    table = pa.Table.from_pandas(features.assign(**hidden), preserve_index=False)
    lineage = {
        "goal": _stated(goal),
        "n_train": int(counts[Split.TRAIN]),
        "n_test": int(counts[Split.TEST]),
        "raw": results.require(plan.raw_key).digest,
        "schema": plan.problem.schema(frame, plan.params),
    }
    return with_lineage(table, plan.lineage | lineage)


def _stated(goal: Goal) -> dict[str, Any]:
    return {
        "kind": goal.kind.value,
        "target": goal.target,
        "headline": goal.headline,
        "notes": list(goal.notes),
        "model": goal.model,
        "model_params": goal.model_params,
        "trials_at_once": goal.trials_at_once,
    }


def dataset_ready(plan: Plan, features: pa.Table, options: Options) -> DatasetReady:
    """Announcement of a plan's tables, once they can be read back."""
    lineage = lineage_of(features.schema)
    goal = lineage["goal"]
    return DatasetReady(
        chain=plan.chain,
        problem=plan.problem.name,
        raw=results.require(plan.raw_key),
        features=results.require(plan.features_key),
        kind=goal["kind"],
        target=goal["target"],
        headline=goal["headline"],
        n_train=lineage["n_train"],
        n_test=lineage["n_test"],
        seed=getattr(plan.params, "seed", 0),
        options=settled(options, goal["model"], goal["model_params"]),
    )


def settled(options: Options, model: str, model_params: dict[str, Any]) -> Options:
    """Options in which the model is named: the user's choice, or else the problem's own."""
    name = options.model or model
    own = model_params if name == model else {}
    return options.model_copy(update={"model": name, "model_params": own | options.model_params})


def origin_of(data: DatasetReady) -> dict[str, Any]:
    """What a model must remember to read new rows as the training rows were read."""
    facts = lineage_of(results.schema(data.features))
    return {name: facts[name] for name in ("problem", "parameters", "schema")}


def read_rows(data: DatasetReady, side: Split) -> Any:
    """Feature rows of one side, as a DataFrame: `ROW`, the features and the target."""
    table = results.read(data.features, filters=[(SPLIT, "==", side.value)])
    hidden = [name for name in (SPLIT, GROUP) if name in table.column_names]
    return table.drop_columns(hidden).to_pandas()


def read_groups(data: DatasetReady, side: Split) -> Any:
    """Group of each of those rows, of those that belong together; None if each is by itself."""
    if GROUP not in results.schema(data.features).names:
        return None
    table = results.read(data.features, columns=[GROUP], filters=[(SPLIT, "==", side.value)])
    return table[GROUP].to_numpy()


def example_of(data: DatasetReady) -> Any:
    """First rows of the features, as a model takes them."""
    hidden = [name for name in (SPLIT, GROUP) if name in results.schema(data.features).names]
    frame = results.head(data.features, _EXAMPLE_ROWS).drop_columns(hidden).to_pandas()
    return features_of(frame, data)


def features_of(frame: Any, data: DatasetReady) -> Any:
    """Columns that a model may see."""
    return frame.drop(columns=[ROW, data.target])
