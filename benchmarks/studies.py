"""Trials a second of two processes that share a study: Baton's journal beside Optuna as it is.

TPE over XGBoost's own space, and an objective that costs nothing; of each trial one score is told,
and asked whether it is hopeless. Optuna's processes share a database of SQLite and take new trials;
ours take numbers. All trials must be there at the end. In turn; processes began before the clock.

    .venv/bin/python benchmarks/studies.py
    .venv/bin/python benchmarks/studies.py --trials 60 --repeats 1
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
from row import Row, tell

from baton import models, tuning
from baton.settings import Settings
from baton.terms import Kind

TRIALS = 120
_PROCESSES = 2
_KIND = Kind.CLASSIFICATION
_MOST_SECONDS = 300


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    tell(rows(options.trials, options.repeats))


def rows(n_trials: int = TRIALS, repeats: int = 3) -> list[Row]:
    """Rows of the table of `make bench`."""
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for found, begin, work in zip(rates, (_begin, _stock), (_work, _stock_work), strict=True):
            found.append(n_trials / _seconds(begin, work, n_trials))
    own, stock = map(statistics.median, rates)
    what = f"{n_trials} trials of two processes on one study, none lost"
    by = "Optuna on SQLite"
    return [Row(what, own, stock, "trials/s", by, "≥ 150 trials/s", is_rate=True)]


def _seconds(begin: Callable[..., Any], work: Callable[..., None], n_trials: int) -> float:
    """From when two processes may begin to when both have ended."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="baton-") as folder:
        begin(Path(folder), n_trials)
        barrier = context.Barrier(_PROCESSES + 1)
        shares = [(Path(folder), n_trials, place, barrier) for place in range(_PROCESSES)]
        workers = [context.Process(target=work, args=share) for share in shares]
        for worker in workers:
            worker.start()
        barrier.wait(_MOST_SECONDS)
        began = time.perf_counter()
        for worker in workers:
            worker.join(_MOST_SECONDS)
        seconds = time.perf_counter() - began
        over = begin(Path(folder), n_trials)
        if over != n_trials or any(worker.exitcode for worker in workers):
            raise SystemExit(f"{over} of {n_trials} trials are over")
        return seconds


def _search(n_trials: int) -> tuning.Search:
    return tuning.Search(
        problem="studies",
        family="xgboost",
        kind=_KIND,
        metric="log_loss",
        space=tuning.chosen_space("xgboost", _KIND, {}, {}),
        data="none",
        seed=0,
        n_trials=n_trials,
        start=models.family("xgboost", _KIND).defaults(_KIND, 1000),
    )


def _study(folder: Path, n_trials: int) -> tuning.Study:
    search = _search(n_trials)
    return tuning.open_study(tuning.open_storage(Settings(home=folder), search.name), search)


def _begin(folder: Path, n_trials: int) -> int:
    study = _study(folder, n_trials)
    study.plan()
    return len(study.outcomes())


def _work(folder: Path, n_trials: int, place: int, barrier: Any) -> None:
    study = _study(folder, n_trials)
    barrier.wait(_MOST_SECONDS)
    for number in range(place, n_trials, _PROCESSES):
        study.run(number, _scores)


def _scores(params: dict[str, Any]) -> Iterator[float]:
    yield _score(params)


def _score(params: dict[str, Any]) -> float:
    numbers = [float(value) for value in params.values() if isinstance(value, int | float)]
    return sum((number - 1) ** 2 for number in numbers)


def _stock(folder: Path, _: int) -> int:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = _stock_study(folder)
    return sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def _stock_study(folder: Path) -> optuna.Study:
    url = f"sqlite:///{folder / 'study.db'}"
    return optuna.create_study(storage=url, study_name="stock", load_if_exists=True)


def _stock_work(folder: Path, n_trials: int, place: int, barrier: Any) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = _stock_study(folder)
    barrier.wait(_MOST_SECONDS)
    share = len(range(place, n_trials, _PROCESSES))
    study.optimize(_stock_objective, n_trials=share)


def _stock_objective(trial: optuna.Trial) -> float:
    space = _search(1).space
    score = _score({name: tuning.spaces.suggest(trial, name, of) for name, of in space.items()})
    trial.report(score, 0)
    if trial.should_prune():
        raise optuna.TrialPruned
    return score


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
