"""The problem spheres."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton.problems import get, parse
from baton.problems.spheres import spherical

COORDINATE = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(COORDINATE, COORDINATE, COORDINATE)
def test_spherical_coordinates_lead_back_to_the_point(x, y, z):
    """r ≥ 0, theta in [0, π] from +z, phi in (−π, π], and the way back is the point."""
    found = spherical(pd.DataFrame({"x": [x], "y": [y], "z": [z]})).iloc[0]
    r, theta, phi = found["r"], found["theta"], found["phi"]
    assert r >= 0
    assert 0 <= theta <= np.pi
    assert -np.pi < phi <= np.pi
    back = [r * np.sin(theta) * np.cos(phi), r * np.sin(theta) * np.sin(phi), r * np.cos(theta)]
    np.testing.assert_allclose(back, [x, y, z], atol=1e-9 * max(1.0, r))


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((0, 0, 2), (2, 0, 0)),
        ((0, 0, -2), (2, np.pi, 0)),
        ((-1, 0, 0), (1, np.pi / 2, np.pi)),
        ((-1, -0.0, 0), (1, np.pi / 2, np.pi)),
        ((0, -3, 0), (3, np.pi / 2, -np.pi / 2)),
    ],
)
def test_the_axes_and_the_origin_are_defined(point, expected):
    """At r = 0 the angles are 0, and −0.0 is no other side than 0.0."""
    x, y, z = (float(v) for v in point)
    found = spherical(pd.DataFrame({"x": [x], "y": [y], "z": [z]})).iloc[0]
    np.testing.assert_allclose(found[["r", "theta", "phi"]], expected, atol=1e-12)


def test_the_angle_is_exact_near_the_pole():
    """arccos(z/r) would lose half of the digits here."""
    found = spherical(pd.DataFrame({"x": [1e-9], "y": [0.0], "z": [1.0]})).iloc[0]
    assert found["theta"] == pytest.approx(1e-9, rel=1e-12)


@pytest.mark.parametrize(
    ("dims", "features", "columns"),
    [
        (3, "cartesian", ["x", "y", "z"]),
        (3, "spherical", ["r", "theta", "phi"]),
        (3, "both", ["x", "y", "z", "r", "theta", "phi"]),
        (2, "spherical", ["r", "phi"]),
        (2, "both", ["x", "y", "r", "phi"]),
    ],
)
def test_features_are_the_coordinates_asked_for(dims, features, columns):
    """Polar in two dimensions, spherical in three."""
    problem = get("spheres")
    params = parse(problem, {"dims": dims, "features": features, "rows": 30})
    table = problem.features(problem.load(params), params)
    assert list(table.columns) == ["_row", *columns, "cluster"]
