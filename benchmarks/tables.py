"""The default models of `baton run table` on public tables, beside Baton 0.1 and a plain XGBoost.

Each table is read, split and scored by Baton's own code, as `baton run table` does with seed 0.
Prints for each table the figure on held-out rows of Baton 0.1, of the mean of two boosters with
published defaults (both as measured once, see FIGURES), of XGBoost with its library's defaults,
and of `fast` and `good`; a standard error of `good` by a bootstrap over the held-out rows, that of
its difference to the plain XGBoost on the same rows, and the seconds to fit.

With `--quality best`, `best` stands beside `good`: its figure, by how much it is better and the
standard error of that on the same rows, how it is mixed, its members, its seconds in all, and the
figure, bytes and seconds to predict where each member is the mean of its folds' models instead
(`--bagged`).

    .venv/bin/python benchmarks/tables.py --data ../shared/data/tables
    .venv/bin/python benchmarks/tables.py --data ../shared/data/tables --only mpg,taxis
    .venv/bin/python benchmarks/tables.py --data ../shared/data/tables --quality best --minutes 5
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from baton import models, problems, selection
from baton.bonds import bonds_of
from baton.evaluation import metrics
from baton.models.answers import output_of
from baton.models.fitted import targets
from baton.models.mixing import mixed
from baton.terms import DEFAULT_MINUTES, ROW, Kind, Quality

_RESAMPLES = 300


@dataclass(frozen=True)
class Figure:
    """What was measured on a table before."""

    file: str
    target: str
    metric: str
    before: float | None
    """Baton 0.1's default; None where it refused the table."""
    mean: float | None
    """XGBoost and LightGBM with the tuned defaults of arXiv 2407.04491, averaged."""
    seconds: float | None
    """To fit both, on a quiet machine of two cores."""
    test_file: str = ""


FIGURES = {
    "mpg": Figure("mpg.csv", "mpg", "rmse", 6.680, 2.546, 0.2),
    "beijing_pm25": Figure("beijing_pm25.csv", "pm2.5", "rmse", 42.99, 31.35, 9),
    "bike_hour": Figure("bike_hour.csv", "cnt", "rmse", 4.822, 3.300, 5),
    "taxis": Figure("taxis.csv", "total", "rmse", 1.582, 1.243, 1.5),
    "abalone": Figure("abalone.csv", "rings", "rmse", 2.199, 2.175, 0.6),
    "wine_quality_white": Figure(
        "wine_quality_white.csv", "quality", "log_loss", 0.947, 0.931, 1.8
    ),
    "phoneme": Figure("phoneme.csv", "nasal", "roc_auc", 0.9483, 0.9572, 0.6),
    "magic": Figure("magic_train.csv", "class", "roc_auc", 0.9382, 0.9426, 2.1, "magic_test.csv"),
    "bank_marketing": Figure("bank_marketing.csv", "y", "roc_auc", 0.9498, 0.9518, 1.2),
    "online_shoppers": Figure("online_shoppers.csv", "Revenue", "roc_auc", 0.9336, 0.9366, 0.6),
    "mammography": Figure("mammography.csv", "calcification", "roc_auc", 0.9477, 0.9513, 0.5),
    "sms_spam": Figure("sms_spam.tsv", "label", "roc_auc", None, None, None),
}
"""Measured on the split of seed 0, in November 2026, with Baton 0.1 and with a plain script."""


class _Parser(argparse.ArgumentParser):
    """Refuses a folder that has not the files of the tables that were asked for."""

    def parse_args(self, *arguments: Any, **options: Any) -> argparse.Namespace:  # type: ignore[override]
        found: argparse.Namespace = super().parse_args(*arguments, **options)
        if found.data is not None:
            asked = [FIGURES[name] for name in found.only]
            wanted = [name for one in asked for name in (one.file, one.test_file) if name]
            if missing := [one for one in wanted if not (found.data / one).is_file()]:
                self.error(f"there is no {', '.join(missing)} in {found.data}: name its folder")
        return found


