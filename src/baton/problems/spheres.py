"""The problem ``spheres``: Gaussian clusters in two or three dimensions, told apart by place.

The Cartesian coordinates become spherical ones (polar in two dimensions) and a model learns
which cluster a point belongs to.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from baton.problems.base import Goal, Params, Problem
from baton.problems.blobs import Blobs
from baton.problems.recipes import XGBOOST
from baton.problems.splits import stratified
from baton.terms import ROW, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from pandera.pandas import DataFrameSchema

    from baton.problems.targets import Targets

    Array = np.ndarray[Any, np.dtype[Any]]

TARGET = "cluster"

AT_ONCE = 250_000
"""Points of one piece."""

_FEW_PIECES = 4
"""A table of so many pieces is made in whole."""

AXES = ("x", "y", "z")


class Coordinates(StrEnum):
    """Which coordinates the model sees."""

    CARTESIAN = "cartesian"
    SPHERICAL = "spherical"
    BOTH = "both"


class SpheresParams(Params):
    """Parameters of ``spheres``."""

    rows: Annotated[int, Field(ge=20, le=200_000_000, description="points in all")] = 10_000
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

    places = [cartesian[axis].to_numpy(dtype=np.float64) for axis in AXES if axis in cartesian]
    names = ("r", "theta", "phi") if len(places) == len(AXES) else ("r", "phi")
    found = np.empty((len(names), len(cartesian)))

    def fill(begin: int) -> None:
        chunk = slice(begin, begin + _CHUNK)
        with np.errstate(over="ignore", under="ignore"):
            _transform([one[chunk] for one in places], found[:, chunk])

    begins = range(0, len(cartesian), _CHUNK)
    if len(begins) < _FEW_CHUNKS:
        for begin in begins:
            fill(begin)
    else:
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            list(threads.map(fill, begins))  # each writes its own part of `found`
    return pd.DataFrame(dict(zip(names, found, strict=True)), index=cartesian.index)


_CHUNK = 16_384
"""Points at once: what is in between stays in a core's own cache."""

_FEW_CHUNKS = 4
"""So many are done by one thread: to begin another takes as long."""

_FAR, _NEAR = 1e290, 1e-290
"""Beyond these, squares have overflown or vanished."""


def _transform(places: list[Array], found: Array) -> None:
    """Write r, theta where there is a z, and phi of points into the rows of `found`."""
    r, phi, is_solid = found[0], found[-1], len(places) == len(AXES)
    in_plane = np.multiply(places[0], places[0])
    in_plane += np.multiply(places[1], places[1], out=phi)
    np.add(in_plane, np.multiply(places[2], places[2], out=phi) if is_solid else 0, out=r)
    if r.min() > _NEAR and r.max() < _FAR:
        np.sqrt(r, out=r), np.sqrt(in_plane, out=in_plane)
    else:  # numpy's slow and careful way
        np.hypot(places[0], places[1], out=in_plane)
        np.hypot(in_plane, places[2] if is_solid else 0, out=r)
    if is_solid:
        np.arctan2(in_plane, places[2], out=found[1])
    np.arctan2(places[1], places[0], out=phi)
    if phi.min() == -np.pi:  # −0.0 and the like: the interval is half open
        phi[phi == -np.pi] = np.pi


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
        if params.moved:
            points = points + params.moved * _directions(params)[cluster]
        table = pd.DataFrame(points, columns=list(AXES[: params.dims]))
        return table.assign(**{TARGET: cluster})

    def pieces(self, params: SpheresParams) -> Iterator[pd.DataFrame] | None:
        """The same points, where they are many."""
        return self._pieces(params) if params.rows > _FEW_PIECES * AT_ONCE else None

    def _pieces(self, params: SpheresParams) -> Iterator[pd.DataFrame]:
        import pandas as pd

        drawn = Blobs(params.rows, params.modes, params.dims, params.cluster_std, params.seed)
        moves = params.moved * _directions(params)
        for points, cluster in drawn.pieces(AT_ONCE, params.draw):
            table = pd.DataFrame(points + moves[cluster], columns=list(AXES[: params.dims]))
            yield table.assign(**{TARGET: cluster})

    def held_out(self, targets: Targets, params: SpheresParams) -> Array:
        """The same rows as `split`."""
        return targets.held_out(params.test_size, params.seed)

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
