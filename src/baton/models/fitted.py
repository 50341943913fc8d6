"""Fitting a family on a table, and the fitted model: answers in the user's terms, and its files.

What differs between families belongs in their modules.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ValidationError

from baton.bonds import NONE, Bonds, bonds_of
from baton.encoding.by_target import training_matrix, with_averages
from baton.encoding.native import Encoder
from baton.encoding.one_hot import OneHotEncoder
from baton.encoding.statistics import averaged_targets
from baton.errors import InputError
from baton.metric import parse
from baton.models.checks import check, refusals
from baton.models.deciding import AS_IT_IS, Deciding
from baton.models.interface import Encoding, Explain, Family, FitSpec
from baton.models.recipe import Recipe
from baton.models.registry import family, names, package_of
from baton.terms import Kind, visible
from baton.weights import weights_of
from baton.words import display
from baton.words.text import listed

if TYPE_CHECKING:
    import pandas as pd

_CARD = "model.json"
_OF_ENCODER = {"encoding", "standardize"}


@dataclass(frozen=True)
class FittedModel:
    """A fitted estimator that takes tables in the user's columns and answers in their labels."""

    family: str
    kind: Kind
    target: str
    encoder: Encoder
    classes: tuple[Any, ...]
    """Labels in the order of the estimator's codes; empty for regression."""
    estimator: Any
    params: dict[str, Any]
    origin: dict[str, Any] = field(default_factory=dict)
    """What the model was made from, ready for JSON: problem, its parameters, its schema."""
    deciding: Deciding = AS_IT_IS
    """How its output becomes an answer: calibration, threshold, interval."""

    def __repr__(self) -> str:
        n_columns = len(self.encoder.column_names)
        return (
            f"FittedModel({self.family}: {self.kind.value} of {self.target!r}, {n_columns} columns)"
        )

    def _repr_html_(self) -> str:
        facts = {
            "predicts": f"{self.target} ({self.kind.value})",
            "classes": listed([str(label) for label in self.classes], 10) if self.classes else "",
            "by": listed(self.encoder.column_names, 10),
            "hyperparameters": display.settings(self.params),
        }
        return display.card(f"{self.family}, fitted", facts)

    @property
    def families(self) -> tuple[str, ...]:
        """Names of the families that answer."""
        return (self.family,)

    @property
    def explain(self) -> Explain:
        """How its predictions are explained exactly, if they can be."""
        return family(self.family).explain

    def matrix(self, table: pd.DataFrame) -> Any:
        """Encode a table: shape (n_rows, n_encoded), a float32 array or a float64 csr_matrix."""
        return self.encoder.transform(table)

    def predict(self, table: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:  # noqa: ARG002
        """Predict labels or values: array of shape (n_rows,)."""
        if self.deciding.threshold is not None:
            return self.labels(self.predict_proba(table))
        matrix = self.matrix(table)
        found = self.estimator.predict(matrix) if len(table) else np.empty(0)
        if self.kind is Kind.REGRESSION:
            return np.asarray(found, dtype=np.float64)
        return self._labels(np.asarray(found, dtype=np.intp))

    def labels(self, proba: Any) -> Any:
        """Return the label that is said of each row of class probabilities.

        The most probable one, or by the model's threshold.
        """
        return self._labels(self.deciding.codes(proba))

    def _labels(self, codes: Any) -> Any:
        return np.asarray(self.classes)[codes]

    def output(self, matrix: Any) -> Any:
        """Answer to encoded rows: calibrated probabilities, or numbers."""
        if self.kind is Kind.REGRESSION:
            return np.asarray(self.estimator.predict(matrix), dtype=np.float64)
        proba = np.asarray(self.estimator.predict_proba(matrix), dtype=np.float64)
        return self.deciding.calibrated(proba)

    def predict_proba(self, table: pd.DataFrame) -> Any:
        """Predict class probabilities: array of shape (n_rows, n_classes), rows sum to 1."""
        matrix = self.matrix(table)
        if len(table) == 0:  # XGBoost miscounts the classes, scikit-learn refuses
            return np.empty((0, len(self.classes)))
        return self.output(matrix)

    def save(self, folder: Path) -> None:
        """Write the model: JSON beside the estimator's own format, never pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        family(self.family).save(self.estimator, folder)
        card = {
            "family": self.family,
            "kind": self.kind.value,
            "target": self.target,
            "classes": list(self.classes),
            "params": self.params,
            "origin": self.origin,
            "encoder": self.encoder.model_dump(mode="json"),
            "deciding": self.deciding.model_dump(mode="json", exclude_none=True),
        }
        if package := package_of(self.family):
            card["package"] = " ".join(package)
        (folder / _CARD).write_text(json.dumps(card, ensure_ascii=False, indent=1), "utf-8")


def fit(rows: pd.DataFrame, recipe: Recipe) -> FittedModel:
    """Fit a model on training rows.

    Parameters
    ----------
    rows : DataFrame of shape (n, k + 1)
        The columns to learn from and the target, nothing else but for hidden columns that say
        which rows hang together, which early stopping keeps to, and how much each row counts:
        those are no features.
    recipe : Recipe

    Raises
    ------
    InputError
        If the rows have no column to learn from, a target is missing or all are one class; if
        there is no such family, or it cannot predict this kind or has no such hyperparameter.
    """
    chosen = family(recipe.family, recipe.kind)
    check(recipe.family, chosen, recipe.kind, recipe.params)
    settings = chosen.defaults(recipe.kind, len(rows)) | recipe.params
    with refusals(recipe.family, chosen, recipe.kind, recipe.params):
        return fit_settled(rows, recipe, settings)


def fit_settled(rows: pd.DataFrame, recipe: Recipe, settings: dict[str, Any]) -> FittedModel:
    """Fit a model with these hyperparameters, all of them, unchecked."""
    chosen = family(recipe.family, recipe.kind)
    X, bonds = rows[visible(rows.columns)].drop(columns=recipe.target), bonds_of(rows)
    classes, y = targets(rows[recipe.target], recipe.kind, recipe.positive)
    sees_target = settings["encoding"] == Encoding.TARGET
    averaged = averaged_targets(y, recipe.kind, len(classes)) if sees_target else None
    weights = weights_of(rows)
    encoder = with_averages(_encoder(chosen, X, settings), X, averaged, weights)
    spec = spec_of(recipe, settings, encoder, classes, bonds, weights)
    matrix = training_matrix(encoder, X, averaged, recipe.seed, bonds.groups, weights)
    return fitted_by(recipe, settings, encoder, classes, chosen.fit(matrix, y, spec))


def spec_of(
    recipe: Recipe,
    settings: dict[str, Any],
    encoder: Encoder,
    classes: tuple[Any, ...],
    bonds: Bonds = NONE,
    weights: Any = None,
) -> FitSpec:
    """What the recipe's family is told: its own settings, and what the encoder found."""
    return FitSpec(
        kind=recipe.kind,
        params={name: value for name, value in settings.items() if name not in _OF_ENCODER},
        feature_types=tuple(encoder.feature_types),
        n_classes=len(classes),
        seed=recipe.seed,
        bonds=bonds,
        metric=parse(recipe.metric) if recipe.metric else None,
        weights=weights,
    )


def fitted_by(
    recipe: Recipe,
    settings: dict[str, Any],
    encoder: Encoder,
    classes: tuple[Any, ...],
    estimator: Any,
) -> FittedModel:
    """The model that a recipe has become."""
    return FittedModel(
        family=recipe.family,
        kind=recipe.kind,
        target=recipe.target,
        encoder=encoder,
        classes=classes,
        estimator=estimator,
        params=settings,
        origin=recipe.origin,
    )


def _encoder(chosen: Family, X: pd.DataFrame, settings: dict[str, Any]) -> Encoder:
    if settings["encoding"] == Encoding.ONE_HOT:
        return OneHotEncoder.fit(X, standardize=settings.get("standardize", False))
    return Encoder.fit(X, fills_missing=not chosen.takes_missing)


def targets(values: pd.Series, kind: Kind, positive: Any = None) -> tuple[tuple[Any, ...], Any]:
    """Labels in their order, none for a regression, and the rows' codes or values.

    Of two labels the positive one, if it is given, is the second.

    Raises
    ------
    InputError
        If a target is missing or all are one class.
    """
    if values.isna().any():
        raise InputError(f"{values.isna().sum()} rows have no {values.name!r}; drop them first")
    if kind is Kind.REGRESSION:
        return (), values.to_numpy(dtype=np.float64)
    import pandas as pd

    codes, labels = pd.factorize(values.to_numpy(), sort=True)
    if len(labels) < 2:
        raise InputError(f"column {values.name!r} holds one class only; there must be two or more")
    found = tuple(labels.tolist())
    if len(found) == 2 and positive is not None and found[0] == positive:
        return found[::-1], 1 - codes
    return found, codes


def load(folder: Path) -> FittedModel:
    """Read a model that :meth:`FittedModel.save` wrote.

    Raises
    ------
    InputError
        If the folder holds no model of Baton's.
    """
    with _card_in(folder) as card:
        return card.model_in(folder)


@contextmanager
def _card_in(folder: Path) -> Iterator[_Card]:
    """What is written beside an estimator; what cannot be read of both is refused."""
    card = folder / _CARD
    if not card.is_file():
        raise InputError(f"no model in {folder}: {_CARD} is missing")
    try:
        yield _Card.model_validate_json(card.read_bytes())
    except (OSError, ValidationError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"no model can be read from {card}: {reason}") from None


def settings_of(folder: Path) -> tuple[str, dict[str, Any]]:
    """Family and hyperparameters of a saved model, without loading it.

    Raises
    ------
    InputError
        If the folder holds no model of Baton's.
    """
    with _card_in(folder) as card:
        return card.family, card.params


class _Card(BaseModel):
    """What is written of a model beside its estimator."""

    family: str
    package: str = ""
    """That brought the family, and its version; empty for Baton's own."""
    kind: Kind
    target: str
    classes: tuple[bool | int | float | str, ...]
    params: dict[str, Any]
    origin: dict[str, Any] = {}
    encoder: dict[str, Any]
    deciding: Deciding = AS_IT_IS

    def model_in(self, folder: Path) -> FittedModel:
        if self.package and self.family not in names():
            raise InputError(
                f"this model is a {self.family} of the package {self.package}, which is not"
                " installed here: install it where the model is loaded"
            )
        is_one_hot = self.encoder.get("encoding") == Encoding.ONE_HOT
        return FittedModel(
            family=self.family,
            kind=self.kind,
            target=self.target,
            encoder=(OneHotEncoder if is_one_hot else Encoder).model_validate(self.encoder),
            classes=self.classes,
            estimator=family(self.family).load(folder, self.kind),
            params=self.params,
            origin=self.origin,
            deciding=self.deciding,
        )