def parser_of(
    description: str | None, known: Iterable[str] = FIGURES, *, is_required: bool = True
) -> argparse.ArgumentParser:
    """Command line of what measures on these tables: where they are, and the names of some."""

    def chosen(names: str) -> list[str]:
        found = names.split(",")
        if unknown := [one for one in found if one not in FIGURES]:
            raise argparse.ArgumentTypeError(
                f"no such table: {', '.join(unknown)}; there are {', '.join(FIGURES)}"
            )
        return found

    parser = _Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=is_required, help="folder of the tables")
    parser.add_argument(
        "--only", type=chosen, default=list(known), help="names of tables, a,b; all if not given"
    )
    return parser


@dataclass(frozen=True)
class Rows:
    """One table, as the chain's first stage makes it."""

    train: Any
    test: Any
    target: str
    kind: Kind

    def recipe(self, family: str, **params: Any) -> models.Recipe:
        """What is to be learnt of these rows."""
        return models.Recipe(self.target, self.kind, family=family, params=params)


def rows_of(figure: Figure, folder: Path, seed: int) -> Rows:
    """Read, make and split a table by the problem's own code."""
    values = {"path": folder / figure.file, "target": figure.target, "seed": seed}
    if figure.test_file:
        values["test_path"] = folder / figure.test_file
    return made("table", values)[1]


def made(name: str, values: dict[str, Any]) -> tuple[problems.Goal, Rows]:
    """What a problem wants to know, and its rows, read, made and split by its own code."""
    problem = problems.get(name)
    params = problems.parse(problem, values)
    raw = problem.load(params)
    goal, table = problem.goal(raw, params), problem.features(raw, params)
    split = problem.split(table, raw, params)
    rows = table.drop(columns=ROW)
    return goal, Rows(rows[split == "train"], rows[split == "test"], goal.target, goal.kind)


def plain_xgboost(rows: Rows) -> models.FittedModel:
    """XGBoost with its library's defaults on all training rows, categories natively."""
    return models.fit(rows.train, rows.recipe("xgboost", **_LIBRARYS))


_LIBRARYS = {
    "encoding": "native",
    "early_stopping": False,
    "n_estimators": 100,
    "learning_rate": 0.3,
    "max_depth": 6,
    "min_child_weight": 1.0,
    "reg_lambda": 1.0,
    "subsample": 1.0,
    "colsample_bylevel": 1.0,
    "max_cat_to_onehot": 4,
}
"""XGBoost's documentation, parameters of the tree booster."""


def resampled(rows: Rows, seed: int) -> Iterator[Any]:
    """Places of held-out rows, drawn with replacement."""
    random = np.random.default_rng(seed)
    for _ in range(_RESAMPLES):
        yield random.integers(0, len(rows.test), len(rows.test))


def score_of(rows: Rows, metric: str, model: models.FittedModel) -> Callable[[Any], float]:
    """From places of held-out rows to the metric on them."""
    output, actual = output_of(model, rows.test), rows.test[rows.target].to_numpy()

    def score(places: Any) -> float:
        found = metrics.score(metric, actual[places], output[places], model.classes)
        return float("nan") if found is None else found

    return score


