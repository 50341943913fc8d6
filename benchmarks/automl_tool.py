"""One tool in its own environment: it learns a table, answers another, and says what that took.

Started by ``automl.py``, for each tool with the interpreter of that tool's environment, so nothing
but numpy and pandas is imported before it is known which one is asked for.

    python automl_tool.py TOOL FOLDER [SECONDS]

The folder holds ``train.parquet``, ``test.parquet`` and ``task.json``; it gets ``output.npy``, the
probabilities in the order of the task's classes or numbers, and ``took.json``.
"""

import json
import pickle
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

CALLS = 3
"""How often the held-out rows are answered; the quickest counts."""
AUTOGLUONS = {"rmse": "root_mean_squared_error"}
"""Its names of metrics, where they are others."""


@dataclass(frozen=True)
class Task:
    """What is asked of a tool."""

    target: str
    classes: list[str]
    """Empty where the target is a number."""
    metric: str
    seconds: float | None
    folder: Path
    """Where a model may be kept."""

    def places(self, classes):
        """Where a tool's order of classes has those of the task."""
        return [list(classes).index(one) for one in self.classes]

    def kind(self, kinds):
        """Whether classes or numbers are predicted, in Baton's terms."""
        return kinds.CLASSIFICATION if self.classes else kinds.REGRESSION


@dataclass(frozen=True)
class Learnt:
    """What a tool made of a table."""

    answer: Callable
    """From rows to probabilities, in the order of the task's classes, or numbers."""
    n_bytes: Callable
    """Of the model at rest."""


def main():
    """Fit, answer, write."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    told = json.loads((folder / "task.json").read_text())
    seconds = float(sys.argv[3]) if sys.argv[3:] else None
    task = Task(**told, seconds=seconds, folder=folder / "model")
    train, test = (pd.read_parquet(folder / f"{one}.parquet") for one in ("train", "test"))
    test = test.drop(columns=task.target)
    fit_seconds, learnt = _timed(lambda: TOOLS[name](train, task))
    answers = [_timed(lambda: learnt.answer(test)) for _ in range(CALLS)]
    np.save(folder / "output.npy", np.asarray(answers[0][1], dtype=float))
    took = {
        "fit_seconds": fit_seconds,
        "rows_per_second": len(test) / min(seconds for seconds, _ in answers),
        "bytes": learnt.n_bytes(),
        "memory_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
    (folder / "took.json").write_text(json.dumps(took))


def _timed(work):
    begun = time.perf_counter()
    done = work()
    return time.perf_counter() - begun, done


def _bytes_in(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def good(train, task):
    """Learn as `baton run table` does."""
    from baton import models
    from baton.terms import Kind, Quality

    recipe = models.Recipe(task.target, task.kind(Kind), family=Quality.GOOD.family)
    return _learnt(models.fit(train, recipe), task)


def best(train, task):
    """Choose the best of several candidates for the time given."""
    from tables import Rows, best_of

    from baton.terms import Kind

    rows = Rows(train, train[:0], task.target, task.kind(Kind))
    return _learnt(best_of(rows, task.metric, task.seconds / 60, seed=0).model, task)


def _learnt(fitted, task):
    """One of Baton's own models."""
    from baton.models.answers import output_of

    def answer(rows):
        output = output_of(fitted, rows)
        return output[:, task.places(fitted.classes)] if task.classes else output

    def n_bytes():
        fitted.save(task.folder)
        return _bytes_in(task.folder)

    return Learnt(answer, n_bytes)


def autogluon(train, task):
    """Learn by its preset of medium quality, with three libraries of boosted trees."""
    from autogluon.tabular import TabularPredictor

    predictor = TabularPredictor(
        task.target,
        {0: "regression", 2: "binary"}.get(len(task.classes), "multiclass"),
        eval_metric=AUTOGLUONS.get(task.metric, task.metric),
        path=str(task.folder),
        verbosity=0,
    ).fit(
        train,
        presets="medium_quality",
        time_limit=task.seconds,
        hyperparameters={"GBM": {}, "CAT": {}, "XGB": {}},
    )

    def answer(rows):
        return (
            predictor.predict_proba(rows)[task.classes] if task.classes else predictor.predict(rows)
        )

    return Learnt(answer, lambda: _bytes_in(task.folder))


def flaml(train, task):
    """Learn by its search, for the time given."""
    from flaml import AutoML

    automl = AutoML()
    automl.fit(
        train.drop(columns=task.target),
        train[task.target],
        task="classification" if task.classes else "regression",
        metric=task.metric,
        time_budget=task.seconds,
        seed=0,
        verbose=0,
    )

    def answer(rows):
        if not task.classes:
            return automl.predict(rows)
        return automl.predict_proba(rows)[:, task.places(automl.classes_)]

    return Learnt(answer, lambda: len(pickle.dumps(automl.model)))


TOOLS = {"good": good, "best": best, "autogluon": autogluon, "flaml": flaml}

if __name__ == "__main__":
    main()
