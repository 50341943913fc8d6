"""Models: fitting, predicting, and their files.

Every family of models is a :class:`Family`. A :class:`Recipe` says what is to be learnt, and
:class:`FittedModel` joins what was fitted with the encoder and the class labels. A new family is
one module here and one line in ``registry``. Metrics and explanations have modules of their own.
"""

from __future__ import annotations

from pathlib import Path

from baton.models.finishing import Wanted, finish
from baton.models.fitted import FittedModel, check_file, fit, load, settings_of
from baton.models.interface import Encoding, Explain, Family, FitSpec
from baton.models.recipe import Recipe
from baton.models.registry import DEFAULT, FAMILIES, family

__all__ = [
    "DEFAULT",
    "FAMILIES",
    "Encoding",
    "Explain",
    "Family",
    "FitSpec",
    "FittedModel",
    "Recipe",
    "Wanted",
    "check_file",
    "family",
    "finish",
    "fit",
    "load",
    "settings_of",
]


def _load_pyfunc(path: str) -> FittedModel:
    """Entry point by which MLflow loads a registered model."""
    return load(Path(path))