def measured(name: str, folder: Path, seed: int) -> dict[str, Any]:
    """One line of the table."""
    figure = FIGURES[name]
    rows = rows_of(figure, folder, seed)
    scores, seconds = {}, {}
    ways: dict[str, Callable[[], models.FittedModel]] = {
        "plain": lambda: plain_xgboost(rows),
        **{
            one.value: lambda one=one: models.fit(rows.train, rows.recipe(one.family))
            for one in (Quality.FAST, Quality.GOOD)
        },
    }
    for way, fit in ways.items():
        begun = time.perf_counter()
        model = fit()
        seconds[way] = time.perf_counter() - begun
        scores[way] = score_of(rows, figure.metric, model)
    whole = np.arange(len(rows.test))
    values = {way: score(whole) for way, score in scores.items()}
    drawn = [(scores["good"](one), scores["plain"](one)) for one in resampled(rows, seed)]
    error = float(np.nanstd([good for good, _ in drawn]))
    paired = float(np.nanstd([good - plain for good, plain in drawn]))
    is_greater = metrics.GREATER_IS_BETTER[metrics.parse(figure.metric)]
    sign = 1 if is_greater else -1
    known = [one for one in (figure.before, figure.mean) if one is not None]
    best = (max if is_greater else min)(known) if known else None
    return {
        "table": name,
        "figure": figure,
        **values,
        "error": error,
        "paired": paired,
        "seconds": seconds,
        "gain": None if best is None else sign * (values["good"] - best),
        "over_plain": sign * (values["good"] - values["plain"]),
    }


@dataclass(frozen=True)
class Best:
    """What `quality=best` comes to on a table."""

    model: models.FittedModel
    ranking: selection.Ranking
    n_tried: int
    seconds: float


def best_of(rows: Rows, metric: str, minutes: float, seed: int) -> Best:
    """Try candidates while they fit into the time, one after the other, and fit what is chosen."""
    began = time.perf_counter()
    classes, _ = targets(rows.train[rows.target], rows.kind)
    steps = selection.steps_of(rows.train[rows.target], rows.kind, seed, bonds_of(rows.train))
    budget = selection.Budget(60 * minutes, afterwards=selection.refit_part(len(rows.train)))
    answers: dict[str, selection.OutOfFold] = {}
    done: list[tuple[selection.Candidate, float]] = []
    for one in selection.portfolio(rows.kind):
        spent = sum(seconds for _, seconds in done)
        if one.name in selection.GOOD or budget.fits(spent, selection.expected_seconds(one, done)):
            fit = partial(models.fit, recipe=rows.recipe(one.family, **one.params))
            found = selection.predict_out_of_fold(rows.train, rows.target, classes, steps, fit)
            answers[one.name] = found
            done.append((one, found.cost.seconds))
    places = answers[selection.GOOD[0]].rows
    actual, units = rows.train[rows.target].to_numpy()[places], bonds_of(rows.train).take(places)
    ground = selection.Ground(rows.kind, metric, actual, classes, units=units.units(), seed=seed)
    ranking = selection.rank(ground, [one for one, _ in done], answers, is_ensemble=True)
    members = tuple(
        models.Member(part.name, rows.recipe(part.family, **part.params), part.weight)
        for part in ranking.members
    )
    if len(members) == 1:
        model = models.fit(rows.train, members[0].recipe)
    else:
        model = models.fit_blend(rows.train, models.Blend(members, ranking.mixing))
    return Best(model, ranking, len(done), time.perf_counter() - began)


def bagged(rows: Rows, best: Best, seed: int) -> tuple[Any, int, float]:
    """Answer of the same members, each the mean of the models of its folds; bytes; seconds."""
    steps = selection.steps_of(rows.train[rows.target], rows.kind, seed, bonds_of(rows.train))
    outputs, n_bytes, seconds = [], 0, 0.0
    for part in best.ranking.members:
        recipe = rows.recipe(part.family, **part.params)
        each = []
        for learned, _ in steps:
            model = models.fit(rows.train.iloc[learned], recipe)
            began = time.perf_counter()
            each.append(output_of(model, rows.test))
            seconds += time.perf_counter() - began
            n_bytes += size_of(model)
        outputs.append(mixed(each, [1 / len(each)] * len(each), best.ranking.mixing))
    weights = [part.weight for part in best.ranking.members]
    return mixed(outputs, weights, best.ranking.mixing), n_bytes, seconds


