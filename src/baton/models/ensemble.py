"""Several fitted models that answer as one, by the weighted mean of their answers.

Which models, and with which weights, is decided in ``baton.selection``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ValidationError

from baton.errors import InputError
from baton.models.fitted import FittedModel, fit
from baton.models.fitted import load as load_member
from baton.models.interface import Explain
from baton.models.mixing import Mixing, mixed
from baton.models.recipe import Recipe
from baton.terms import Kind

if TYPE_CHECKING:
    import pandas as pd

CARD = "ensemble.json"
"""File by which a folder is known to hold an ensemble."""


@dataclass(frozen=True)
class Member:
    """One model of an ensemble before it has seen a row."""

    name: str
    recipe: Recipe
    weight: float


@dataclass(frozen=True)
class Blend:
    """An ensemble before it has seen a row."""

    members: tuple[Member, ...]
    mixing: Mixing


@dataclass(frozen=True)
class Ensemble(FittedModel):
    """Fitted models whose answers are averaged; they share target, classes and columns.

    Its encoder is the first member's, which knows the user's columns as all of them do.
    """

    names: tuple[str, ...] = ()
    members: tuple[FittedModel, ...] = ()
    weights: tuple[float, ...] = ()
    mixing: Mixing = Mixing.NUMBERS

    @property
    def explain(self) -> Explain:
        """By its members, where their Shapley values are exact and of one scale."""
        ways = {one.explain for one in self.members}
        if self.mixing is Mixing.PROBABILITIES or Explain.ANY in ways:
            return Explain.ANY
        return Explain.TREE if ways == {Explain.TREE} else Explain.LINEAR

    def mix(self, outputs: list[Any]) -> Any:
        """Answer from the members' answers: probabilities or numbers."""
        return mixed(outputs, self.weights, self.mixing)

    def matrix(self, table: pd.DataFrame) -> Any:  # noqa: ARG002
        """Refuse: each member has a matrix of its own."""
        raise InputError("an ensemble has no matrix of its own; ask its members for theirs")

    def predict(self, table: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        """Predict labels or values: array of shape (n_rows,)."""
        if self.kind is Kind.REGRESSION:
            return self.mix([one.predict(table, params) for one in self.members])
        return self.labels(self.predict_proba(table))

    def predict_proba(self, table: pd.DataFrame) -> Any:
        """Predict class probabilities: array of shape (n_rows, n_classes), rows sum to 1."""
        if len(table) == 0:
            return np.empty((0, len(self.classes)))
        return self.mix([one.predict_proba(table) for one in self.members])

    def save(self, folder: Path) -> None:
        """Write each member into a folder of its own, and how they are joined as JSON."""
        for place, member in enumerate(self.members):
            member.save(folder / f"member_{place}")
        card = {
            "names": self.names,
            "weights": self.weights,
            "mixing": self.mixing.value,
            "origin": self.origin,
        }
        (folder / CARD).write_text(json.dumps(card, ensure_ascii=False, indent=1), "utf-8")


def fit_blend(rows: pd.DataFrame, blend: Blend, origin: dict[str, Any] | None = None) -> Ensemble:
    """Fit each member of an ensemble on the same training rows.

    Parameters
    ----------
    rows : DataFrame of shape (n, k + 1)
        As for :func:`baton.models.fit`.
    blend : Blend
    origin : dict, optional
        What the rows were made from.
    """
    members = tuple(fit(rows, one.recipe) for one in blend.members)
    weights = tuple(one.weight for one in blend.members)
    names = tuple(one.name for one in blend.members)
    return _joined(names, members, weights, blend.mixing, origin or {})


def refitter(model: FittedModel, seed: int) -> Callable[[pd.DataFrame], FittedModel]:
    """Way to fit on other rows what a model was fitted as, hyperparameters and weights kept."""
    if not isinstance(model, Ensemble):
        recipe = _recipe_of(model, seed)
        return lambda rows: fit(rows, recipe)
    parts = zip(model.names, model.members, model.weights, strict=True)
    members = tuple(Member(name, _recipe_of(one, seed), weight) for name, one, weight in parts)
    blend = Blend(members, model.mixing)
    return lambda rows: fit_blend(rows, blend)


def _recipe_of(model: FittedModel, seed: int) -> Recipe:
    return Recipe(model.target, model.kind, model.family, model.params, seed)


def _joined(
    names: tuple[str, ...],
    members: tuple[FittedModel, ...],
    weights: tuple[float, ...],
    mixing: Mixing,
    origin: dict[str, Any],
) -> Ensemble:
    first = members[0]
    shown = {name: round(weight, 4) for name, weight in zip(names, weights, strict=True)}
    return Ensemble(
        family="ensemble",
        kind=first.kind,
        target=first.target,
        encoder=first.encoder,
        classes=first.classes,
        estimator=None,
        params={"mixing": mixing.value, **shown},
        origin=origin,
        names=names,
        members=tuple(replace(one, origin={}) for one in members),
        weights=weights,
        mixing=mixing,
    )


class _Card(BaseModel):
    """What is written of an ensemble beside its members."""

    names: tuple[str, ...]
    weights: tuple[float, ...]
    mixing: Mixing
    origin: dict[str, Any] = {}


def load(folder: Path) -> Ensemble:
    """Read what :meth:`Ensemble.save` wrote.

    Raises
    ------
    InputError
        If the folder holds no ensemble of Baton's.
    """
    try:
        card = _Card.model_validate_json((folder / CARD).read_bytes())
    except (OSError, ValidationError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"no model can be read from {folder / CARD}: {reason}") from None
    members = tuple(load_member(folder / f"member_{n}") for n in range(len(card.names)))
    if not members or len(card.weights) != len(members):
        raise InputError(f"no model can be read from {folder / CARD}: names and weights differ")
    return _joined(card.names, members, card.weights, card.mixing, card.origin)
