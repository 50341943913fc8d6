"""Files of models, whatever they are: one fitted estimator, or several that answer as one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.errors import InputError
from baton.models import ensemble, fitted

if TYPE_CHECKING:
    import pandas as pd

    from baton.models.fitted import FittedModel


def load(folder: Path) -> FittedModel:
    """Read a model that its ``save`` wrote.

    Raises
    ------
    InputError
        If the folder holds no model of Baton's.
    """
    if (folder / ensemble.CARD).is_file():
        return ensemble.load(folder)
    return fitted.load(folder)


def settings_of(folder: Path) -> tuple[str, dict[str, Any]]:
    """Family and hyperparameters of a saved model, without loading it.

    Raises
    ------
    InputError
        If the folder holds no model of Baton's.
    """
    if (folder / ensemble.CARD).is_file():
        return ensemble.settings_of(folder)
    return fitted.settings_of(folder)


def bytes_of(folder: Path) -> int:
    """Size of a model at rest."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def check_file(model: FittedModel, folder: Path, rows: pd.DataFrame) -> None:
    """See that what :meth:`FittedModel.save` wrote can be loaded, and predicts as what was fitted.

    Parameters
    ----------
    model : FittedModel
    folder : Path
        Where it was saved.
    rows : DataFrame
        A few rows of features.

    Raises
    ------
    InputError
        If not: the family's ``save`` and ``load`` do not fit together.
    """
    try:
        loaded = load(folder).predict(rows)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(
            f"the file of a {model.family} cannot be loaded again: {reason}"
        ) from error
    if not _are_alike(np.asarray(loaded), np.asarray(model.predict(rows))):
        raise InputError(f"a {model.family} that was saved predicts otherwise when it is loaded")


def _are_alike(one: Any, other: Any) -> bool:
    if one.dtype.kind == other.dtype.kind == "f" and one.shape == other.shape:
        return bool(np.allclose(one, other, equal_nan=True))
    return bool(np.array_equal(one, other))