def size_of(model: models.FittedModel) -> int:
    """Bytes at rest."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model")
        return models.bytes_of(Path(folder))


def compared(name: str, folder: Path, options: argparse.Namespace) -> None:
    """Print `good` and `best` on one table."""
    figure = FIGURES[name]
    rows = rows_of(figure, folder, options.seed)
    good = models.fit(rows.train, rows.recipe(Quality.GOOD.family))
    best = best_of(rows, figure.metric, options.minutes, options.seed)
    actual = rows.test[rows.target].to_numpy()
    began = time.perf_counter()
    first = output_of(best.model, rows.test)
    seconds = time.perf_counter() - began
    classes = good.classes
    outputs = {"good": output_of(good, rows.test), "best": first}
    found = selection.difference(
        figure.metric, actual, first, outputs["good"], classes, seed=options.seed
    )
    values = {k: metrics.score(figure.metric, actual, one, classes) for k, one in outputs.items()}
    members = ", ".join(f"{one.name} {one.weight:.2f}" for one in best.ranking.members)
    gain = "" if found is None else f"{found.gain:+.4f} ({found.low:+.4f} to {found.high:+.4f})"
    print(
        f"{name:<19}{figure.metric:<9}{values['good']:>9.4f}{values['best']:>9.4f}  {gain:<32}"
        f"{best.n_tried:>3} tried {best.seconds:>6.0f} s  {size_of(best.model) / 1e6:.2f} MB,"
        f" {seconds:.2f} s to predict; {best.ranking.mixing.value}: {members}",
        flush=True,
    )
    if options.bagged:
        output, n_bytes, took = bagged(rows, best, options.seed)
        value = metrics.score(figure.metric, actual, output, classes)
        print(f"{'':<19}bagged{value:>21.4f}  {n_bytes / 1e6:.2f} MB, {took:.2f} s", flush=True)


def said(line: dict[str, Any]) -> str:
    """One line, in columns."""
    figure, seconds = line["figure"], line["seconds"]
    digits = 4 if figure.metric in ("roc_auc", "log_loss") else 3
    before, mean = (
        "–" if one is None else f"{one:.{digits}f}" for one in (figure.before, figure.mean)
    )
    gain = line["gain"]
    verdict = "–" if gain is None else ("yes" if gain >= -line["error"] else "NO")
    strict = "" if gain is None or gain < 0 else "!"
    plain = "yes" if line["over_plain"] >= -line["paired"] else "NO"
    limit = "–" if figure.seconds is None else f"{4 * figure.seconds:.1f}"
    return (
        f"{line['table']:<19}{figure.metric:<9}{before:>8}{mean:>8}{line['plain']:>9.{digits}f}"
        f"{line['fast']:>9.{digits}f}{line['good']:>9.{digits}f}{line['error']:>8.{digits}f}"
        f"{line['paired']:>8.{digits}f}{seconds['fast']:>7.1f}{seconds['good']:>7.1f}{limit:>6}"
        f"  {verdict + strict:<6}{plain}"
    )


HEADING = (
    f"{'table':<19}{'metric':<9}{'0.1':>8}{'mean':>8}{'plain':>9}{'fast':>9}{'good':>9}"
    f"{'error':>8}{'paired':>8}{'fast s':>7}{'good s':>7}{'4x s':>6}  {'holds':<6}beats plain"
)


def main() -> None:
    """Measure and print; `holds!` is at or better without any allowance."""
    parser = parser_of(__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the split; the figures are of 0")
    parser.add_argument("--quality", choices=["good", "best"], default="good")
    parser.add_argument("--minutes", type=float, default=DEFAULT_MINUTES, help="of best")
    parser.add_argument("--bagged", action="store_true", help="and the folds' models, kept")
    options = parser.parse_args()
    if options.quality == "best":
        for name in options.only:
            compared(name, options.data, options)
        return
    print(HEADING, flush=True)
    lines = []
    for name in options.only:
        lines.append(measured(name, options.data, options.seed))
        print(said(lines[-1]), flush=True)
    judged = [line for line in lines if line["gain"] is not None]
    held = sum(line["gain"] >= -line["error"] for line in judged)
    print(f"{held} of {len(judged)} tables at or better than the better of 0.1 and mean")


if __name__ == "__main__":
    main()
