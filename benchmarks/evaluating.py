"""How long the stage `evaluate` takes: of a small table, and of one with many classes.

Chains beside a `baton up` of its own, with BATON_FAST=1 and BATON_FAST=0 in turn; medians of the
seconds from the stage's first line to its end, as `baton run --json` tells them. Each chain has
another seed, so that nothing is there already. The table of 26 classes is scikit-learn's
`make_classification`, 20,000 rows of 16 columns, as large as the letters of UCI; it is learnt by 50
rounds of XGBoost, 1,300 trees.

    .venv/bin/python benchmarks/evaluating.py
    .venv/bin/python benchmarks/evaluating.py --repeats 1
"""

from __future__ import annotations

import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
from chain import told
from row import Row, repeats_asked, tell
from sklearn.datasets import make_classification
from standing import Standing

REPEATS = 3
_ROWS, _COLUMNS, _CLASSES = 20_000, 16, 26
_LEARNT = ["-p", "model=xgboost", "-p", 'model_params={"n_estimators": 50}']


def main() -> None:
    """Measure and print."""
    tell(rows(repeats_asked(__doc__ or "", REPEATS)))


def rows(repeats: int = REPEATS) -> list[Row]:
    """Rows of the table of `make bench`."""
    with tempfile.TemporaryDirectory(prefix="baton-") as folder, ExitStack() as stack:
        letters = Path(folder, "letters.csv")
        _letters().to_csv(letters, index=False)
        made = [Standing(Path(folder, fast), {"BATON_FAST": fast}) for fast in "10"]
        homes = [stack.enter_context(one) for one in made]
        asked = {
            "iris": (["iris"], "≤ 1 s"),
            f"{_ROWS:,} × {_COLUMNS} of {_CLASSES} classes": (
                ["table", "-p", f"path={letters}", "-p", "target=letter", *_LEARNT],
                "≤ 6 s",
            ),
        }
        return [
            _row(what, words, target, homes, repeats) for what, (words, target) in asked.items()
        ]


def _row(what: str, words: list[str], target: str, homes: list[Standing], repeats: int) -> Row:
    taken: tuple[list[float], list[float]] = ([], [])
    for seed in range(repeats + 1):
        for home, found in zip(homes, taken, strict=True):
            seconds = _evaluated(home, [*words, "-p", f"seed={seed}"])
            if seed:  # the first one imports what others find imported
                found.append(seconds)
    fast, slow = map(statistics.median, taken)
    return Row(f"the stage `evaluate`, {what}", fast, slow, "s", "BATON_FAST=0", target)


def _evaluated(home: Standing, words: list[str]) -> float:
    """Seconds of the stage in a chain."""
    stages = told(words, home.environment)["stages"]
    return next(float(one["seconds"]) for one in stages if one["stage"] == "evaluate")


def _letters() -> pd.DataFrame:
    points, classes = make_classification(
        _ROWS,
        _COLUMNS,
        n_informative=_COLUMNS - 4,
        n_classes=_CLASSES,
        n_clusters_per_class=1,
        random_state=0,
    )
    names = [f"x{place}" for place in range(_COLUMNS)]
    letters = [chr(ord("A") + one) for one in classes]
    return pd.DataFrame(points, columns=names).round(4).assign(letter=letters)


if __name__ == "__main__":
    main()
