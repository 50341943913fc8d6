"""A model as a chain leaves it in a home, made without a server: tables, versions and a record."""

from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from baton import models, problems
from baton.chain import records
from baton.chain.events import DatasetReady, ModelEvaluated, TableRef
from baton.lineage import digest_of_file, with_lineage
from baton.settings import settings
from baton.terms import ROW, SPLIT, Kind, Split
from tasks.platform import tracking

TABLE = problems.get("table")
FOLDER = f"table/{'0' * 15}1"


def wine(n_rows=120):
    """Two numbers and a category, of which a number follows."""
    random = np.random.default_rng(3)
    table = pd.DataFrame(random.normal(size=(n_rows, 2)), columns=list("ab"))
    table["kind"] = random.choice(["red", "white"], n_rows)
    return table.assign(y=2 * table.a - table.b + random.normal(0, 0.3, n_rows))


def written(name, frame, lineage):
    """A table of the results."""
    key = f"{FOLDER}/{name}.parquet"
    path = settings().results / key
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(with_lineage(pa.Table.from_pandas(frame, preserve_index=False), lineage), path)
    return TableRef(key=key, digest=digest_of_file(path), n_rows=len(frame))


def made(folder, chain="a" * 12):
    """A data set of such a table, with what a model remembers of it and its rows to learn from."""
    path = folder / "wine.csv"
    wine().to_csv(path, index=False)
    name = f"wine-{uuid4().hex[:8]}"
    params = problems.parse(TABLE, {"path": str(path), "target": "y", "name": name})
    raw = TABLE.load(params)
    features = TABLE.features(raw, params)
    split = TABLE.split(features, raw, params)
    told = {"problem": "table", "parameters": params.model_dump(mode="json")}
    origin = told | {"schema": TABLE.schema(raw, params)}
    data = DatasetReady(
        chain=chain,
        problem="table",
        raw=written("raw", raw, told),
        features=written("features", features.assign(**{SPLIT: split.astype(str)}), origin),
        kind=Kind.REGRESSION,
        target="y",
        headline="rmse",
        n_train=int((split == Split.TRAIN).sum()),
        n_test=int((split == Split.TEST).sum()),
        name=name,
        source="wine.csv",
    )
    return data, origin, features[split == Split.TRAIN].drop(columns=ROW)


def registered(data, origin, rows, family):
    """A version of the model."""
    fitted = models.fit(rows, models.Recipe("y", Kind.REGRESSION, family=family, origin=origin))
    example = rows.drop(columns="y").head(3)
    return tracking.register.fn(fitted, data, uuid4().hex, {}, example)


def kept(data, model, **more):
    """Record of a chain that has evaluated a version; its tables are not there but for one."""
    strength = pd.DataFrame({"feature": ["b", "a", "kind"], "mean_abs_shap": [2.0, 1.0, 0.0]})
    drivers = written("shap_global", strength.assign(**{"class": None}), {})
    names = ("predictions", "metrics", "permutation_importance", "shap_local")
    other = {
        name: data.raw.model_copy(update={"key": f"{FOLDER}/{name}.parquet"}) for name in names
    }
    evaluated = ModelEvaluated(
        chain=data.chain,
        problem="table",
        data=data,
        model=model,
        report={"key": f"{FOLDER}/report.html", "digest": "e" * 64},
        scores={"rmse": 0.31},
        intervals={"rmse": (0.25, 0.37)},
        shap_global=drivers,
        **other | more,
    )
    records.keep(settings(), evaluated)
    return evaluated


def two_versions(folder):
    """Record of a chain that made the first of two versions of a model."""
    data, origin, rows = made(folder)
    first = registered(data, origin, rows, "linear_regression")
    registered(replace_chain(data), origin, rows, "decision_tree")
    return kept(data, first)


def replace_chain(data):
    """The same data set of a later chain."""
    return data.model_copy(update={"chain": "b" * 12})
