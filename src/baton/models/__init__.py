"""Models: fitting, predicting, and their files.

Every family of models implements :class:`Family`; :class:`FittedModel` joins what it fitted
with the encoder and the class labels. A new family is one module here and one line in
``registry``. Metrics and explanations have modules of their own.
"""

from __future__ import annotations

from pathlib import Path

from baton.models.fitted import FittedModel, fit, load
from baton.models.interface import Encoding, Explain, Family
from baton.models.registry import DEFAULT, FAMILIES, family

__all__ = [
    "DEFAULT",
    "FAMILIES",
    "Encoding",
    "Explain",
    "Family",
    "FittedModel",
    "family",
    "fit",
    "load",
]


def _load_pyfunc(path: str) -> FittedModel:
    """Entry point by which MLflow loads a registered model."""
    return load(Path(path))
