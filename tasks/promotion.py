"""Deciding about a challenger: scoring it beside the champion, moving the alias, keeping the log.

What a challenger must show is in ``baton.evaluation.gate``, the log in ``baton.chain.decisions``.
"""

from __future__ import annotations

import json
import logging
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Protocol

from prefect import task
from prefect.artifacts import create_markdown_artifact

from baton import disk
from baton.atomic import write_bytes
from baton.bonds import bonds_of
from baton.chain import decisions, looks, records
from baton.chain.decisions import GATE, TOLD, Decision, Outcome
from baton.chain.events import (
    DatasetReady,
    EventName,
    ModelDecided,
    ModelEvaluated,
    ModelPromoted,
    ModelRef,
    ModelRejected,
    PageRef,
    PredictionOrder,
    chain_begun_by,
)
from baton.errors import InputError, NoModelError
from baton.evaluation import metrics
from baton.evaluation.gate import Answer, Evidence, Gate, Paired, Verdict, decide, paired
from baton.lineage import digest_of
from baton.metric import Metric
from baton.models.answers import output_of
from baton.settings import settings
from baton.showing.decided import with_decision
from baton.stores import queue, shelf
from baton.terms import Kind, Split
from baton.warning import WarningKind, of_table
from baton.weights import weights_of
from baton.words.text import elide
from tasks.platform import results
from tasks.platform.artifacts import artifact_key, link_drift, link_page
from tasks.platform.plan import settled
from tasks.platform.stage import exclusive
from tasks.platform.tracking import (
    CHAMPION,
    PREVIOUS,
    aliases_of,
    facts_of_version,
    load_model,
    move_aliases,
    registered_models,
    tag_version,
    version_of,
)
from tasks.rows import read_side

log = logging.getLogger(__name__)

_LONGEST_REASON = 1000

_Pair = tuple[Any, Any]
"""Champion and challenger."""

_UNFIT = (InputError, KeyError, ValueError, TypeError)
"""What a model answers rows with that it was not made for."""


def of_one_model(name: str) -> AbstractContextManager[None]:
    """Held by whoever decides about a model: one at a time, so that none is against a stale one."""
    return exclusive(f"champion/{name}")


@dataclass(frozen=True)
class _Now:
    """How things stand with a model, for who holds :func:`of_one_model`."""

    log: tuple[Decision, ...]
    champion: int | None
    previous: int | None

    @classmethod
    def of(cls, name: str) -> _Now:
        """Look, after finishing what somebody who was killed had begun."""
        finish(name)
        there = aliases_of(name)
        return cls(decisions.read(settings(), name), there.get(CHAMPION), there.get(PREVIOUS))


@dataclass(frozen=True)
class PromotionPlan:
    """Which challenger is to be decided about, and by what."""

    evaluated: ModelEvaluated
    gate: Gate

    @property
    def data(self) -> DatasetReady:
        """The challenger's data set."""
        return self.evaluated.data

    @property
    def name(self) -> str:
        """Name of the model in the registry."""
        return self.evaluated.model.name

    @cached_property
    def metric(self) -> Metric:
        """Metric that decides."""
        return self.gate.metric or metrics.parse(self.data.headline)


def plan_promotion(evaluated: ModelEvaluated, gate: dict[str, Any]) -> PromotionPlan:
    """Settle by what a challenger is decided about.

    Raises
    ------
    InputError
        If the gate is not understood, or its metric is of another kind.
    """
    found = settled(Gate, gate, "gate")
    for one in (found.metric, found.guard):
        if one is not None and one not in metrics.names(evaluated.data.kind):
            raise InputError(
                f"gate: {one.value} is no metric of a {evaluated.data.kind.value}; there are:"
                f" {', '.join(name.value for name in metrics.names(evaluated.data.kind))}"
            )
    return PromotionPlan(evaluated, found)


class PersonsAnswer(Protocol):
    """What a person answers who is asked before the champion is another."""

    approve: bool
    by: str
    reason: str


@task(name="decide", persist_result=False)
def decided(
    plan: PromotionPlan, answer: PersonsAnswer | None = None, *, is_asked: bool = False
) -> tuple[Decision, bool] | Verdict:
    """Decide about the challenger, once, and have the aliases say it.

    It is to be called while :func:`of_one_model` is held.

    Parameters
    ----------
    plan : PromotionPlan
    answer : PersonsAnswer, optional
        Of whoever was asked; it counts only where the gate would promote.
    is_asked : bool
        Whether a person is to be asked before the challenger is promoted.

    Returns
    -------
    Decision, bool
        Whether it was decided before. Where a person is to be asked and was not, the verdict alone,
        by which the challenger would be promoted.
    """
    now = _Now.of(plan.name)
    if (found := _decided_before(plan, now)) is not None:
        return found, True
    evidence = weigh(plan, now)
    verdict = decide(evidence, plan.gate)
    is_new = verdict.is_promoted and now.champion != evidence.version
    if is_new and is_asked and answer is None:
        return verdict
    by = GATE
    if verdict.is_promoted and answer is not None:
        verdict, by = _answered(verdict, answer), answer.by
    log.info("%s: %s", "promoted" if verdict.is_promoted else "not promoted", verdict.reason)
    return carry_out(entry_of(plan, now, evidence, verdict, by)), False


