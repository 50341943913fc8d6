"""Aggregates of a table of things for their owners, by featuretools, as often as it is asked.

    python featuretools_features.py FOLDER PRIMITIVE,PRIMITIVE

The folder has `things.npz`, `owners.npz` and `asked.npz`, arrays by the names of their columns. A
line `whole` or `cutoffs` on standard input is answered with the seconds that it took; the values
are then in the folder, as `whole.npz` or `cutoffs.npz`.
"""

import sys
import time
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import featuretools as ft  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

FOLDER = Path(sys.argv[1])


def main():
    """Answer until nobody asks."""
    entities = entity_set()
    features = ft.dfs(
        entityset=entities,
        target_dataframe_name="owners",
        agg_primitives=sys.argv[2].split(","),
        trans_primitives=[],
        max_depth=1,
        features_only=True,
    )
    cutoffs = table("asked")
    print("ready", flush=True)
    for line in sys.stdin:
        asked = line.strip()
        began = time.perf_counter()
        found = ft.calculate_feature_matrix(
            features, entities, cutoff_time=cutoffs if asked == "cutoffs" else None
        )
        seconds = time.perf_counter() - began
        values = {name: found[name].to_numpy(dtype=float) for name in found.columns}
        np.savez(FOLDER / asked, **values)
        print(seconds, flush=True)


def table(name):
    """Columns of a file."""
    with np.load(FOLDER / f"{name}.npz") as arrays:
        return pd.DataFrame({key: arrays[key] for key in arrays.files})


def entity_set():
    """Owners and things, put together."""
    found = ft.EntitySet("owners and things")
    found.add_dataframe(dataframe_name="owners", dataframe=table("owners"), index="id")
    found.add_dataframe(
        dataframe_name="things",
        dataframe=table("things"),
        index="id",
        time_index="at",
        logical_types={"amount": "Double", "length": "Double"},
    )
    found.add_relationship("owners", "id", "things", "owner")
    return found


if __name__ == "__main__":
    main()
