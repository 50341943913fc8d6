"""Exact Shapley values of a booster: Baton's tables beside the engine's own TreeSHAP.

XGBoost, 10 classes × 100 rounds, depth 6, some values missing; rates in rows a second, in turn. The
tables are made anew for every explanation, and that is part of their time; the engine explains a
part of the rows only, as it takes minutes for all. The greatest difference is printed, too.

    .venv/bin/python benchmarks/explaining.py
    .venv/bin/python benchmarks/explaining.py --rows 20000 --features 50
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import xgboost
from row import Row, growth, tell

from baton.evaluation import shapley
from baton.evaluation.shapley import boosters

ROWS = 100_000
ENGINE_ROWS = 1_000
FEATURES = (3, 50)
TARGETS = {3: "300 ×", 50: "20 ×"}
_CLASSES = 10


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--features", type=int, nargs="+", default=FEATURES)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    tell(rows(options.rows, options.features, options.repeats))


def rows(n_rows: int = ROWS, features: Sequence[int] = FEATURES, repeats: int = 3) -> list[Row]:
    """Rows of the table of `make bench`."""
    return [_row(n_rows, one, repeats) for one in features]


def _row(n_rows: int, n_features: int, repeats: int) -> Row:
    random = np.random.default_rng(0)
    model = _model(random, n_features)
    X = random.normal(size=(n_rows, n_features))
    X[random.random(X.shape) < 0.05] = np.nan
    few = X[: min(ENGINE_ROWS, n_rows)]
    sizes = (n_rows // 4, n_rows // 2, n_rows)
    shapley.shap_values(model, X[: n_rows // 4])  # compiles
    own: dict[int, list[float]] = {size: [] for size in sizes}
    engine: list[float] = []
    for _ in range(repeats):
        for size in sizes:
            own[size].append(_seconds(lambda size=size: shapley.shap_values(model, X[:size])))
        engine.append(_seconds(lambda: boosters.xgboost_values(model, few, feature_types=None)))
    apart = _difference(model, X, few)
    medians = [statistics.median(own[size]) for size in sizes]
    return Row(
        f"exact Shapley values, {n_rows:,} × {n_features} (differ by {apart:.0e})",
        n_rows / medians[-1],
        len(few) / statistics.median(engine),
        "rows/s",
        "XGBoost's pred_contribs",
        TARGETS.get(n_features, ""),
        growth(sizes, medians),
        is_rate=True,
    )


def _model(random: Any, n_features: int) -> Any:
    X = random.normal(size=(20_000, n_features))
    weights = random.normal(size=(n_features, _CLASSES))
    y = (X @ weights + random.normal(size=(len(X), _CLASSES))).argmax(axis=1)
    return xgboost.XGBClassifier(n_estimators=100, max_depth=6, learning_rate=0.1).fit(X, y)


def _difference(model: Any, X: Any, few: Any) -> float:
    wanted, _ = boosters.xgboost_values(model, few, feature_types=None)
    return float(np.abs(shapley.shap_values(model, X).values[: len(few)] - wanted).max())


def _seconds(run: Any) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
