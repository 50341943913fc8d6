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
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from baton import models, problems
from baton.evaluation import metrics
from baton.models.answers import output_of
from baton.terms import ROW, Kind

README = Path(__file__).parent.parent / "README.md"

_MONTHS = {"train": "2021-01", "test": "2021-02"}


@dataclass(frozen=True)
class Figure:
    """A figure of the README."""

    what: str
    metric: str
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


def _taxi(data: Path) -> dict[str, float]:
    """Of the problem's own model of the first month on the second."""
    return _scored("taxi", {**_MONTHS, "source": str(data / "taxi_green")})


def _linear(data: Path) -> dict[str, float]:
    """Of the courses' linear regression on the same trips, by the places and the distance."""
    values = {**_MONTHS, "source": str(data / "taxi_green"), "features": "pair"}
    return _scored("taxi", values, family="linear_regression", params={})


def _churn(data: Path, **rule: Any) -> dict[str, float]:
    """Of the problem's own model of whether a customer comes back."""
    url = str(data / "adventureworks" / "adventureworks.sqlite")
    return _scored("churn", {"url": url, **rule})


def _as_published(data: Path) -> dict[str, float]:
    return _churn(data, rule="as_coded", split="random")


@dataclass(frozen=True)
class Made:
    """Figures that are made together."""

    problem: str
    needs: str
    """What must be in the folder of the data."""
    make: Callable[[Path], dict[str, float]]
    figures: tuple[Figure, ...]


MADE = (
    Made(
        "taxi",
        "taxi_green",
        _taxi,
        (
            Figure(
                "error of taxi, in minutes",
                "rmse",
                r"square error is ([\d.]+\d) minutes; the courses",
            ),
        ),
    ),
    Made(
        "taxi",
        "taxi_green",
        _linear,
        (
            Figure(
                "error of the courses' linear regression, in minutes",
                "rmse",
                r"is known from have ([\d.]+\d) with their linear regression",
            ),
        ),
    ),
    Made(
        "churn",
        "adventureworks/adventureworks.sqlite",
        _churn,
        (
            Figure(
                "accuracy of churn", "accuracy", r"AdventureWorks that gives an accuracy of (\.\d+)"
            ),
            Figure("area under the curve of churn", "roc_auc", r"area under the curve of (\.\d+);"),
        ),
    ),
    Made(
        "churn",
        "adventureworks/adventureworks.sqlite",
        _as_published,
        (
            Figure(
                "accuracy of churn, by the original's rule and split",
                "accuracy",
                r"at random as there, it is (\.\d+) and",
            ),
            Figure(
                "area under the curve of churn, by the original's rule and split",
                "roc_auc",
                r"at random as there, it is \.\d+ and (\.\d+) \(published",
            ),
        ),
    ),
)


def _scored(
    name: str, values: dict[str, Any], family: str = "", params: dict[str, Any] | None = None
) -> dict[str, float]:
    """Metrics on the held-out rows, as the chain of a problem has them."""
    problem = problems.get(name)
    asked = problems.parse(problem, values)
    raw = problem.load(asked)
    goal, table = problem.goal(raw, asked), problem.features(raw, asked)
    split = problem.split(table, raw, asked)
    rows = table.drop(columns=ROW)
    recipe = models.Recipe(
        goal.target,
        goal.kind,
        family=family or goal.model,
        params=goal.model_params if params is None else params,
    )
    train, held = rows[split == "train"], rows[split == "test"]
    model = models.fit(train, recipe)
    truth, answer = held[goal.target].to_numpy(), output_of(model, held)
    if goal.kind is Kind.REGRESSION:
        return dict(metrics.regression(truth, answer))
    return dict(metrics.classification(truth, answer, model.classes))


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
    said = {figure: figure.said(text) for made in MADE for figure in made.figures}
    print(f"{'README':>8} {'made':>9}  figure")
    for made in MADE:
        if options.only not in (None, made.problem):
            continue
        if not (options.data / made.needs).exists():
            print(f"{made.problem} is skipped: {options.data / made.needs} is not there")
            is_whole = False
            continue
        found = made.make(options.data)
        for figure in made.figures:
            now = found[figure.metric]
            differs = "" if agrees(said[figure], now) else "  DIFFERS"
            is_whole &= not differs
            print(f"{said[figure]:>8} {now:>9.4f}  {figure.what}{differs}", flush=True)
    return 0 if is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
