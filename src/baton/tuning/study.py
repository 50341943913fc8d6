"""A study: numbered trials that several processes take, each of them once.

The trials of a study are put into its storage before any of them runs, so that a number stands
for one trial for ever: who takes a number that a killed process had goes on with the same
hyperparameters, and a finished number is never run again.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from baton.errors import InputError
from baton.tuning.search import MODEL, Search
from baton.tuning.spaces import distributions, holds, suggest
from baton.tuning.storage import together

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

CONTRACT = "baton"
"""Attribute of a study: what all its trials have in common."""

ERROR = "error"
"""Attribute of a trial that crashed: why, in one line."""

_STARTUP_TRIALS = 5
_LONGEST_ERROR = 500

Objective = Callable[[dict[str, Any]], Iterator[float]]
"""From hyperparameters to the score after each step; the last one counts."""


@dataclass(frozen=True)
class Outcome:
    """One trial that is over."""

    number: int
    state: str
    """``complete``, ``pruned`` or ``fail``."""
    value: float | None
    params: dict[str, Any]
    began: datetime | None
    ended: datetime | None
    error: str = ""

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        return (self.ended - self.began).total_seconds() if self.began and self.ended else None


def open_study(storage: BaseStorage, search: Search) -> Study:
    """Open a study, or begin it; nothing of one that is there is changed but added to.

    Raises
    ------
    InputError
        If there is one of that name that is not of this search.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    direction: Any = "maximize" if search.is_maximized else "minimize"
    found = optuna.create_study(
        storage=storage, study_name=search.name, direction=direction, load_if_exists=True
    )
    known, wanted = found.user_attrs.get(CONTRACT), json.loads(json.dumps(search.contract))
    if (
        known is None
        and not found.trials
        and [d.name.lower() for d in found.directions] == [direction]
    ):
        found.set_user_attr(CONTRACT, wanted)
    elif known != wanted:
        raise InputError(
            f"study {search.name!r} is of another search: {_differences(found, known, wanted)};"
            " it was left as it is: name another by -p study=NAME"
        )
    return Study(found, storage, search)


def _differences(found: optuna.Study, known: Any, wanted: dict[str, Any]) -> str:
    if not isinstance(known, dict):
        directions = ", ".join(one.name.lower() for one in found.directions)
        return f"Baton did not begin it ({len(found.trials)} trials, direction {directions})"
    other = [name for name in wanted if known.get(name) != wanted[name]]
    return "; ".join(_difference(name, known.get(name), wanted[name]) for name in other)


def _difference(name: str, known: Any, wanted: Any) -> str:
    if isinstance(wanted, dict):
        keys = sorted({*wanted, *(known or {})})
        names = [key for key in keys if (known or {}).get(key) != wanted.get(key)]
        return f"its {name} differs in {', '.join(names)}"
    return f"its {name} is {known!s:.40}, now {wanted!s:.40}"


