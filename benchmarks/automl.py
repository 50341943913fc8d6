"""`good` and `best` beside AutoGluon and FLAML: same tables, same splits, an environment for each.

Each table is read and split by Baton's own code, as `baton run table` does with seed 0; each tool
gets the very same training rows and answers the same held-out rows, in a process of its own, one
after the other. Prints for each the figure on the held-out rows, the seconds to fit, rows per
second to predict, the bytes of the model at rest and the most memory that its process held. In the
end it counts how often Baton's figure is at or above that of another tool, and says the mean ratio
of their errors: 1 - ROC AUC, log loss, RMSE.

Environments are made once, in a folder that stays; the first call downloads them.

    .venv/bin/python benchmarks/automl.py --data ../shared/data/tables
    .venv/bin/python benchmarks/automl.py --data ../shared/data/tables --only mpg --tools good,flaml
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tables import FIGURES, Figure, Rows, parser_of, rows_of

from baton.evaluation import metrics
from baton.terms import Kind

ROOT = Path(__file__).parent.parent
TOOL = Path(__file__).with_name("automl_tool.py")
WITHOUT_FIGURE = "–"


@dataclass(frozen=True)
class Tool:
    """What learns a table, and for how long."""

    packages: tuple[str, ...]
    """What its environment holds; none is Baton's own environment."""
    seconds: float | None


TOOLS = {
    "good": Tool((), None),
    "best": Tool((), 60.0),
    "autogluon": Tool(("autogluon.tabular[lightgbm,catboost,xgboost]==1.6.3",), 60.0),
    "flaml": Tool(("flaml[automl]==2.7.0", "pyarrow"), 30.0),
}
"""AutoGluon's preset is medium quality, of LightGBM, CatBoost and XGBoost."""


def python_of(tool: Tool, name: str, folder: Path) -> Path:
    """Interpreter of a tool's environment, which is made if it is not there."""
    if not tool.packages:
        return Path(sys.executable)
    place = folder / name
    python = place / "bin" / "python"
    if not (place / "whole").exists():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run(
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, place], check=True
        )
        install = [uv, "pip", "install", "--quiet", "--python", python]
        subprocess.run([*install, *tool.packages], check=True)
        (place / "whole").touch()
    return python


def hand_over(rows: Rows, figure: Figure, folder: Path) -> dict[str, Any]:
    """Write both parts of a table, and what is asked of them, for the tools to read."""
    is_class = rows.kind is Kind.CLASSIFICATION
    parts = {"train": rows.train, "test": rows.test}
    for name, part in parts.items():
        target = part[rows.target]
        told = part.assign(**{rows.target: target.astype(str) if is_class else target})
        told.to_parquet(folder / f"{name}.parquet", index=False)
    classes = sorted(rows.train[rows.target].astype(str).unique()) if is_class else []
    task = {"target": rows.target, "classes": classes, "metric": figure.metric}
    (folder / "task.json").write_text(json.dumps(task))
    return task


def measured(name: str, tool: Tool, python: Path, folder: Path) -> dict[str, Any] | str:
    """What a tool answered and what it took; why not, where it failed."""
    done = subprocess.run(
        [python, TOOL, name, folder, *([str(tool.seconds)] if tool.seconds else [])],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
    return {
        **json.loads((folder / "took.json").read_text()),
        "output": np.load(folder / "output.npy"),
    }


def score_of(rows: Rows, task: dict[str, Any], output: Any) -> float:
    """The table's figure on the held-out rows."""
    actual = rows.test[rows.target]
    actual = actual.astype(str) if task["classes"] else actual
    classes = tuple(task["classes"]) or None
    found = metrics.score(task["metric"], actual.to_numpy(), output, classes)
    return float("nan") if found is None else float(found)


def error_of(metric: str, score: float) -> float:
    """A figure as an error: smaller is better, and none is zero."""
    return 1 - score if metrics.GREATER_IS_BETTER[metrics.parse(metric)] else score


HEADING = (
    f"{'table':<19}{'tool':<11}{'metric':<9}{'figure':>9}{'fit s':>8}{'rows/s':>11}{'MB':>8}"
    f"{'RSS MB':>8}"
)


def said(table: str, name: str, metric: str, found: dict[str, Any] | str) -> str:
    """One line, in columns."""
    begin = f"{table:<19}{name:<11}{metric:<9}"
    if isinstance(found, str):
        return f"{begin}{WITHOUT_FIGURE:>9}  {found}"
    return (
        f"{begin}{found['score']:>9.4f}{found['fit_seconds']:>8.1f}{found['rows_per_second']:>11,.0f}"
        f"{found['bytes'] / 1e6:>8.2f}{found['memory_bytes'] / 1e6:>8.0f}"
    )


def tell_ratios(errors: dict[str, dict[str, float]], ours: list[str], others: list[str]) -> None:
    """Print how often Baton is at or above another, and the mean ratio of the errors."""
    for own in ours:
        for other in others:
            both = [one for one in errors.values() if own in one and other in one]
            if not both:
                continue
            held = sum(one[own] <= one[other] for one in both)
            ratio = np.exp(np.mean([np.log(one[own] / one[other]) for one in both]))
            print(
                f"{own} at or above {other} on {held} of {len(both)} tables;"
                f" its error is {ratio:.3f} of the other's (geometric mean)"
            )


def main() -> None:
    """Measure and print."""
    parser = parser_of(__doc__)
    parser.add_argument("--tools", default=",".join(TOOLS), help="default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the split")
    parser.add_argument(
        "--environments",
        type=Path,
        default=ROOT / "build" / "automl",
        help="folder of the tools' environments (default build/automl)",
    )
    options = parser.parse_args()
    chosen = options.tools.split(",")
    if unknown := set(chosen) - set(TOOLS):
        parser.error(f"no such tool: {', '.join(sorted(unknown))}; there are {', '.join(TOOLS)}")
    options.environments.mkdir(parents=True, exist_ok=True)
    pythons = {one: python_of(TOOLS[one], one, options.environments) for one in chosen}
    print(HEADING, flush=True)
    errors: dict[str, dict[str, float]] = {}
    for table in options.only:
        figure = FIGURES[table]
        rows = rows_of(figure, options.data, options.seed)
        for name in chosen:
            with tempfile.TemporaryDirectory(prefix="baton-automl-") as folder:
                task = hand_over(rows, figure, Path(folder))
                found = measured(name, TOOLS[name], pythons[name], Path(folder))
                if not isinstance(found, str):
                    found["score"] = score_of(rows, task, found["output"])
                    errors.setdefault(table, {})[name] = error_of(figure.metric, found["score"])
                print(said(table, name, figure.metric, found), flush=True)
    ours = [one for one in chosen if not TOOLS[one].packages]
    tell_ratios(errors, ours, [one for one in chosen if TOOLS[one].packages])


if __name__ == "__main__":
    main()
