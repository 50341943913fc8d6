"""Searching hyperparameters on a problem's training rows: the study, its trials, what they found.

What a trial is and how it is scored is thought in ``baton.tuning``; in which order trials run is
said in ``flows/tune.py``.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import zip_longest
from typing import Any

import pyarrow as pa
from prefect import task

from baton import models, selection, tuning
from baton.bonds import bonds_of
from baton.chain.events import TRIAL, DatasetReady, StudyFinished
from baton.chain.recovery import ATTEMPTS
from baton.fingerprint import fingerprint
from baton.lineage import folder, lineage_of, with_lineage
from baton.models.checks import known_parameters
from baton.models.space import Categorical, Space
from baton.settings import settings
from baton.terms import Engine
from tasks.platform import results
from tasks.platform.cluster import cores
from tasks.platform.plan import Plan
from tasks.platform.results import result_task
from tasks.platform.stage import exclusive
from tasks.rows import facts_of, read_training_rows
from tasks.training import code_of, recipe_of

log = logging.getLogger(__name__)

_SHOWN_TRIALS = 50
_SECONDS_BETWEEN_LOOKS = 1.0


@dataclass(frozen=True)
class SearchPlan(Plan):
    """What is searched, and how many trials go at once."""

    data: DatasetReady
    search: tuning.Search
    at_once: int
    began: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Settings of each family beside its defaults, where the search begins."""

    @property
    def engine(self) -> Engine:
        """Where the trials run."""
        return self.data.options.engine

    @property
    def folder(self) -> str:
        """Folder of the table of trials."""
        return folder(
            self.data.problem,
            search=self.search.contract,
            study=self.search.name,
            n_trials=self.search.n_trials,
            minutes=self.data.options.minutes,
            code=fingerprint(__name__, *code_of(self.data)),
        )

    @property
    def lock(self) -> AbstractContextManager[None]:
        """Held by the one process that runs the study, whatever number of trials it asks for."""
        return exclusive(f"study-{self.search.name}")

    @property
    def is_done(self) -> bool:
        """Whether the trials are over and kept."""
        return self.has("trials")

    @property
    def threads(self) -> int | None:
        """Threads that a trial may take; None for as many as its family likes."""
        return None if self.at_once == 1 else max(1, cores() // self.at_once)


def plan_search(data: DatasetReady) -> SearchPlan:
    """Settle what is searched: one family, or several in one study.

    What the user fixed is not searched; what the problem sets by itself is where the search
    begins.

    Raises
    ------
    InputError
        If the space is not the model's, or nothing is left to search.
    """
    options, goal = data.options, facts_of(data)["goal"]
    names = options.compare or (options.model or models.DEFAULT,)
    fields = [_field(data, name, goal) for name in names]
    asked = {"positive": data.positive, "stops_by": options.metric, "package": package_of(data)}
    search = tuning.Search(
        problem=data.problem,
        family="+".join(names),
        kind=data.kind,
        metric=data.selection or data.headline,
        data=data.features.digest,
        seed=data.seed,
        n_trials=options.most_trials,
        study=options.study,
        asked={k: v for k, v in asked.items() if v is not None},
        **_searched(fields),
    )
    at_once = options.trials_at_once or goal.get("trials_at_once") or cores()
    at_once = min(at_once, options.most_trials)
    began = {one.name: one.given for one in fields}
    return SearchPlan(data, search, at_once=at_once, began=began)


def package_of(data: DatasetReady) -> str | None:
    """Fingerprint of what other packages bring to a search: a study goes on with no other."""
    brought = code_of(data)
    return fingerprint(*brought) if brought else None


@dataclass(frozen=True)
class Field:
    """What is searched of one family."""

    name: str
    given: dict[str, Any]
    """Settings beside the family's defaults: the problem's own and the user's."""
    defaults: dict[str, Any]
    space: Space
    firsts: list[dict[str, Any]]
    """Settings that are worth the first trials."""


def _field(data: DatasetReady, name: str, goal: dict[str, Any]) -> Field:
    options = data.options
    is_own = name == goal["model"]
    own, searched = (goal["model_params"], goal.get("space", {})) if is_own else ({}, {})
    asked = recipe_of(data, name).params
    fixed = {k: v for k, v in asked.items() if k not in own or own[k] != v}
    left = {k: v for k, v in searched.items() if k not in fixed}
    return Field(
        name=name,
        given=own | fixed,
        defaults=models.family(name, data.kind).defaults(data.kind, data.n_train),
        space=tuning.chosen_space(name, data.kind, options.space or left, fixed),
        firsts=selection.settings_of(name, data.kind),
    )


def _searched(fields: list[Field]) -> dict[str, Any]:
    """Space, start and first trials of a search of one family, or of several together."""
    first = fields[0]
    if len(fields) == 1:
        start = first.defaults | first.given
        return {"space": first.space, "start": start, "firsts": ({}, *first.firsts)}
    names = tuple(one.name for one in fields)
    spaces = tuning.several({one.name: dict(one.space) for one in fields})
    begun = [{tuning.MODEL: name} for name in names]
    later = [
        {tuning.MODEL: one.name, **tuning.several({one.name: settings})}
        for settings_of_all in zip_longest(*(one.firsts for one in fields))
        for one, settings in zip(fields, settings_of_all, strict=True)
        if settings
    ]
    return {
        "space": {tuning.MODEL: Categorical(names), **spaces},
        "start": tuning.several({one.name: one.defaults | one.given for one in fields}),
        "firsts": (*begun, *later),
    }


_studies: dict[str, tuning.Study] = {}
_study_lock = threading.Lock()


def open_study(plan: SearchPlan) -> tuning.Study:
    """Study of a plan; a process opens its storage once."""
    with _study_lock:
        name = plan.search.name
        found = _studies.get(name)
        if found is None or found.search != plan.search:
            found = tuning.open_study(tuning.open_storage(settings(), name), plan.search)
            _studies.clear()
            _studies[name] = found
        return found


@task(name="plan trials", persist_result=False)
def plan_trials(plan: SearchPlan) -> list[int]:
    """Put the trials into the study; return the numbers of those that are not over."""
    left = open_study(plan).plan()
    log.info(
        "study %s: %d of %d trials to run, %d at once",
        plan.search.name,
        len(left),
        plan.search.n_trials,
        plan.at_once,
    )
    return left


@task(name="try hyperparameters", persist_result=False)
def try_trial(plan: SearchPlan, number: int) -> None:
    """Run one trial of the study, unless it is over or no time is left for it."""
    if is_in_time(plan):
        run_trial(plan, number)


def run_trial(plan: SearchPlan, number: int) -> tuning.Outcome:
    """Run one trial of the study in this process, unless it is over."""
    found = open_study(plan).run(number, objective(plan))
    metric, score = plan.search.metric, found.error if found.value is None else f"{found.value:.6g}"
    log.info("trial %d %s: %s %s with %s", number, found.state, metric, score, found.params)
    return found


def objective(plan: SearchPlan) -> Callable[[dict[str, Any]], Iterator[float]]:
    """Return the way from hyperparameters to the score after each step."""
    data, search = plan.data, plan.search

    def scores(params: dict[str, Any]) -> Iterator[float]:
        name, own = search.settings(params)
        if plan.threads and "n_jobs" in known_parameters(models.family(name), data.kind):
            own = {"n_jobs": plan.threads} | own

        recipe = replace(recipe_of(data, name), params=own)
        rows, validation = _arena(data)
        fit = partial(models.fit, recipe=recipe)
        return validation.scores(rows, data.target, search.metric, fit)

    return scores


_arenas: dict[str, tuple[Any, tuning.Validation]] = {}
_arena_lock = threading.Lock()


def _arena(data: DatasetReady) -> tuple[Any, tuning.Validation]:
    """Training rows and the steps of their validation; a process reads the latest ones once."""
    with _arena_lock:
        found = _arenas.get(data.features.digest)
        if found is None:
            rows = read_training_rows(data)
            steps = (rows[data.target], data.kind, data.seed, bonds_of(rows))
            found = rows, tuning.validation_of(*steps)
            _arenas.clear()
            _arenas[data.features.digest] = found
        return found


def percent(plan: SearchPlan) -> float:
    """How far the search is, by trials or by time, whichever is nearer to its end."""
    over = open_study(plan).outcomes()
    of_trials = len(over) / max(plan.search.n_trials, len(over))
    minutes = plan.data.options.minutes
    of_time = _spent(over) / plan.at_once / (60 * minutes) if minutes else 0.0
    return 100.0 * min(1.0, max(of_trials, of_time))


def _spent(over: list[tuning.Outcome]) -> float:
    return sum(one.seconds or 0.0 for one in over)


def is_in_time(plan: SearchPlan) -> bool:
    """Tell whether one more trial is expected to end in time; the first one always is."""
    minutes, over = plan.data.options.minutes, open_study(plan).outcomes()
    if minutes is None or not over:
        return True
    budget = selection.Budget(60 * minutes, plan.at_once)
    return budget.fits(_spent(over), _spent(over) / len(over))


def said(plan: SearchPlan) -> str:
    """Say how far the search is, and the best of it."""
    study = open_study(plan)
    over = study.outcomes()
    said = f"{len(over)} of {max(plan.search.n_trials, len(over))} trials"
    if any(one.state == "complete" for one in over):
        best = study.best()
        said += f", best {plan.search.metric} {best.value:.5g} in trial {best.number}"
    return said


def lines_of(plan: SearchPlan) -> pa.Table:
    """Return the trials that are over, a line for each, best and contract in the lineage."""
    study = open_study(plan)
    best = study.best()
    facts = {
        "problem": plan.data.problem,
        "study": plan.search.name,
        "metric": plan.search.metric,
        "best": best.number,
        "value": best.value,
        "params": best.params,
        "given": plan.data.options.model_params,
        "began": plan.began,
        **{name: plan.search.contract[name] for name in ("direction", "space", "data", "seed")},
    }
    return with_lineage(tuning.as_table(study.outcomes(), plan.search.space), facts)


@result_task("trials", name="keep trials")
def keep_trials(plan: SearchPlan) -> pa.Table:
    """Keep the trials as a result."""
    return lines_of(plan)


def study_finished(plan: SearchPlan) -> StudyFinished:
    """Announcement of a search, once its trials can be read back."""
    table, data = plan.table("trials"), plan.data
    name, best = plan.search.settings(lineage_of(results.schema(table))["params"])
    chosen = {"model": name, "model_params": plan.began[name] | best}
    options = data.options.model_copy(update=chosen)
    changed = data.model_copy(update={"options": options, "study": table})
    return StudyFinished(chain=data.chain, problem=data.problem, data=changed)


async def on_worker(data: DatasetReady, number: int) -> None:
    """Have a trial run as a deployment's run, wherever a worker takes it, and wait for it.

    A run that ended without a word is begun anew, as often as a stage's run is; then the trial
    counts as failed.
    """
    from prefect.deployments import run_deployment

    plan, name = plan_search(data), f"{TRIAL}/{TRIAL}"
    for attempt in range(ATTEMPTS):
        run = await run_deployment(  # type: ignore[misc]
            name,
            parameters={"data": data.payload(), "number": number},
            idempotency_key=f"{data.chain} {plan.search.name} {number} {attempt}",
            tags=[f"chain:{data.chain}", f"problem:{data.problem}"],
            poll_interval=_SECONDS_BETWEEN_LOOKS,
            timeout=None,
        )
        if run.state and run.state.is_completed():
            return
        reason = run.state.message if run.state else "no state"
        log.warning("trial %d: its run ended with %s", number, reason)
    open_study(plan).give_up(number, f"its run ended {ATTEMPTS} times: {reason}")
