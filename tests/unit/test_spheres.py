"""The problem spheres."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton.problems import get, parse, spheres
from baton.problems.blobs import Blobs
from baton.problems.spheres import spherical
from baton.problems.targets import Targets
from baton.terms import Kind

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


def test_a_quarter_of_the_points_is_held():
    """With the order of all: 12 bytes a row, of 28 that points and clusters take."""
    n_rows = 200_000
    pieces = Blobs(n_rows, modes=3, dims=3, std=1.0, seed=0).pieces(1_000)
    tracemalloc.start()
    try:
        for _ in pieces:
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 14 * n_rows


@pytest.mark.parametrize(
    "given",
    [
        {"modes": 2},
        {"modes": 7, "dims": 2, "seed": 3, "cluster_std": 0.5},
        {"draw": 4, "moved": 1.5},
        {"draw": 1, "modes": 5, "seed": 2**32 - 1},
    ],
)
@pytest.mark.parametrize("rows", [997, 1000])
def test_pieces_are_the_table(monkeypatch, given, rows):
    """To the bit, drawn and shuffled some rows at a time; and the same rows are held out."""
    problem = get("spheres")
    params = parse(problem, {"rows": rows, **given})
    assert problem.pieces(params) is None
    monkeypatch.setattr(spheres, "AT_ONCE", 100)
    whole, targets = problem.load(params), Targets(Kind.CLASSIFICATION)
    pieces = list(problem.pieces(params))
    assert {len(one) for one in pieces[:-1]} == {100} and len(pieces[-1]) <= 100
    pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True), whole, check_exact=True)
    for piece in pieces:
        targets.add(piece["cluster"])
    sides = problem.split(problem.features(whole, params), whole, params)
    held = problem.held_out(targets, params)
    assert (held == (sides == "test")).all()
    assert targets.counts(held) == ((~held).sum(), held.sum())
