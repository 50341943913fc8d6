"""Comparing candidates by what they answer out of fold: families, settings, what a search found.

What decides is thought in ``baton.selection``; in which order candidates are tried is said in
``flows/train.py``. Each candidate's answers are kept by themselves: whatever chain asks for them
next, or goes on after its process was killed, finds them.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from typing import Any

import pyarrow as pa

from baton import models, selection
from baton.bonds import bonds_of
from baton.chain.events import DatasetReady
from baton.choice import nearest, undefined
from baton.fingerprint import fingerprint
from baton.lineage import folder, lineage_of, with_lineage
from baton.models.fitted import targets
from baton.models.interface import THREADS_CELLS
from baton.selection import Candidate
from baton.terms import DEFAULT_MINUTES, Kind, Quality
from baton.weights import weights_of
from tasks.platform import results
from tasks.platform.cluster import cores
from tasks.platform.plan import Plan
from tasks.platform.results import result_task
from tasks.rows import read_training_rows
from tasks.training import Comparison, recipe_of

log = logging.getLogger(__name__)

TABLE = "out_of_fold"


@dataclass(frozen=True)
class CandidatePlan(Plan):
    """Which candidate is to answer which rows."""

    data: DatasetReady
    candidate: Candidate

    @property
    def recipe(self) -> models.Recipe:
        """What is to be learnt."""
        recipe = recipe_of(self.data, self.candidate.family)
        return replace(recipe, params=self.candidate.params)

    @property
    def folder(self) -> str:
        """Folder of its answers, whatever it is called and whoever asks for it."""
        return folder(
            self.data.problem,
            features=self.data.features.digest,
            target=self.data.target,
            stopping=self.data.options.metric,
            positive=self.data.positive,
            seed=self.data.seed,
            family=self.candidate.family,
            params=self.candidate.params,
            code=fingerprint(__name__, *models.code_of(self.candidate.family)),
        )

    @property
    def is_done(self) -> bool:
        """Whether it has answered."""
        return self.has(TABLE)

    @property
    def answers(self) -> selection.OutOfFold:
        """What it answered."""
        return selection.OutOfFold.of_table(results.read(self.table(TABLE)))

    @cached_property
    def seconds(self) -> float:
        """What its answers took."""
        facts: dict[str, float] = lineage_of(results.schema(self.table(TABLE)))["cost"]
        return facts["seconds"]


@dataclass(frozen=True)
class ComparisonPlan(Comparison):
    """Which candidates are to be compared, and what of them is to be trained."""

    data: DatasetReady

    @property
    def is_ensemble(self) -> bool:
        """Whether candidates may be trained together."""
        return self.data.options.quality is Quality.BEST

    @property
    def metric(self) -> str:
        """Metric by which the best is chosen."""
        return self.data.selection or self.data.headline

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """Candidates, in the order in which they are tried."""
        return candidates_of(self.data)

    @property
    def minutes(self) -> float | None:
        """Time that is given; None where every candidate is tried."""
        return (self.data.options.minutes or DEFAULT_MINUTES) if self.is_ensemble else None

    @property
    def folder(self) -> str:
        """Folder of the leaderboard."""
        data = self.data
        return folder(
            data.problem,
            features=data.features.digest,
            target=data.target,
            metric=self.metric,
            stopping=data.options.metric,
            positive=data.positive,
            seed=data.seed,
            candidates=[[one.name, one.family, one.params] for one in self.candidates],
            minutes=self.minutes,
            code=fingerprint(__name__, *self._code),
        )

    @property
    def _code(self) -> set[str]:
        """Modules of other packages that bring a candidate's family."""
        return models.code_of(*(one.family for one in self.candidates))

    @property
    def is_done(self) -> bool:
        """Whether the leaderboard is there."""
        return self.has("leaderboard")

    @cached_property
    def at_once(self) -> int:
        """Candidates that are tried at the same time; one, where each takes every core."""
        n_columns = len(results.schema(self.data.features).names)
        return cores() if self.data.n_train * n_columns < THREADS_CELLS else 1

    @cached_property
    def _plans(self) -> dict[str, CandidatePlan]:
        return {one.name: CandidatePlan(self.data, one) for one in self.candidates}

    def of(self, name: str) -> CandidatePlan:
        """Plan of one candidate."""
        return self._plans[name]

    @property
    def done(self) -> list[CandidatePlan]:
        """Candidates that have answered, in their order."""
        return [one for one in self._plans.values() if one.is_done]

    def answers_of(self, blend: models.Blend) -> tuple[Any, Any]:
        """What its members have answered out of fold together: positions of rows, and answers."""
        weights = {one.name: one.weight for one in blend.members}
        answers = {one.candidate.name: one.answers for one in self.done}
        return selection.answers_of(weights, blend.mixing, answers)

    @property
    def spent(self) -> float:
        """Seconds that they took."""
        return sum(one.seconds for one in self.done)

    def is_in_time(self, name: str) -> bool:
        """Tell whether a candidate is expected to end in time, and say so if not.

        What `quality=good` is made of, and what has answered before, always is.
        """
        if self.minutes is None or name in selection.GOOD or self.of(name).is_done:
            return True
        done = [(one.candidate, one.seconds) for one in self.done]
        expected = selection.expected_seconds(self.of(name).candidate, done)
        fits = self._budget.fits(self.spent, expected)
        if not fits:
            log.info("%s is left out: it would take about %.0f s", name, expected)
        return fits

    @property
    def _budget(self) -> selection.Budget:
        return selection.Budget(
            seconds=60.0 * (self.minutes or 0.0),
            at_once=self.at_once,
            afterwards=selection.refit_part(self.data.n_train),
        )


