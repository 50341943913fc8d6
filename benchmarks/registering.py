"""To log, register and promote a model: Baton's way beside MLflow's own defaults.

The same fitted model, medians in turn, warm, in one temporary home. Ours keeps the model, reads the
file back, compares its answers, registers it and moves the alias, also on a disk that may fail; the
ordinary way is ``mlflow.sklearn.log_model`` with an input example and a registered name, and the
alias after it.

    .venv/bin/python benchmarks/registering.py
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from row import Row, in_turn, repeats_asked, tell, temporary_home

REPEATS = 5
sys.path.append(str(Path(__file__).parent.parent))  # the tests' table and data set


def main() -> None:
    """Measure and print."""
    tell(rows(repeats_asked(__doc__ or "", REPEATS)))


def rows(repeats: int = REPEATS) -> list[Row]:
    """Rows of the table of `make bench`."""
    with temporary_home() as folder:
        ours, theirs = _ways(folder)
        own, ordinary = in_turn(ours, theirs, repeats)
    what = "log, register and promote a model, warm"
    is_what = "mlflow.sklearn.log_model"
    return [Row(what, own * 1e3, ordinary * 1e3, "ms", is_what, "≤ 60 ms")]


def _ways(folder: Path) -> tuple[Any, Any]:
    import mlflow
    from sklearn.linear_model import LinearRegression

    from tasks.platform import tracking
    from tests import registered

    data, origin, table = registered.made(folder)
    tracking.ensure_store()
    X, y = table[["a", "b"]], table["y"]
    fitted = LinearRegression().fit(X, y)
    own = _fitted(table, origin)

    @cache
    def experiment() -> str:
        place = (folder / "ordinary").as_uri()
        return str(mlflow.MlflowClient().create_experiment("ordinary", artifact_location=place))

    def ours() -> None:
        example = table.drop(columns="y").head(3)
        made = tracking.register.fn(own, data, uuid4().hex, {}, example)
        tracking.move_aliases(made.name, {tracking.CHAMPION: made.version})

    def theirs() -> None:
        with mlflow.start_run(experiment_id=experiment()):
            made = mlflow.sklearn.log_model(
                fitted, name="model", input_example=X.head(3), registered_model_name="ordinary"
            )
        mlflow.MlflowClient().set_registered_model_alias(
            "ordinary", "champion", str(made.registered_model_version)
        )

    return ours, theirs


def _fitted(table: Any, origin: Any) -> Any:
    from baton import models
    from baton.terms import Kind

    recipe = models.Recipe("y", Kind.REGRESSION, family="linear_regression", origin=origin)
    return models.fit(table, recipe)


if __name__ == "__main__":
    main()