def _answered(verdict: Verdict, answer: PersonsAnswer) -> Verdict:
    """Verdict of the gate with what a person said of it."""
    said = "approved" if answer.approve else "not approved"
    why = f": {' '.join(answer.reason.split())}" if answer.reason.strip() else ""
    return Verdict(answer.approve, f"{verdict.reason}; {said} by {answer.by}{why}")


def _decided_before(plan: PromotionPlan, now: _Now) -> Decision | None:
    """What was decided and is so: this version is the champion, or was rejected beside the same.

    What could not be compared then is tried again: a file may have been put back.
    """
    version = plan.evaluated.model.version
    about = [one for one in reversed(now.log) if one.version == version]
    if now.champion == version:
        return next((one for one in about if one.outcome is Outcome.PROMOTED), None)
    decides = _decides(plan, now.champion)
    for one in about:
        is_rejected = one.outcome is Outcome.REJECTED and one.decided_for == decides
        if is_rejected and not json.loads(one.evidence).get("obstacle"):
            return one
    return None


def _decides(plan: PromotionPlan, champion: int | None) -> str:
    """Digest of what a rejection follows from."""
    evaluated = plan.evaluated
    return digest_of(
        {
            "challenger": evaluated.model.digest,
            "champion": champion,
            "rows": evaluated.data.features.digest,
            "gate": plan.gate.model_dump(mode="json"),
        }
    )


def weigh(plan: PromotionPlan, now: _Now) -> Evidence:
    """Measure what the decision is made of."""
    evaluated = plan.evaluated
    warned = of_table(results.read(evaluated.warnings)) if evaluated.warnings else ()
    found = Evidence(
        version=evaluated.model.version,
        metric=plan.metric.value,
        value=evaluated.scores.get(plan.metric.value),
        champion=now.champion,
        is_greater_better=metrics.GREATER_IS_BETTER[plan.metric],
        leaks=tuple(one.message for one in warned if one.kind is WarningKind.LEAK),
        withdrawn=decisions.withdrawn(now.log, evaluated.model.version, evaluated.model.digest),
    )
    if now.champion is None or now.champion == evaluated.model.version:
        return found
    if (reference := version_of(plan.name, now.champion)) is None:
        return replace(found, obstacle="Baton did not register it")
    return _beside(plan, reference, found)


def _beside(plan: PromotionPlan, reference: ModelRef, found: Evidence) -> Evidence:
    """Add how both do on the same rows."""
    try:
        pair = load_model(reference), load_model(plan.evaluated.model)
        both = _HeldOut.of(plan.data, pair).compared(pair, plan)
        guarded = both.get(plan.gate.guard) if plan.gate.guard else None
        found = replace(found, paired=both.get(plan.metric), guarded=guarded)
    except _UNFIT as error:
        return replace(found, obstacle=" ".join(str(error).split())[:300])
    with suppress(*_UNFIT):  # shown where it can be
        if earlier := _rows_of_champion(plan, reference, pair):
            found = replace(found, earlier=earlier.compared(pair, plan).get(plan.metric))
    return found


def _rows_of_champion(plan: PromotionPlan, reference: ModelRef, pair: _Pair) -> _HeldOut | None:
    """Rows held out for the champion, if they are others and still here."""
    for one in records.of_problem(settings(), plan.data.problem):
        if one.model == reference and one.data.features.digest != plan.data.features.digest:
            return _HeldOut.of(one.data, pair)
    return None


@dataclass(frozen=True, eq=False)
class _HeldOut:
    """Rows that were held out."""

    data: DatasetReady
    frame: Any

    @classmethod
    def of(cls, data: DatasetReady, pair: _Pair) -> _HeldOut:
        """Read those of a data set.

        Raises
        ------
        InputError
            If one of two models predicts another column.
        """
        targets = {data.target, *(model.target for model in pair)}
        if targets != {data.target}:
            raise InputError(f"they predict different columns: {', '.join(sorted(targets))}")
        return cls(data, read_side(data, Split.TEST).to_pandas())

    def compared(self, pair: _Pair, plan: PromotionPlan) -> dict[Metric, Paired]:
        """Compare champion and challenger on them, by the metric that decides and the guard."""
        champion, challenger = (self._answer(model) for model in pair)
        return paired(
            self.data.kind,
            [plan.metric, *([plan.gate.guard] if plan.gate.guard else [])],
            self.frame[self.data.target].to_numpy(),
            champion,
            challenger,
            weights=weights_of(self.frame),
            units=bonds_of(self.frame).units(),
            confidence=plan.gate.confidence,
            seed=self.data.seed,
        )

    def _answer(self, model: Any) -> Answer:
        output = output_of(model, self.frame.drop(columns=[self.data.target]))
        if self.data.kind is Kind.REGRESSION:
            return Answer(output)
        return Answer(output, model.classes, model.labels(output))


