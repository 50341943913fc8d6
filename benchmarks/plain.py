"""The work of the chain in one plain script: no Prefect, no MLflow, no lineage.

Makes the spheres, transforms, splits, writes and reads the Parquet files, fits the same model,
scores it on the held-out rows, and writes model, predictions and metrics.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import pandas as pd

from baton import metrics, models, problems
from baton.problems import ROW, SPLIT


def main(rows: int, seed: int, folder: Path) -> dict[str, float]:
    """Do the work and return the metrics."""
    problem = problems.get("spheres")
    params = problems.parse(problem, {"rows": rows, "seed": seed})
    raw = problem.load(params)
    goal = problem.goal(raw, params)
    raw.to_parquet(folder / "raw.parquet")
    features = problem.features(raw, params)
    features[SPLIT] = problem.split(features, params)
    features.to_parquet(folder / "features.parquet")

    table = pd.read_parquet(folder / "features.parquet")
    train = table[table[SPLIT] == "train"].drop(columns=[ROW, SPLIT])
    test = table[table[SPLIT] == "test"]
    model = models.fit(train, goal.target, goal.kind, seed=seed)
    model.save(folder / "model")

    proba = model.predict_proba(test)
    actual = test[goal.target].to_numpy()
    predictions = pd.DataFrame(proba).assign(actual=actual, predicted=model.labels(proba))
    predictions.columns = predictions.columns.astype(str)
    predictions.to_parquet(folder / "predictions.parquet")
    found = metrics.classification(actual, proba, model.classes)
    pd.Series(found).to_frame("value").to_parquet(folder / "metrics.parquet")
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]), Path(place))))
