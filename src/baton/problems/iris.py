"""The problem ``iris``: three species of iris, told apart by their petals and sepals.

Fisher's data set (1936), as scikit-learn ships it, in the two flows that many people meet first:
one makes the data, the other learns from what the first has kept.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from baton.problems.base import Goal, Params, Problem
from baton.problems.splits import stratified
from baton.terms import ROW, Kind

if TYPE_CHECKING:
    import pandas as pd
    from pandera.pandas import DataFrameSchema

TARGET = "species"
SPECIES = ("setosa", "versicolor", "virginica")
MEASURES = ("sepal_length_cm", "sepal_width_cm", "petal_length_cm", "petal_width_cm")


class Target(StrEnum):
    """How the raw table says the species."""

    NAME = "name"
    CODE = "code"
    ONE_HOT = "one_hot"


class IrisParams(Params):
    """Parameters of ``iris``."""

    test_data_ratio: Annotated[float, Field(gt=0, lt=1, description="part held out")] = 0.2
    target: Annotated[
        Target, Field(description="how the raw table says the species: name, code or one_hot")
    ] = Target.NAME
    num_train_iter: Annotated[
        int, Field(ge=1, le=1_000_000, description="iterations of the solver, at most")
    ] = 10_000
    C: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="inverse of the regularisation")
    ] = 1.0
    seed: Annotated[int, Field(ge=0, lt=2**32, description="seed of the split")] = 0


class Iris(Problem[IrisParams]):
    """Species of iris, by one logistic regression for each against the rest."""

    name = "iris"
    summary = "three species of iris by one-vs-rest logistic regression"
    params = IrisParams

    def load(self, params: IrisParams) -> pd.DataFrame:
        """Measures in cm, and the species as a name, a code or a column for each."""
        import pandas as pd
        from sklearn.datasets import load_iris

        found = load_iris(as_frame=True)
        table: pd.DataFrame = found.data.set_axis(list(MEASURES), axis=1)
        match params.target:
            case Target.NAME:
                return table.assign(**{TARGET: pd.Series(SPECIES)[found.target].to_numpy()})
            case Target.CODE:
                return table.assign(**{TARGET: found.target})
            case Target.ONE_HOT:
                columns = {name: found.target == code for code, name in enumerate(SPECIES)}
                return table.assign(**columns)

    def contract(self, params: IrisParams) -> DataFrameSchema:
        """Positive measures, and one species for each flower."""
        from pandera.pandas import Check, Column, DataFrameSchema

        measures = {name: Column(float, Check.gt(0)) for name in MEASURES}
        match params.target:
            case Target.NAME:
                target = {TARGET: Column(str, Check.isin(SPECIES))}
            case Target.CODE:
                target = {TARGET: Column(int, Check.isin(range(len(SPECIES))))}
            case Target.ONE_HOT:
                target = {name: Column(bool) for name in SPECIES}
        return DataFrameSchema(measures | target, strict=True)

    def kind(self, params: IrisParams) -> Kind:  # noqa: ARG002
        """Classes."""
        return Kind.CLASSIFICATION

    def goal(self, raw: pd.DataFrame, params: IrisParams) -> Goal:  # noqa: ARG002
        """Classify the species."""
        settings = {"multi_class": "ovr", "max_iter": params.num_train_iter, "C": params.C}
        return Goal(
            Kind.CLASSIFICATION,
            TARGET,
            headline="accuracy",
            model="logistic_regression",
            model_params=settings,
        )

    def features(
        self, raw: pd.DataFrame, params: IrisParams, *, with_target: bool = True
    ) -> pd.DataFrame:
        """Return the four measures."""
        table = raw[list(MEASURES)].copy()
        table.insert(0, ROW, range(len(raw)))
        if not with_target:
            return table
        is_one_hot = params.target is Target.ONE_HOT
        species = raw[list(SPECIES)].astype(int).idxmax(axis=1) if is_one_hot else raw[TARGET]
        return table.assign(**{TARGET: species})

    def split(self, features: pd.DataFrame, raw: pd.DataFrame, params: IrisParams) -> pd.Series:  # noqa: ARG002
        """Split at random, stratified by species."""
        return stratified(features[TARGET], params.test_data_ratio, params.seed)


problem = Iris()
