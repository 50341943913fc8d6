"""Seconds that the default model takes beside a plain script with the same two boosters, in turn.

The script encodes nothing but category codes; each booster is fitted on 85 % of the training rows
with a patience of 100 trees, then on all of them with the number of trees found. Prints for each
table both CPU seconds and their ratio, both wall seconds, and four times the seconds that a plain
script once took on a quiet machine of two cores. On a busy machine CPU seconds alone say something,
and those of one thread most: `--threads 1`.

    .venv/bin/python benchmarks/fit_seconds.py --data ../shared/data/tables --threads 1
    .venv/bin/python benchmarks/fit_seconds.py --data ../shared/data/tables --only mpg,taxis
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tables import FIGURES, Rows, parser_of, rows_of

from baton import models
from baton.terms import Kind, Quality

_TREES = 1000
_PATIENCE = 100
_WATCHED = 0.15


def plain_script(rows: Rows, n_jobs: int | None) -> None:
    """Fit both boosters of arXiv 2407.04491 by their libraries alone."""
    import lightgbm
    import xgboost
    from sklearn.model_selection import train_test_split

    is_class = rows.kind is Kind.CLASSIFICATION
    X, y = plain_columns(rows), rows.train[rows.target].to_numpy()
    if is_class:
        y = np.unique(y.astype(str), return_inverse=True)[1]
    fitted, watched = train_test_split(np.arange(len(y)), test_size=_WATCHED, random_state=0)
    ours, theirs = defaults(is_class)
    common = {"enable_categorical": True, "tree_method": "hist", "n_jobs": n_jobs}
    engine = xgboost.XGBClassifier if is_class else xgboost.XGBRegressor
    tried = engine(n_estimators=_TREES, early_stopping_rounds=_PATIENCE, **common, **ours)
    held = X.iloc[watched], y[watched]
    tried.fit(X.iloc[fitted], y[fitted], eval_set=[held], verbose=False)
    engine(n_estimators=tried.best_iteration + 1, **common, **ours).fit(X, y)
    engine = lightgbm.LGBMClassifier if is_class else lightgbm.LGBMRegressor
    common = {"n_jobs": n_jobs, "verbosity": -1}
    patience = lightgbm.early_stopping(_PATIENCE, verbose=False)
    tried = engine(n_estimators=_TREES, **common, **theirs)
    watching = {"eval_X": held[0], "eval_y": held[1], "callbacks": [patience]}
    tried.fit(X.iloc[fitted], y[fitted], **watching)
    engine(n_estimators=tried.best_iteration_ or _TREES, **common, **theirs).fit(X, y)


def plain_columns(rows: Rows) -> Any:
    """Columns as both libraries take them."""
    from pandas.api import types

    table = rows.train.drop(columns=rows.target)
    for name, values in table.items():
        if types.is_datetime64_any_dtype(values.dtype):
            table[name] = values.astype("int64")
        elif not types.is_numeric_dtype(values.dtype):
            table[name] = values.astype(str).astype("category")
    return table


def defaults(is_class: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Published defaults of XGBoost and of LightGBM."""
    if is_class:
        ours = {"learning_rate": 0.08, "max_depth": 6, "min_child_weight": 5e-6, "reg_lambda": 0}
        ours |= {"subsample": 0.65, "colsample_bylevel": 0.9}
        theirs = {"learning_rate": 0.04, "num_leaves": 50, "min_child_samples": 40}
        return ours, theirs | {"subsample": 0.75, "subsample_freq": 1}
    ours = {"learning_rate": 0.05, "max_depth": 9, "min_child_weight": 2, "reg_lambda": 0}
    theirs = {"learning_rate": 0.05, "num_leaves": 100, "min_child_samples": 3}
    return ours | {"subsample": 0.7}, theirs | {"subsample": 0.7, "subsample_freq": 1}


def seconds_of(fit: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall seconds of a fit."""
    cpu, wall = time.process_time(), time.perf_counter()
    fit()
    return time.process_time() - cpu, time.perf_counter() - wall


def measured(name: str, folder: Path, n_jobs: int | None) -> str:
    """One line of the table."""
    figure = FIGURES[name]
    rows = rows_of(figure, folder, 0)
    params = {} if n_jobs is None else {"n_jobs": n_jobs}
    recipe = rows.recipe(Quality.GOOD.family, **params)
    plain = seconds_of(lambda: plain_script(rows, n_jobs))
    good = seconds_of(lambda: models.fit(rows.train, recipe))
    limit = 4 * (figure.seconds or 0)
    return (
        f"{name:<19}{plain[0]:>10.2f}{good[0]:>9.2f}{good[0] / plain[0]:>7.2f}"
        f"{plain[1]:>12.2f}{good[1]:>10.2f}{good[1] / plain[1]:>7.2f}{limit:>7.1f}"
    )


HEADING = (
    f"{'table':<19}{'plain cpu':>10}{'good':>9}{'ratio':>7}{'plain wall':>12}{'good':>10}"
    f"{'ratio':>7}{'4x s':>7}"
)


def main() -> None:
    """Measure and print; the first table is fitted twice, for what is imported by the first."""
    parser = parser_of(__doc__, [name for name, figure in FIGURES.items() if figure.seconds])
    parser.add_argument("--threads", type=int, help="of each fit; by default the libraries' own")
    options = parser.parse_args()
    measured(options.only[0], options.data, options.threads)
    print(HEADING, flush=True)
    for name in options.only:
        print(measured(name, options.data, options.threads), flush=True)


if __name__ == "__main__":
    main()
