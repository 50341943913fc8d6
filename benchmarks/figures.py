"""The figures of the README, made anew: each beside what the README says.

Every model is made as its command makes it: the problem's own reading, features, split, model and
metrics, with seed 0. The data are read from a folder: `taxi_green`, TLC's files of green taxis of
2021-01 and 2021-02, and `adventureworks/adventureworks.sqlite`. What is not there is skipped, and
said so. Prints a line for each figure; the exit code is 1 where one differs from the README by
more than one unit of its last digit, or could not be made.

    .venv/bin/python benchmarks/figures.py --data ../shared/data
    .venv/bin/python benchmarks/figures.py --data ../shared/data --only taxi
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from tables import made

from baton import models
from baton.evaluation import metrics
from baton.models.answers import output_of

README = Path(__file__).parent.parent / "README.md"


@dataclass(frozen=True)
class Figure:
    """A figure of the README."""

    metric: str
    what: str
    words: str
    """Regular expression of the README's words around it, white space as one; the group is it."""

    def said(self, text: str) -> Decimal:
        """What the README says, to its digits.

        Raises
        ------
        LookupError
            If the README no longer has these words, exactly once.
        """
        found = re.findall(self.words, " ".join(text.split()))
        if len(found) != 1:
            raise LookupError(f"the README says {len(found)} times: {self.words}")
        return Decimal(found[0])


@dataclass(frozen=True)
class Made:
    """Figures that one model has on its held-out rows."""

    problem: str
    values: dict[str, str]
    """Parameters, but for where the data are."""
    figures: tuple[Figure, ...]
    family: str = ""
    """Family of models; the problem's own, with its hyperparameters, if none is named."""

    def source(self, data: Path) -> Path:
        """What must be in the folder of the data."""
        return data / _SOURCES[self.problem][1]

    def scores(self, data: Path) -> dict[str, float]:
        """Each figure's metric, made anew."""
        place = {_SOURCES[self.problem][0]: str(self.source(data))}
        goal, rows = made(self.problem, self.values | place)
        recipe = (
            rows.recipe(self.family)
            if self.family
            else rows.recipe(goal.model, **goal.model_params)
        )
        model = models.fit(rows.train, recipe)
        truth, output = rows.test[rows.target].to_numpy(), output_of(model, rows.test)
        return {
            one.metric: metrics.score(one.metric, truth, output, model.classes)
            for one in self.figures
        }


_SOURCES = {
    "taxi": ("source", "taxi_green"),
    "churn": ("url", "adventureworks/adventureworks.sqlite"),
}
"""Parameter by which each problem is told where its data are, and what they are called."""

_MONTHS = {"train": "2021-01", "test": "2021-02"}

MADE = (
    Made(
        "taxi",
        _MONTHS,
        (Figure("rmse", "error in minutes", r"square error is ([\d.]+\d) minutes; the courses"),),
    ),
    Made(
        "taxi",
        _MONTHS | {"features": "pair"},
        (
            Figure(
                "rmse",
                "error in minutes of the courses' linear regression",
                r"is known from have ([\d.]+\d) with their linear regression",
            ),
        ),
        family="linear_regression",
    ),
    Made(
        "churn",
        {},
        (
            Figure("accuracy", "accuracy", r"AdventureWorks that gives an accuracy of (\.\d+)"),
            Figure("roc_auc", "area under the curve", r"area under the curve of (\.\d+);"),
        ),
    ),
    Made(
        "churn",
        {"rule": "as_coded", "split": "random"},
        (
            Figure(
                "accuracy",
                "accuracy by the original's rule and split",
                r"at random as there, it is (\.\d+) and",
            ),
            Figure(
                "roc_auc",
                "area under the curve by the original's rule and split",
                r"at random as there, it is \.\d+ and (\.\d+) \(published",
            ),
        ),
    ),
)


def agrees(said: Decimal, found: float) -> bool:
    """Whether a figure differs from what is said by no more than one unit of the last digit."""
    unit = Decimal(1).scaleb(int(said.as_tuple().exponent))
    return abs(Decimal(str(found)).quantize(unit) - said) <= unit


def main() -> int:
    """Make them, and say which differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the data")
    parser.add_argument("--only", choices=sorted({one.problem for one in MADE}), help="a problem")
    options = parser.parse_args()
    if not options.data.is_dir():
        parser.error(f"there is no folder {options.data}")
    text, is_whole = README.read_text("utf-8"), True
    said = {figure: figure.said(text) for one in MADE for figure in one.figures}
    print(f"{'README':>8} {'made':>9}  figure")
    for one in MADE:
        if options.only not in (None, one.problem):
            continue
        if not one.source(options.data).exists():
            print(f"{one.problem} is skipped: {one.source(options.data)} is not there")
            is_whole = False
            continue
        scores = one.scores(options.data)
        for figure in one.figures:
            now = scores[figure.metric]
            differs = "" if agrees(said[figure], now) else "  DIFFERS"
            is_whole &= not differs
            print(
                f"{said[figure]:>8} {now:>9.4f}  {one.problem}, {figure.what}{differs}", flush=True
            )
    return 0 if is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
