"""Models: fitting, predicting, and their files.

Every family of models is a :class:`Family`. A :class:`Recipe` says what is to be learnt, and
:class:`FittedModel` joins what was fitted with the encoder and the class labels. A family of
Baton's is one module here and one line in ``registry``, one of another package an entry point.
Metrics and explanations have modules of their own.
"""

from __future__ import annotations

from pathlib import Path

from baton.models.ensemble import Blend, Ensemble, Member, fit_blend, refitter
from baton.models.files import bytes_of, check_file, load, settings_of
from baton.models.finishing import Wanted, finish, known
from baton.models.fitted import FittedModel, fit
from baton.models.interface import Encoding, Explain, Family, FitSpec
from baton.models.mixing import Mixing
from baton.models.parts import Source, can_learn, fit_in_parts
from baton.models.recipe import Recipe
from baton.models.registry import (
    DEFAULT,
    FAMILIES,
    PLUG_INS,
    code_of,
    family,
    loaded,
    names,
    package_of,
)

__all__ = [
    "DEFAULT",
    "FAMILIES",
    "PLUG_INS",
    "Blend",
    "Encoding",
    "Ensemble",
    "Explain",
    "Family",
    "FitSpec",
    "FittedModel",
    "Member",
    "Mixing",
    "Recipe",
    "Source",
    "Wanted",
    "bytes_of",
    "can_learn",
    "check_file",
    "code_of",
    "family",
    "finish",
    "fit",
    "fit_blend",
    "fit_in_parts",
    "known",
    "load",
    "loaded",
    "names",
    "package_of",
    "refitter",
    "settings_of",
]


def _load_pyfunc(path: str) -> FittedModel:
    """Entry point by which MLflow loads a registered model."""
    return load(Path(path))
