"""Permutation importance of a booster: Baton's bit vectors beside scikit-learn's function.

XGBoost, 10 classes × 100 rounds, depth 6, some values missing; log loss, 5 shuffles of each column,
in turn. Tables are made anew each time, and are part of our time. The greatest difference of the
importances of the same seed is printed, too.

    .venv/bin/python benchmarks/importance_of.py
    .venv/bin/python benchmarks/importance_of.py --features 50 --rows 10000
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from row import Row, in_turn, tell
from sklearn.inspection import permutation_importance as ordinary

from baton import models
from baton.evaluation.importance import permutation_importance
from baton.terms import Kind

ROWS = {3: 20_000, 50: 4_000}
"""Held-out rows by the number of columns: scikit-learn takes long for more."""

TARGETS = {3: "8 ×", 50: "3 ×"}
_CLASSES = 10
_LEARNT_ROWS = 10_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int)
    parser.add_argument("--features", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    asked = {one: options.rows or ROWS.get(one, 4_000) for one in options.features}
    tell(rows(asked, options.repeats))


def rows(n_rows: Mapping[int, int] = ROWS, repeats: int = 2) -> list[Row]:
    """Rows of the table of `make bench`."""
    return [_row(size, n_features, repeats) for n_features, size in n_rows.items()]


def _row(n_rows: int, n_features: int, repeats: int) -> Row:
    table = _table(n_rows + _LEARNT_ROWS, n_features)
    model, held_out = _model(table[:_LEARNT_ROWS]), table[_LEARNT_ROWS:]
    found: dict[str, Any] = {}
    own, theirs = in_turn(
        lambda: found.update(own=_ours(model, held_out).raw),
        lambda: found.update(theirs=_ordinary(model, held_out).importances),
        repeats,
    )
    apart = float(np.abs(found["own"] - found["theirs"]).max())
    return Row(
        f"permutation importance, {n_rows:,} × {n_features} (differ by {apart:.0e})",
        own,
        theirs,
        "s",
        "sklearn.inspection",
        TARGETS.get(n_features, ""),
    )


def _table(n_rows: int, n_features: int) -> pd.DataFrame:
    random = np.random.default_rng(0)
    X = random.normal(size=(n_rows, n_features))
    weights = random.normal(size=(n_features, _CLASSES))
    y = (X @ weights + random.normal(size=(n_rows, _CLASSES))).argmax(axis=1)
    X[random.random(X.shape) < 0.05] = np.nan
    return pd.DataFrame(X, columns=[f"x{place}" for place in range(n_features)]).assign(y=y)


def _model(learnt: pd.DataFrame) -> Any:
    params = {"n_estimators": 100, "max_depth": 6, "learning_rate": 0.1, "early_stopping": False}
    recipe = models.Recipe("y", Kind.CLASSIFICATION, family="xgboost", params=params)
    return models.fit(learnt, recipe)


def _ours(model: Any, held_out: pd.DataFrame) -> Any:
    return permutation_importance(model, held_out.drop(columns="y"), held_out["y"], "log_loss")


def _ordinary(model: Any, held_out: pd.DataFrame) -> Any:
    matrix = model.matrix(held_out.drop(columns="y"))
    how = {"scoring": "neg_log_loss", "n_repeats": 5, "random_state": 0}
    return ordinary(model.estimator, matrix, held_out["y"].to_numpy(), **how)


if __name__ == "__main__":
    main()
