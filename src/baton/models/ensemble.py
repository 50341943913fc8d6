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
from baton.models.deciding import AS_IT_IS, Deciding
from baton.models.fitted import FittedModel, fit
from baton.models.fitted import load as load_member
from baton.models.interface import Explain
from baton.models.mixing import Mixing, mixed
from baton.models.recipe import Recipe
from baton.models.registry import ENSEMBLE
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

    Its encoder is the first member's, which knows the user's columns as all of them do. What
    decides is found of the mean; members answer as they are.
    """

    names: tuple[str, ...] = ()
    members: tuple[FittedModel, ...] = ()
    weights: tuple[float, ...] = ()
    mixing: Mixing = Mixing.NUMBERS

    @property
    def families(self) -> tuple[str, ...]:
        """Those of its members."""
        return tuple(sorted({one.family for one in self.members}))

    @property
    def explain(self) -> Explain:
        """By its members, where their Shapley values are exact and of one scale."""
        ways = {one.explain for one in self.members}
        if self.mixing is Mixing.PROBABILITIES or Explain.ANY in ways:
            return Explain.ANY
        return Explain.TREE if ways == {Explain.TREE} else Explain.LINEAR

    def matrix(self, table: pd.DataFrame) -> Any:
        """Encode a table as each member does: a tuple of their matrices."""
        return tuple(one.matrix(table) for one in self.members)

    def output(self, matrix: Any) -> Any:
        """Answer to rows that each member has encoded: calibrated probabilities, or numbers."""
        pairs = zip(self.members, matrix, strict=True)
        found = mixed([one.output(own) for one, own in pairs], self.weights, self.mixing)
        return found if self.kind is Kind.REGRESSION else self.deciding.calibrated(found)

    def predict(self, table: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:  # noqa: ARG002
        """Predict labels or values: array of shape (n_rows,)."""
        if self.kind is Kind.CLASSIFICATION:
            return self.labels(self.predict_proba(table))
        return self.output(self.matrix(table)) if len(table) else np.empty(0)

    def save(self, folder: Path) -> None:
        """Write each member into a folder of its own, and how they are joined as JSON."""
        for place, member in enumerate(self.members):
            member.save(folder / f"member_{place}")
        card = {
            "names": self.names,
            "weights": self.weights,
            "mixing": self.mixing.value,
            "origin": self.origin,
            "deciding": self.deciding.model_dump(mode="json", exclude_none=True),
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


def refitter(model: FittedModel, recipe: Recipe) -> Callable[[pd.DataFrame], FittedModel]:
    """Way to fit on other rows what a model was fitted as; its output becomes an answer likewise.

    Parameters
    ----------
    model : FittedModel
        Its families, hyperparameters and weights are kept, and what decides.
    recipe : Recipe
        What was to be learnt; of its family and hyperparameters nothing is taken.
    """
    if not isinstance(model, Ensemble):
        own = _recipe_of(model, recipe)
        return lambda rows: replace(fit(rows, own), deciding=model.deciding)
    parts = zip(model.names, model.members, model.weights, strict=True)
    members = tuple(Member(name, _recipe_of(one, recipe), weight) for name, one, weight in parts)
    blend = Blend(members, model.mixing)
    return lambda rows: replace(fit_blend(rows, blend), deciding=model.deciding)


def _recipe_of(model: FittedModel, recipe: Recipe) -> Recipe:
    return replace(recipe, family=model.family, params=model.params)


def _joined(
    names: tuple[str, ...],
    members: tuple[FittedModel, ...],
    weights: tuple[float, ...],
    mixing: Mixing,
    origin: dict[str, Any],
    deciding: Deciding = AS_IT_IS,
) -> Ensemble:
    first = members[0]
    return Ensemble(
        family=ENSEMBLE,
        kind=first.kind,
        target=first.target,
        encoder=first.encoder,
        classes=first.classes,
        estimator=None,
        params=_params(names, weights, mixing),
        origin=origin,
        deciding=deciding,
        names=names,
        members=tuple(replace(one, origin={}) for one in members),
        weights=weights,
        mixing=mixing,
    )


def _params(names: tuple[str, ...], weights: tuple[float, ...], mixing: Mixing) -> dict[str, Any]:
    shown = {name: round(weight, 4) for name, weight in zip(names, weights, strict=True)}
    return {"mixing": mixing.value, **shown}


class _Card(BaseModel):
    """What is written of an ensemble beside its members."""

    names: tuple[str, ...]
    weights: tuple[float, ...]
    mixing: Mixing
    origin: dict[str, Any] = {}
    deciding: Deciding = AS_IT_IS


def load(folder: Path) -> Ensemble:
    """Read what :meth:`Ensemble.save` wrote.

    Raises
    ------
    InputError
        If the folder holds no ensemble of Baton's.
    """
    card = _card_in(folder)
    members = tuple(load_member(folder / f"member_{n}") for n in range(len(card.names)))
    if not members or len(card.weights) != len(members):
        raise InputError(f"no model can be read from {folder / CARD}: names and weights differ")
    return _joined(card.names, members, card.weights, card.mixing, card.origin, card.deciding)


def settings_of(folder: Path) -> tuple[str, dict[str, Any]]:
    """Family and hyperparameters, as :attr:`Ensemble.params` has them, without loading members.

    Raises
    ------
    InputError
        If the folder holds no ensemble of Baton's.
    """
    card = _card_in(folder)
    return ENSEMBLE, _params(card.names, card.weights, card.mixing)


def _card_in(folder: Path) -> _Card:
    try:
        return _Card.model_validate_json((folder / CARD).read_bytes())
    except (OSError, ValidationError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"no model can be read from {folder / CARD}: {reason}") from None
