"""The spheres' transform, beside numpy's careful functions."""

import numpy as np
import pandas as pd
import pytest

from baton.problems.spheres import spherical


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("scale", [1.0, 1e160, 1e-160])
def test_points_near_and_far_are_those_of_numpy(scale, dims):
    """More than a chunk of them, one at the origin, one on the seam of phi."""
    random = np.random.default_rng(0)
    points = pd.DataFrame(random.normal(size=(40_000, dims)) * scale, columns=list("xyz")[:dims])
    points.iloc[5] = 0.0
    points.iloc[7] = [-scale, -0.0, 0.0][:dims]
    found = spherical(points)
    in_plane = np.hypot(points["x"], points["y"])
    z = points["z"] if dims == 3 else 0.0
    np.testing.assert_allclose(found["r"], np.hypot(in_plane, z), rtol=1e-14)
    if dims == 3:
        np.testing.assert_allclose(found["theta"], np.arctan2(in_plane, z), rtol=0, atol=1e-14)
    phi = np.arctan2(points["y"], points["x"])
    assert (found["phi"] == np.where(phi == -np.pi, np.pi, phi)).all()
    assert found["phi"].iloc[7] == np.pi
    assert (found.iloc[5] == 0.0).all()


def test_threads_change_nothing() -> None:
    """Many points are those of few at a time, to the bit, and keep their index."""
    points = pd.DataFrame(np.random.default_rng(0).normal(size=(100_001, 3)), columns=list("xyz"))
    points.index = points.index[::-1]
    parts = pd.concat([spherical(points[at : at + 10_000]) for at in range(0, 100_001, 10_000)])
    pd.testing.assert_frame_equal(spherical(points), parts, check_exact=True)