@dataclass(frozen=True)
class Study:
    """A study that is open in this process."""

    inner: optuna.Study
    storage: BaseStorage
    search: Search

    def plan(self) -> list[int]:
        """Put the trials that are wanted into the storage, and return the numbers still to run.

        One process does this at a time.
        """
        standing = self.inner.get_trials(deepcopy=False)
        for number in range(len(standing), self.search.n_trials):
            self.inner.enqueue_trial(self._first(number))
        return [
            trial.number
            for trial in self.inner.get_trials(deepcopy=False)
            if not trial.state.is_finished()
        ]

    def _first(self, number: int) -> dict[str, Any]:
        """Hyperparameters of one of the first trials; none of a later one.

        The very first are those that count where nothing is searched.
        """
        if number >= len(self.search.firsts):
            return {}
        wanted = self.search.start | self.search.firsts[number]
        model = wanted.get(MODEL)
        space = distributions(self.search.active(model))
        held = {k: wanted[k] for k, of in space.items() if k in wanted and holds(of, wanted[k])}
        return held | ({MODEL: model} if self.search.is_of_several else {})

    def run(self, number: int, objective: Objective) -> Outcome:
        """Run a trial, unless it is over: then its outcome is returned.

        The caller sees to it that no living process has the number. An exception of the objective
        is the trial's end, not the study's.

        Parameters
        ----------
        number : int
        objective : callable
        """
        from optuna import TrialPruned
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        trial = self._claim(number)
        if trial is None:
            return self.outcome(number)
        try:
            value = self._watched(trial, objective(self._ask(trial)))
        except UpdateFinishedTrialError:
            pass  # it was given up, and somebody else had it: that one counts
        except TrialPruned:
            self._tell(number, TrialState.PRUNED)
        except Exception as error:  # noqa: BLE001  whatever it is, it ends this trial only
            trial.set_user_attr(ERROR, _one_line(error))
            self._tell(number, TrialState.FAIL)
        else:
            self._tell(number, None, value)
        return self.outcome(number)

    def give_up(self, number: int, reason: str) -> Outcome:
        """End a trial whose process ended again and again."""
        from optuna.trial import TrialState

        trial = self._claim(number)
        if trial is not None:
            trial.set_user_attr(ERROR, reason)
            self._tell(number, TrialState.FAIL)
        return self.outcome(number)

    def _claim(self, number: int) -> optuna.Trial | None:
        """Trial of that number, running; None if it is over."""
        import optuna
        from optuna.trial import TrialState

        seeded = self._seeded(number)
        # Read from this very study: Optuna's cache of a database writes to no trial unread.
        state = seeded.get_trials(deepcopy=False)[number].state
        if state.is_finished():
            return None
        study = self.storage.get_study_id_from_name(self.inner.study_name)
        known = self.storage.get_trial_id_from_study_id_trial_number(study, number)
        if state is TrialState.WAITING:
            self.storage.set_trial_state_values(known, TrialState.RUNNING)
        return optuna.Trial(seeded, known)

    def _seeded(self, number: int) -> optuna.Study:
        """Study whose sampler draws what this trial of this seed draws, in whatever process."""
        import optuna

        text = f"{self.search.seed} {number}".encode()
        seed = int.from_bytes(hashlib.sha256(text).digest()[:4])
        return optuna.load_study(
            study_name=self.inner.study_name,
            storage=self.storage,
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_STARTUP_TRIALS),
        )

    def _ask(self, trial: optuna.Trial) -> dict[str, Any]:
        """Hyperparameters of a trial; the first ones leave to the family what they do not set."""
        fixed, search = self._first(trial.number), self.search
        model = suggest(trial, MODEL, search.space[MODEL]) if search.is_of_several else None
        space = {k: v for k, v in search.active(model).items() if not fixed or k in fixed}
        with together(self.storage):
            found = {name: suggest(trial, name, of) for name, of in space.items()}
        return search.start | found | ({MODEL: model} if search.is_of_several else {})

    def _watched(self, trial: optuna.Trial, scores: Iterator[float]) -> float:
        """Return the last score, giving the trial up where others were better at its step."""
        from optuna import TrialPruned

        value, known = float("nan"), self._frozen(trial.number).intermediate_values
        for step, value in enumerate(scores):
            if not math.isfinite(value):
                raise ValueError(f"the score of step {step} is {value}")
            if step not in known:  # a process that was killed had told it
                trial.report(value, step)
            if trial.should_prune():
                raise TrialPruned
        return value

    def _tell(self, number: int, state: Any, value: float | None = None) -> None:
        self.inner.tell(number, value, state, skip_if_finished=True)

    def _frozen(self, number: int) -> FrozenTrial:
        return self.inner.get_trials(deepcopy=False)[number]

    def outcome(self, number: int) -> Outcome:
        """How a trial ended."""
        return _outcome(self._frozen(number))

    def outcomes(self) -> list[Outcome]:
        """Every trial that is over, in the order of their numbers."""
        trials = self.inner.get_trials(deepcopy=False)
        return [_outcome(trial) for trial in trials if trial.state.is_finished()]

    def best(self) -> Outcome:
        """Return the trial of the best score.

        Raises
        ------
        InputError
            If none came to a score.
        """
        scored = [one for one in self.outcomes() if one.state == "complete"]
        if not scored:
            errors = [one.error for one in self.outcomes() if one.error]
            reason = f": {errors[0]}" if errors else ""
            raise InputError(f"study {self.search.name!r}: no trial came to a score{reason}")
        sign = -1 if self.search.is_maximized else 1
        return min(scored, key=lambda one: (sign * (one.value or 0.0), one.number))


def _outcome(trial: FrozenTrial) -> Outcome:
    return Outcome(
        number=trial.number,
        state=trial.state.name.lower(),
        value=trial.value,
        params=dict(trial.params),
        began=trial.datetime_start,
        ended=trial.datetime_complete,
        error=str(trial.user_attrs.get(ERROR, "")),
    )


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:_LONGEST_ERROR]
