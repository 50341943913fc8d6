"""Shapes of the models and rows that kernels are asked about, as hypothesis draws them."""

from hypothesis import strategies as st

SHAPES = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**20),
        "n_features": st.integers(1, 9),
        "n_classes": st.integers(2, 4),
        "depth": st.integers(1, 6),
        "coarse": st.booleans(),
        "missing": st.sampled_from([0.0, 0.3]),
    }
)
