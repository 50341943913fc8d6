"""The work of the chain in one plain script: no Prefect, no MLflow, no lineage.

Makes the spheres, transforms, splits, writes and reads the Parquet files, fits the same model,
scores and explains it on the held-out rows with the same functions and options, draws the same
pictures, and writes all of it. Everything runs one after the other.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import pandas as pd

from baton import models, problems
from baton.evaluation import curves, importance, intervals, metrics, shapley
from baton.showing import plots
from baton.terms import ROW, SPLIT, Options


def main(rows: int, seed: int, folder: Path) -> dict[str, float]:
    """Do the work and return the metrics."""
    problem = problems.get("spheres")
    params = problems.parse(problem, {"rows": rows, "seed": seed})
    raw = problem.load(params)
    goal = problem.goal(raw, params)
    raw.to_parquet(folder / "raw.parquet")
    features = problem.features(raw, params)
    features[SPLIT] = problem.split(features, raw, params)
    features.to_parquet(folder / "features.parquet")

    table = pd.read_parquet(folder / "features.parquet")
    train = table[table[SPLIT] == "train"].drop(columns=[ROW, SPLIT])
    test = table[table[SPLIT] == "test"]
    recipe = models.Recipe(goal.target, goal.kind, goal.model, goal.model_params, seed)
    model = models.fit(train, recipe)
    model.save(folder / "model")

    proba = model.predict_proba(test)
    actual = test[goal.target].to_numpy()
    predictions = pd.DataFrame(proba).assign(actual=actual, predicted=model.labels(proba))
    predictions.columns = predictions.columns.astype(str)
    predictions.to_parquet(folder / "predictions.parquet")
    found = metrics.classification(actual, proba, model.classes)
    spread = intervals.bootstrap(goal.kind, actual, proba, model.classes, seed=seed)
    baseline = metrics.baseline(goal.kind, train[goal.target], actual, model.classes)
    pd.DataFrame({"value": found, "baseline": baseline}).to_parquet(folder / "metrics.parquet")
    pictures = [
        plots.metric_intervals(found, spread, baseline),
        plots.confusion_matrix(curves.confusion(actual, model.labels(proba), model.classes)),
        plots.roc_curves(curves.roc(actual, proba, model.classes)),
        plots.precision_recall_curves(curves.precision_recall(actual, proba, model.classes)),
        plots.calibration_curve(curves.calibration(actual, proba, model.classes)),
        *explain(model, test, goal, seed, folder),
    ]
    for picture in pictures:
        (folder / f"{picture.name}.png").write_bytes(plots.png(picture.figure))
    return found


def explain(
    model: models.FittedModel, test: pd.DataFrame, goal: problems.Goal, seed: int, folder: Path
) -> list[plots.Picture]:
    """Explain the model, write the tables and return the pictures."""
    options = Options()
    shuffled = test.sample(min(len(test), options.importance_rows), random_state=seed)
    permuted = importance.permutation_importance(
        model,
        shuffled.drop(columns=[ROW, SPLIT, goal.target]),
        shuffled[goal.target],
        goal.headline,
        options.n_repeats,
        seed,
    )
    kept = test.sample(min(len(test), options.explain_rows or len(test)), random_state=seed)
    features = kept.drop(columns=[ROW, SPLIT, goal.target])
    found = shapley.shap_values(model, features, seed=seed)
    permuted.frame().to_parquet(folder / "permutation_importance.parquet")
    shapley.global_importance(found).to_parquet(folder / "shap_global.parquet")
    found.frame(kept[ROW].to_numpy()).to_parquet(folder / "shap_local.parquet")
    return [
        plots.permutation_importance(permuted),
        plots.shap_bar(found),
        plots.shap_beeswarm(found, features),
        plots.shap_dependence(found, features),
        *(plots.shap_waterfall(found, features, row) for row in range(3)),
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]), Path(place))))
