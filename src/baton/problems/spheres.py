"""The problem ``spheres``: Gaussian clusters in two or three dimensions, told apart by place.

The Cartesian coordinates become spherical ones (polar in two dimensions) and a model learns
which cluster a point belongs to.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from baton.problems.base import Goal, Params, Problem
from baton.problems.recipes import XGBOOST
from baton.problems.splits import stratified
from baton.terms import ROW, Kind

if TYPE_CHECKING:
    import pandas as pd
    from pandera.pandas import DataFrameSchema

TARGET = "cluster"

AXES = ("x", "y", "z")


class Coordinates(StrEnum):
    """Which coordinates the model sees."""

    CARTESIAN = "cartesian"
    SPHERICAL = "spherical"
    BOTH = "both"


class SpheresParams(Params):
    """Parameters of ``spheres``."""

    rows: Annotated[int, Field(ge=20, le=50_000_000, description="points in all")] = 10_000
    modes: Annotated[int, Field(ge=2, le=1_000, description="clusters")] = 3
    dims: Annotated[int, Field(ge=2, le=3, description="dimensions")] = 3
    cluster_std: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="standard deviation of a cluster")
    ] = 2.0
    features: Annotated[Coordinates, Field(description="coordinates that the model sees")] = (
        Coordinates.SPHERICAL
    )
    test_size: Annotated[float, Field(gt=0, lt=1, description="part held out")] = 0.3
    seed: Annotated[int, Field(ge=0, lt=2**32, description="seed of points and split")] = 0
    draw: Annotated[
        int, Field(ge=0, lt=2**32, description="which draw of points around the same centres")
    ] = 0
    moved: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="how far each centre has moved")
    ] = 0.0


def spherical(cartesian: pd.DataFrame) -> pd.DataFrame:
    """Spherical coordinates of points in three dimensions, polar ones in two.

    Parameters
    ----------
    cartesian : DataFrame of shape (n, 2) or (n, 3)
        Columns x, y and, in three dimensions, z.

    Returns
    -------
    DataFrame of shape (n, 2) or (n, 3)
        r ≥ 0; theta from +z in [0, π] (three dimensions only); phi in (−π, π], both in rad.
        At r = 0 the angles are undefined in mathematics and 0 here.

    Examples
    --------
    >>> import pandas as pd
    >>> spherical(pd.DataFrame({"x": [0.0], "y": [0.0], "z": [0.0]})).to_dict("records")
    [{'r': 0.0, 'theta': 0.0, 'phi': 0.0}]
    """
    import pandas as pd

    x, y = cartesian["x"].to_numpy(), cartesian["y"].to_numpy()
    in_plane = np.hypot(x, y)
    phi = np.arctan2(y, x)
    phi = np.where(phi == -np.pi, np.pi, phi)  # −0.0 and the like: the interval is half open
    if "z" not in cartesian:
        return pd.DataFrame({"r": in_plane, "phi": phi}, index=cartesian.index)
    z = cartesian["z"].to_numpy()
    return pd.DataFrame(
        {"r": np.hypot(in_plane, z), "theta": np.arctan2(in_plane, z), "phi": phi},
        index=cartesian.index,
    )


def _directions(params: SpheresParams) -> np.ndarray[Any, Any]:
    """Unit vector of each cluster, shape (modes, dims): where it moves to."""
    random = np.random.default_rng([params.seed, params.modes, params.dims])
    drawn = random.normal(size=(params.modes, params.dims))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


class Spheres(Problem[SpheresParams]):
    """Gaussian clusters, classified after a Cartesian-to-spherical transform."""

    name = "spheres"
    summary = "Gaussian clusters in 2-D or 3-D, classified after a spherical transform"
    params = SpheresParams

    def load(self, params: SpheresParams) -> pd.DataFrame:
        """Points of ``make_blobs`` with their cluster id."""
        import pandas as pd
        from sklearn.datasets import make_blobs

        points, cluster, centres = make_blobs(
            n_samples=params.rows,
            centers=params.modes,
            n_features=params.dims,
            cluster_std=params.cluster_std,
            random_state=params.seed,
            return_centers=True,
        )
        if params.draw:
            random = np.random.default_rng([params.seed, params.draw])
            noise = random.normal(scale=params.cluster_std, size=points.shape)
            points = centres[cluster] + noise
        points = points + params.moved * _directions(params)[cluster]
        table = pd.DataFrame(points, columns=list(AXES[: params.dims]))
        return table.assign(**{TARGET: cluster})

    def contract(self, params: SpheresParams) -> DataFrameSchema:
        """Finite coordinates and a cluster id below the number of modes."""
        from pandera.pandas import Check, Column, DataFrameSchema

        finite = Check(np.isfinite, error="finite")
        return DataFrameSchema(
            {axis: Column(float, finite) for axis in AXES[: params.dims]}
            | {TARGET: Column(int, Check.in_range(0, params.modes - 1))},
            strict=True,
        )

    def kind(self, params: SpheresParams) -> Kind:  # noqa: ARG002
        """Classes."""
        return Kind.CLASSIFICATION

    def goal(self, raw: pd.DataFrame, params: SpheresParams) -> Goal:  # noqa: ARG002
        """Classify the cluster id."""
        return Goal(
            Kind.CLASSIFICATION,
            TARGET,
            headline="accuracy",
            model="xgboost",
            model_params=dict(XGBOOST),
        )

    def features(
        self, raw: pd.DataFrame, params: SpheresParams, *, with_target: bool = True
    ) -> pd.DataFrame:
        """Cartesian coordinates, spherical ones, or both."""
        import pandas as pd

        cartesian = raw[list(AXES[: params.dims])]
        match params.features:
            case Coordinates.CARTESIAN:
                table = cartesian.copy()
            case Coordinates.SPHERICAL:
                table = spherical(cartesian)
            case Coordinates.BOTH:
                table = pd.concat([cartesian, spherical(cartesian)], axis=1)
        table.insert(0, ROW, np.arange(len(raw)))
        return table.assign(**{TARGET: raw[TARGET]}) if with_target else table

    def split(
        self,
        features: pd.DataFrame,
        raw: pd.DataFrame,  # noqa: ARG002
        params: SpheresParams,
    ) -> pd.Series:
        """Split at random, stratified by cluster."""
        return stratified(features[TARGET], params.test_size, params.seed)


problem = Spheres()