def entry_of(
    plan: PromotionPlan, now: _Now, evidence: Evidence, verdict: Verdict, by: str = GATE
) -> Decision:
    """Entry of the log about what the gate decided, or a person who was asked."""
    version = evidence.version
    is_new = verdict.is_promoted and now.champion != version
    seen, ends = evidence.paired, plan.evaluated.intervals.get(evidence.metric, (None, None))
    return Decision(
        number=decisions.next_number(now.log),
        at=datetime.now(UTC),
        model=plan.name,
        outcome=Outcome.PROMOTED if verdict.is_promoted else Outcome.REJECTED,
        version=version,
        digest=plan.evaluated.model.digest,
        champion=version if is_new else now.champion,
        previous=now.champion if is_new else now.previous,
        by=by,
        reason=elide(verdict.reason, _LONGEST_REASON),
        metric=evidence.metric,
        value=evidence.value,
        value_low=ends[0],
        value_high=ends[1],
        **(_of_pair(seen) if seen else {}),
        gate=plan.gate.model_dump_json(),
        evidence=json.dumps(asdict(evidence)),
        chain=plan.evaluated.chain,
        decided_for=_decides(plan, now.champion),
    )


def _of_pair(seen: Paired) -> dict[str, Any]:
    of_pair = {"gain": seen.gain, "low": seen.low, "high": seen.high, "n_rows": seen.n_rows}
    return {"champion_value": seen.champion, **of_pair}


def carry_out(decision: Decision) -> Decision:
    """Write the decision down, have MLflow say it, and close it: whoever is killed, all or none."""
    decisions.intend(settings(), decision)
    return _carried_out(decision)


def finish(name: str) -> None:
    """Finish what somebody who was killed had begun to do about a model."""
    if (left := decisions.intended(settings(), name)) is not None:
        if left.champion is not None and version_of(name, left.champion) is None:
            log.warning(
                "version %d of %s was deleted: its promotion is dropped", left.champion, name
            )
            decisions.drop(settings(), name)
            return
        log.warning("decision %d about %s is finished: %s", left.number, name, left.reason)
        _carried_out(left)


def _carried_out(decision: Decision) -> Decision:
    wanted = {PREVIOUS: decision.previous, CHAMPION: decision.champion}
    if decision.outcome is not Outcome.REJECTED:
        queue.require()
        move_aliases(decision.model, wanted)
    if (reference := version_of(decision.model, decision.version)) is not None:
        said = {"decision": decision.outcome.value, "decision_by": decision.by}
        said |= {"decision_reason": decision.reason, "decision_at": decision.at.isoformat()}
        tag_version(reference, {f"baton.{name}": value[:500] for name, value in said.items()})
    decisions.append(settings(), decision)
    return decision


@task(name="show decision", persist_result=False)
def show_decision(plan: PromotionPlan, decision: Decision) -> PageRef:
    """Write the report with the decision, and tell Prefect of it."""
    evaluated = plan.evaluated
    create_markdown_artifact(
        key=artifact_key("decision", evaluated.problem, evaluated.chain),
        markdown=_markdown(decision),
        description=f"{plan.data.title}: {decision.outcome.value}",
    )
    page = _page_of(plan, decision)
    link_page(
        "report",
        evaluated.problem,
        evaluated.chain,
        results.report_path(page.key),
        text=f"report of chain {evaluated.chain}",
        about="metrics, importance, explanations and the gate's decision on one page",
    )
    return page


def tell_drift(plan: PromotionPlan, decision: Decision) -> None:
    """Say on the page of the drift that began the chain what was decided of it."""
    look = looks.that_began(settings(), plan.name, plan.evaluated.chain)
    if look is None or not look.page or not shelf.take(results.report_path(look.page)).is_file():
        return
    page = results.report_path(look.page)
    told = page.with_name(f"{page.stem}_{digest_of(decision.model_dump_json())[:12]}.html")
    shelf.write(told, with_decision(page.read_text("utf-8"), decision).encode())
    link_drift(plan.evaluated.problem, look.chain, told)


