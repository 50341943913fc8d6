"""Showing what a chain found: the HTML report, Prefect's artifacts, MLflow's, the chain's record.

What is drawn and said is thought in ``baton.showing``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import pyarrow as pa
from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from baton import disk, tuning
from baton.atomic import write_bytes
from baton.chain import records
from baton.chain.events import Coverage, DatasetReady, DecisionThreshold, ModelEvaluated
from baton.choice import fallen_back
from baton.encoding.native import Encoder
from baton.evaluation.importance import Importance
from baton.evaluation.shapley import Scale, ShapValues, strongest, unit_of
from baton.evaluation.usefulness import useless
from baton.fingerprint import fingerprint
from baton.lineage import digest_of_file, folder, lineage_of, with_lineage
from baton.settings import settings
from baton.showing import plots
from baton.showing.builder import page_of
from baton.showing.columns import ColumnLine, column_lines
from baton.showing.columns import as_table as as_columns
from baton.showing.findings import Findings
from baton.showing.summary import SHOWN_DRIVERS, sentences
from baton.stores import shelf
from baton.terms import ROW
from baton.warning import as_table, of_table, sorted_warnings
from tasks.evaluation import KEPT, TABLES, Bench, EvaluationPlan
from tasks.platform import pages, results
from tasks.platform.artifacts import artifact_key, link_page
from tasks.platform.plan import Plan
from tasks.platform.results import result_task
from tasks.platform.tracking import champion_scores, is_log_whole, log_evaluation, log_search
from tasks.rows import facts_of, is_beyond_memory, sample
from tasks.tuning import SearchPlan, lines_of, said

log = logging.getLogger(__name__)

_SHOWN_TRIALS = 50
_SHOWN_ROWS = 10_000


@dataclass(frozen=True)
class ReportPlan(Plan):
    """Which evaluation is to be shown."""

    evaluation: EvaluationPlan

    @property
    def folder(self) -> str:
        """Folder of the page: a changed picture is drawn anew, and nothing is scored anew."""
        data, code = self.evaluation.trained.data, fingerprint(__name__, is_page=True)
        warned = data.warnings.digest if data.warnings else None
        return folder(data.problem, evaluation=self.evaluation.folder, warnings=warned, code=code)

    @property
    def report(self) -> str:
        """Key of the page."""
        return f"{self.folder}/report.html"

    @property
    def path(self) -> Path:
        """File of the page."""
        return results.report_path(self.report)

    @property
    def mark(self) -> Path:
        """File that says what page is written, and that all of it is logged."""
        return self.path.with_name("evaluated")

    @property
    def is_done(self) -> bool:
        """Whether everything was made, written and logged, and all of it is whole."""
        run_id = self.evaluation.trained.model.run_id
        is_made = self.has("warnings", "columns", "summary") and self._is_written()
        return is_made and self.evaluation.is_done and is_log_whole(run_id)

    def _is_written(self) -> bool:
        try:
            return shelf.take(self.mark).read_text("ascii") == digest_of_file(shelf.take(self.path))
        except (OSError, UnicodeDecodeError):
            return False

    def keep(self, html: str) -> None:
        """Write the page; what else stood there is put aside."""
        content = html.encode()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and not self._is_written() and self.path.read_bytes() != content:
            disk.put_aside(self.path)
        write_bytes(self.path, content)


def show(plan: ReportPlan, bench: Bench) -> None:
    """Gather the warnings, say what was learnt, write the report and log the evaluation."""
    gather_warnings(plan)
    tell_columns(plan, bench)
    sum_up(plan, bench)
    pictures = write_report(plan, bench)
    profile = [plan.evaluation.table(name) for name in KEPT]
    log_evaluation(model_evaluated(plan), pictures, profile)
    shelf.write(plan.mark, digest_of_file(plan.path).encode())


@result_task("warnings", name="gather warnings")
def gather_warnings(plan: ReportPlan) -> pa.Table:
    """Warnings of the data set, and those that only its model gives cause for."""
    evaluation, data = plan.evaluation, plan.evaluation.trained.data
    own = [
        *useless(data.headline, data.target, evaluation.lines),
        *fallen_back(facts_of(data), data.options, data.headline),
    ]
    for one in own:
        log.warning("%s: %s", one.kind.value, one.message)
    of_data = of_table(results.read(data.warnings)) if data.warnings else ()
    return with_lineage(as_table(sorted_warnings([*of_data, *own])), evaluation.lineage)


@result_task("columns", name="tell columns")
def tell_columns(plan: ReportPlan, bench: Bench) -> pa.Table:
    """What each column was taken for, and what was done with it: a line for each."""
    found = read_findings(plan, bench).columns
    return with_lineage(as_columns(found), plan.evaluation.lineage)


def _columns(data: DatasetReady, encoder: Encoder) -> list[ColumnLine]:
    """Lines of all columns; of the raw table only those are read that are no features.

    Of a table beyond memory a sample is looked at, and its first rows for what is no feature.
    """
    is_large = is_beyond_memory(data)
    features = sample(data, None) if is_large else results.read(data.features)
    others = [n for n in results.schema(data.raw).names if n not in features.column_names]
    if is_large:
        raw = results.head(data.raw, _SHOWN_ROWS).select(others)
    else:
        raw = results.read(data.raw, columns=others)
    return column_lines(features, raw, data.target, facts_of(data), encoder)


@result_task("summary", name="sum up")
def sum_up(plan: ReportPlan, bench: Bench) -> pa.Table:
    """What was learnt, a line for each sentence."""
    said = list(sentences(read_findings(plan, bench)))
    log.info("%s", " ".join(said))
    return with_lineage(
        pa.table({"sentence": pa.array(said, pa.string())}), plan.evaluation.lineage
    )


def said_of(plan: ReportPlan) -> str:
    """What was learnt, in one paragraph."""
    return " ".join(map(str, results.read(plan.table("summary"))["sentence"].to_pylist()))


@task(name="write report", persist_result=False)
def write_report(plan: ReportPlan, bench: Bench) -> dict[str, bytes]:
    """Draw the pictures and write the report.

    Returns
    -------
    dict of file name to PNG
        The pictures, for MLflow.
    """
    page = page_of(read_findings(plan, bench), said_of(plan))
    plan.keep(page.html)
    log.info("report %s", plan.path)
    return page.pictures


def read_findings(plan: ReportPlan, bench: Bench) -> Findings:
    """Read what an evaluation found from its tables, once."""
    return bench.once("findings", partial(_read_findings, plan, bench))  # type: ignore[no-any-return]


def _read_findings(page: ReportPlan, bench: Bench) -> Findings:
    plan = page.evaluation
    trained, data = plan.trained, plan.trained.data
    local = results.read(plan.table("shap_local"))
    return Findings(
        data=data,
        reference=trained.model,
        model=bench.model,
        facts=facts_of(data),
        rows=bench.rows,
        output=bench.output,
        lines=plan.lines,
        permuted=Importance.of_table(results.read(plan.table("permutation_importance"))),
        shap=ShapValues.of_table(local),
        shap_global=results.read(plan.table("shap_global")).to_pandas(),
        shap_rows=frozenset(local.column(ROW).to_numpy().tolist()),
        leaderboard=results.read(trained.leaderboard) if trained.leaderboard else None,
        trials=results.read(data.study) if data.study else None,
        champion=champion_scores(data),
        warnings=of_table(results.read(page.table("warnings"))),
        columns=tuple(_columns(data, bench.model.encoder)),
        coverage=coverage_of(plan),
        threshold=threshold_of(plan),
    )


def model_evaluated(plan: ReportPlan) -> ModelEvaluated:
    """Announcement of an evaluation, once all of it can be read back."""
    evaluation = plan.evaluation
    return ModelEvaluated(
        **evaluation.trained.model_dump(),
        **{name: evaluation.table(name) for name in TABLES},
        report=results.page_at(plan.report),
        scores={line.metric: line.value for line in evaluation.lines},
        intervals={line.metric: line.interval for line in evaluation.lines if line.interval},
        baseline={
            line.metric: line.baseline for line in evaluation.lines if line.baseline is not None
        },
        drivers=drivers_of(evaluation),
        drivers_unit=_unit_of(evaluation),
        coverage=coverage_of(evaluation),
        threshold=threshold_of(evaluation),
        warnings=plan.table("warnings"),
        columns=plan.table("columns"),
        summary=said_of(plan),
    )


def coverage_of(plan: EvaluationPlan) -> Coverage | None:
    """How many held-out rows the intervals of numbers hold, if the model has such."""
    found = lineage_of(results.schema(plan.table("metrics"))).get("coverage")
    return Coverage(**found) if found else None


def threshold_of(plan: EvaluationPlan) -> DecisionThreshold | None:
    """Threshold of the model, if it has one, and what it does to the held-out rows."""
    found = lineage_of(results.schema(plan.table("metrics"))).get("threshold")
    return DecisionThreshold(**found) if found else None


def drivers_of(plan: EvaluationPlan) -> dict[str, float]:
    """Columns of the greatest mean absolute Shapley value over all classes, strongest first."""
    found = strongest(results.read(plan.table("shap_global")).to_pandas())
    return dict(islice(found.items(), SHOWN_DRIVERS))


def _unit_of(plan: EvaluationPlan) -> str:
    """What these values are measured in."""
    scale = lineage_of(results.schema(plan.table("shap_local")))["scale"]
    return unit_of(Scale(scale), plan.trained.data.target)


@task(name="show search", persist_result=False)
def show_search(plan: SearchPlan) -> None:
    """Draw the study, log it, and show its best trials as an artifact."""
    lines = lines_of(plan)
    create_table_artifact(
        key=f"trials-{plan.data.chain}",
        table=tuning.best_first(lines)[:_SHOWN_TRIALS],
        description=said(plan),
    )
    drawn = plots.search_pictures(tuning.in_memory(lines), plan.search.metric)
    pictures = {f"{picture.name}.png": plots.png(picture.figure) for picture in drawn}
    log_search(plan.data, plan.key("trials"), lines, pictures)


@task(name="write artifacts", persist_result=False)
def write_artifacts(evaluated: ModelEvaluated) -> None:
    """Write summary, metrics and the way to the report as artifacts of Prefect."""
    data = evaluated.data
    create_markdown_artifact(
        key=artifact_key("summary", evaluated.problem, evaluated.chain),
        markdown=summary(evaluated),
        description=f"{data.title}: model {evaluated.model.version} on held-out rows",
    )
    create_table_artifact(
        key=artifact_key("metrics", evaluated.problem, evaluated.chain),
        table=[{"metric": name, "value": value} for name, value in evaluated.scores.items()],
        description=f"{data.title}: metrics on {data.n_test} held-out rows",
    )
    link_page(
        "report",
        evaluated.problem,
        evaluated.chain,
        results.report_path(evaluated.report.key),
        text=f"report of chain {evaluated.chain}",
        about="metrics, importance and explanations on one page",
    )


def summary(evaluated: ModelEvaluated) -> str:
    """Markdown summary of one chain."""
    data = evaluated.data
    rows = "\n".join(
        f"| {name} | {value:.4g} | {_interval(evaluated, name)} |"
        for name, value in evaluated.scores.items()
    )
    headline = evaluated.scores.get(data.headline)
    said = "" if headline is None else f": {data.headline} {headline:.4g}"
    return f"""# {data.title}{said}

{evaluated.summary}

{data.kind.value.capitalize()} of `{data.target}`; {data.n_train} rows to learn from,
{data.n_test} held out. Model `{evaluated.model.uri}`, MLflow run `{evaluated.model.run_id}`,
chain `{evaluated.chain}`.

| metric | held-out value | 95 % interval |
| --- | ---: | ---: |
{rows}

{_where(evaluated)}; pictures and tables are in the MLflow run.
Features `{data.features.key}`, SHA-256 `{data.features.digest}`.
"""


def _where(evaluated: ModelEvaluated) -> str:
    """Where the report is: a link to it and to the chain's page, or its file."""
    path = results.report_path(evaluated.report.key)
    if not (page := pages.of_chain(evaluated.chain)):
        return f"Report `{path}`"
    return f"[Report]({pages.of_result(path)}), [the chain]({page})"


def _interval(evaluated: ModelEvaluated, name: str) -> str:
    low_high = evaluated.intervals.get(name)
    return f"{low_high[0]:.4g} to {low_high[1]:.4g}" if low_high else ""


def remember(evaluated: ModelEvaluated) -> None:
    """Keep what a chain announced last, for the commands that look back."""
    records.keep(settings(), evaluated)
