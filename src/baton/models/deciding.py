"""How a model's output becomes an answer: what is found once it is fitted, on rows out of fold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from baton.models.calibration import scaled
from baton.models.prediction_interval import PredictionInterval
from baton.models.threshold import Threshold
from baton.words.text import number

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]


class Deciding(BaseModel):
    """What stands between a model's output and its answer; part of the model, ready for JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inverse_temperature: float | None = None
    """By how much margins are stretched before they become probabilities."""
    threshold: Threshold | None = None
    """From when on the second of two classes is said."""
    interval: PredictionInterval | None = None
    """How far a predicted number may be off."""

    def calibrated(self, proba: Array) -> Array:
        """Probabilities as they are said: shape (n, n_classes)."""
        if self.inverse_temperature is None or not len(proba):
            return proba
        return scaled(proba, self.inverse_temperature)

    def codes(self, proba: Array) -> Array:
        """Class of each row that is said, by its place."""
        if self.threshold is not None:
            return self.threshold.codes(proba)
        return np.asarray(proba.argmax(axis=1))

    def said(self) -> list[str]:
        """What was found, in sentences."""
        found = []
        if self.inverse_temperature is not None:
            found.append(
                f"probabilities are calibrated: margins times {number(self.inverse_temperature)}"
            )
        if self.threshold is not None:
            found.append(str(self.threshold))
        return found


AS_IT_IS = Deciding()
"""Of a model whose output is its answer."""