def plan_comparison(data: DatasetReady) -> ComparisonPlan | None:
    """Settle which candidates are compared; None if there is nothing to compare."""
    options = data.options
    is_asked = options.compare or data.study or options.quality is Quality.BEST
    return ComparisonPlan(data) if is_asked else None


def candidates_of(data: DatasetReady) -> tuple[Candidate, ...]:
    """Candidates by what the chain was asked for."""
    if data.options.quality is Quality.BEST:
        return selection.portfolio(data.kind)
    if data.study:
        return _searched(data, results.schema(data.study))
    names = data.options.compare
    return tuple(Candidate(name, name, recipe_of(data, name).params) for name in names)


def _searched(data: DatasetReady, schema: pa.Schema) -> tuple[Candidate, ...]:
    """What a search found, and what it began with, of each family."""
    family, began = str(data.options.model), lineage_of(schema)["began"]
    found = Candidate(f"{family}, tuned", family, dict(data.options.model_params))
    return (found, *(Candidate(name, name, params) for name, params in began.items()))


def said(plan: ComparisonPlan) -> str:
    """Say how far a comparison is."""
    done = f"{len(plan.done)} of {len(plan.candidates)} candidates"
    if plan.minutes is None:
        return done
    return f"{done}, {plan.spent / plan.at_once:.0f} of {60 * plan.minutes:.0f} s"


def percent(plan: ComparisonPlan) -> float:
    """How far a comparison is, by candidates or by time, whichever is nearer to its end."""
    of_candidates = len(plan.done) / len(plan.candidates)
    of_time = plan.spent / plan.at_once / (60 * plan.minutes) if plan.minutes else 0.0
    return 100.0 * min(1.0, max(of_candidates, of_time))


@result_task(TABLE, name="answer out of fold")
def answer_out_of_fold(plan: CandidatePlan) -> pa.Table:
    """Answers of a candidate to the training rows, by models that were not fitted on them."""
    data, rows = plan.data, read_training_rows(plan.data)
    steps = selection.steps_of(rows[data.target], data.kind, data.seed, bonds_of(rows))
    classes, _ = targets(rows[data.target], data.kind, data.positive)
    found = selection.predict_out_of_fold(
        rows, data.target, classes, steps, partial(models.fit, recipe=plan.recipe)
    )
    log.info("%s: %d steps in %.1f s", plan.candidate.name, len(steps), found.cost.seconds)
    return found.table({"candidate": plan.candidate.name, "family": plan.candidate.family})


@result_task("leaderboard", name="compare candidates")
def compare_candidates(plan: ComparisonPlan) -> pa.Table:
    """Rank the candidates that have answered, and decide what is to be trained."""
    names = [one.candidate.name for one in plan.done]
    answers = {one.candidate.name: one.answers for one in plan.done}
    ground = ground_of(plan, next(iter(answers.values())).rows)
    candidates = [plan.of(name).candidate for name in names]
    found = selection.rank(
        ground, candidates, answers, is_ensemble=plan.is_ensemble, keeps=_kept(plan)
    )
    log.info("%s", selection.verdict(found.lines))
    facts = {
        "problem": plan.data.problem,
        "metric": ground.metric,
        "n_tried": len(names),
        "n_candidates": len(plan.candidates),
        "members": [asdict(one) for one in found.members],
        "mixing": found.mixing.value,
    }
    return with_lineage(selection.as_table(found.lines), facts)


def _kept(plan: ComparisonPlan) -> str | None:
    """Candidate that is trained unless it is clearly behind: what a search found."""
    return plan.candidates[0].name if plan.data.study else None


def ground_of(plan: ComparisonPlan, places: Any) -> selection.Ground:
    """The training rows at these positions, by which candidates are judged."""
    data, rows = plan.data, read_training_rows(plan.data)
    classes, _ = targets(rows[data.target], data.kind, data.positive)
    actual, weights = rows[data.target].to_numpy()[places], weights_of(rows)
    return selection.Ground(
        kind=data.kind,
        metric=_defined(plan.metric, data.kind, classes, actual),
        actual=actual,
        classes=classes,
        units=bonds_of(rows).take(places).units(),
        weights=None if weights is None else weights[places],
        seed=data.seed,
    )


def _defined(metric: str, kind: Kind, classes: tuple[Any, ...], actual: Any) -> str:
    """The metric, or what stands closest where the rows that were answered leave it undefined."""
    found = nearest(metric, undefined(kind, classes, actual))
    if found != metric:
        log.warning("%s is not defined on the rows answered out of fold: %s decides", metric, found)
    return found
