"""Compute planned features with featuretools: JSON from standard input to standard output.

featuretools is unmaintained and needs pandas 2, so it runs apart from Baton and imports nothing
of it:

    uv run --isolated --no-project --with 'featuretools==1.31.0' --with 'pandas<3' \\
        --with 'setuptools<81' python featuretools_oracle.py < case.json > values.json

`tests/unit/test_featuretools.py` runs it where BATON_ORACLE is set.
"""

import json
import sys
import warnings

import pandas as pd

warnings.simplefilter("ignore")

import featuretools as ft  # noqa: E402
from featuretools.entityset.relationship import RelationshipPath  # noqa: E402

TYPES = {
    "number": "Double",
    "flag": "BooleanNullable",
    "category": "Categorical",
    "datetime": "Datetime",
}


def entity_set(case):
    found = ft.EntitySet("case")
    for entity in case["entities"]:
        frame = pd.DataFrame(case["tables"][entity["name"]])
        types = {name: TYPES[kind] for name, kind in entity["columns"].items()}
        dates = [name for name, kind in entity["columns"].items() if kind == "datetime"]
        for name in dates:
            frame[name] = pd.to_datetime(frame[name]).astype("datetime64[ns]")
        found.add_dataframe(
            dataframe_name=entity["name"],
            dataframe=frame,
            index=entity["key"],
            time_index=entity["time_index"],
            logical_types=types,
            secondary_time_index={d: [d] for d in dates if d != entity["time_index"]} or None,
        )
    for link in case["relationships"]:
        found.add_relationship(*link)
    return found


def primitive(name):
    return getattr(ft.primitives, "".join(part.title() for part in name.split("_")))


def feature(found, node):
    base = feature(found, node["base"]) if node.get("base") else None
    links = [
        next(r for r in found.relationships if [r.parent_name_, r.child_name_, r.key_] == step)
        for step in node.get("path", [])
    ]
    if node["type"] == "identity":
        return ft.IdentityFeature(found[node["entity"]].ww[node["column"]])
    if node["type"] == "transform":
        return ft.TransformFeature(base, primitive(node["primitive"]))
    if node["type"] == "direct":
        return ft.DirectFeature(base, node["entity"], relationship=links[0])
    if base is None:
        child = found[links[-1].child_name_]
        base = ft.IdentityFeature(child.ww[child.ww.index])
    return ft.AggregationFeature(
        base,
        parent_dataframe_name=node["entity"],
        primitive=primitive(node["primitive"]),
        relationship_path=RelationshipPath([(False, link) for link in links]),
    )


def main():
    case = json.load(sys.stdin)
    found = entity_set(case)
    for link in found.relationships:
        link.parent_name_ = link.parent_dataframe.ww.name
        link.child_name_ = link.child_dataframe.ww.name
        link.key_ = link.child_column.name
    features = [feature(found, node) for node in case["features"]]
    frame = found[case["target"]]
    index, time = frame.ww.index, frame.ww.time_index
    cutoffs = pd.DataFrame({"instance_id": frame[index], "time": frame[time]}).reset_index(
        drop=True
    )
    matrix = ft.calculate_feature_matrix(features, found, cutoff_time=cutoffs)
    matrix = matrix.reset_index().sort_values(index)
    names = [f.get_name() for f in features]
    # Written out value by value: pandas' JSON has ten digits.
    values = {
        name: [None if pd.isna(value) else plain(value) for value in matrix[name]] for name in names
    }
    planned = ft.dfs(
        entityset=found,
        target_dataframe_name=case["target"],
        agg_primitives=case["aggregations"],
        trans_primitives=case["transforms"],
        max_depth=case["depth"],
        features_only=True,
    )
    answer = {
        "ids": matrix[index].tolist(),
        "values": values,
        "planned": sorted(f.get_name() for f in planned),
    }
    json.dump(answer, sys.stdout)


def plain(value):
    if isinstance(value, str):
        return value
    return round(float(value), 12)


if __name__ == "__main__":
    main()