def _page_of(plan: PromotionPlan, decision: Decision) -> PageRef:
    """Report of the chain with the decision on it, beside that without one."""
    report = plan.evaluated.report
    key = f"{report.key.removesuffix('.html')}_{digest_of(decision.model_dump_json())[:12]}.html"
    path = results.report_path(key)
    content = with_decision(results.checked(report).read_text("utf-8"), decision).encode()
    if path.exists() and path.read_bytes() != content:
        disk.put_aside(path)
    write_bytes(path, content)
    return results.page_at(key)


def _markdown(decision: Decision) -> str:
    said = "not promoted" if decision.outcome is Outcome.REJECTED else "promoted"
    champion = f"version {decision.champion}" if decision.champion else "none"
    by = "the gate" if decision.by == GATE else decision.by
    return f"""# Version {decision.version} of {decision.model}: {said}

{decision.reason}

Decided by {by}, {decision.at:%Y-%m-%d %H:%M:%S} UTC. Champion: {champion}. The log is
`{decisions.place(settings(), decision.model)}`.
"""


def model_decided(plan: PromotionPlan, decision: Decision, page: PageRef) -> ModelDecided:
    """Announcement of a decision, and the chain's record with the report that shows it."""
    evaluated = plan.evaluated
    records.keep(settings(), evaluated.model_copy(update={"report": page}))
    about = {
        "chain": evaluated.chain,
        "problem": evaluated.problem,
        "model": evaluated.model,
        "target": evaluated.data.target,
        "page": page,
        **decision.model_dump(include=TOLD),
    }
    if decision.outcome is Outcome.REJECTED:
        return ModelRejected(**about)
    return ModelPromoted(**about, predict=_predictions_after(evaluated))


def _predictions_after(evaluated: ModelEvaluated) -> PredictionOrder | None:
    """Return the predictions that are begun by the promotion, if its chain asked for them."""
    if (wanted := evaluated.data.options.predict) is None:
        return None
    return PredictionOrder(
        chain=chain_begun_by(EventName.MODEL_PROMOTED, evaluated.chain),
        problem=evaluated.problem,
        parameters=wanted,
        model=evaluated.model,
    )


def by_hand(name: str, version: int, by: str, reason: str) -> tuple[Decision, ModelPromoted]:
    """Make a version the champion because a person says so.

    Raises
    ------
    NoModelError
        If there is no such version.
    """
    with of_one_model(name):
        now, reference = _Now.of(name), version_of(name, version)
        if reference is None:
            raise NoModelError(f"there is no version {version} of {name}; {_versions(name)}")
        if now.champion == version:
            raise InputError(f"version {version} of {name} is the champion already")
        told = {"outcome": Outcome.PROMOTED, "previous": now.champion, "by": by, "reason": reason}
        return _by_person(reference, now, version, told)


def back(name: str, by: str, reason: str) -> tuple[Decision, ModelPromoted]:
    """Make the champion before the champion again.

    Raises
    ------
    InputError
        If there is none, or it is gone.
    """
    with of_one_model(name):
        now = _Now.of(name)
        before = now.previous or (now.log[-1].previous if now.log else None)
        if now.champion is None or before is None:
            raise InputError(
                f"{name} has no {PREVIOUS} champion to go back to; `baton promote` with --version"
                f" names one; {_versions(name)}"
            )
        if before == now.champion:
            raise InputError(
                f"version {before} of {name} is both champion and {PREVIOUS}: moved in MLflow"
            )
        if (reference := version_of(name, before)) is None:  # and its alias with it
            raise InputError(
                f"version {before} of {name}, the {PREVIOUS} champion, was deleted; `baton promote`"
                f" with --version names another; {_versions(name)}"
            )
        told = {"outcome": Outcome.ROLLED_BACK, "previous": None, "by": by, "reason": reason}
        return _by_person(reference, now, now.champion, told)


def _by_person(
    champion: ModelRef, now: _Now, version: int, told: dict[str, Any]
) -> tuple[Decision, ModelPromoted]:
    """Write down and carry out what a person decided; `version` is what it is about."""
    facts, about = facts_of_version(champion), version_of(champion.name, version)
    decision = Decision(
        number=decisions.next_number(now.log),
        at=datetime.now(UTC),
        model=champion.name,
        version=version,
        digest=about.digest if about else "",
        champion=champion.version,
        chain=facts["chain"],
        **told,
        **decisions.scored(now.log, champion.version),
    )
    event = ModelPromoted(model=champion, **facts, **decision.model_dump(include=TOLD))
    return carry_out(decision), event


def _versions(name: str) -> str:
    found = [one for one in registered_models() if one.name == name]
    return f"its newest is {found[0].version}" if found else "`baton models` lists what there is"
