"""What every problem keeps, whoever brings it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest
from pandas.api import types as dtypes

from baton import models, problems
from baton.errors import InputError
from baton.evaluation import metrics
from baton.problems import Params, Problem
from baton.terms import ROW, SPLIT, Kind

Case = tuple[Problem[Any], Params]


class ProblemContract:
    """Tests of one problem, for a class of a test file to inherit."""

    problem: ClassVar[str | Problem[Any]]
    """Name that the problem is registered under, or the problem itself."""
    params: ClassVar[dict[str, Any]] = {}
    """Parameters by which loading is quick, such as few rows."""

    @pytest.fixture
    def values(self, tmp_path: Path) -> dict[str, Any]:  # noqa: ARG002  for those that override it
        """Parameters of the case; to be overridden where a file has to be made for them."""
        return dict(self.params)

    @pytest.fixture
    def case(self, values: dict[str, Any]) -> Case:
        """Problem with its parameters."""
        found = self._found()
        return found, problems.parse(found, values)

    def _found(self) -> Problem[Any]:
        of = getattr(self, "problem", None)
        if isinstance(of, Problem):
            return of
        said = f'{type(self).__name__} does not say its problem: add problem = "…", its name'
        if of is not None:
            try:
                return problems.get(of)
            except InputError as error:
                said = f"{error}; install the package that brings it: pip install -e ."
        pytest.fail(said, pytrace=False)

    def test_parameters_survive_the_way_through_json(self, case: Case) -> None:
        """What the command sends is what the flow reads."""
        problem, params = case
        assert problems.parse(problem, params.model_dump(mode="json")) == params

    def test_every_parameter_is_described(self, case: Case) -> None:
        """`baton problems NAME` has something to say about each."""
        problem, params = case
        assert all(field.description for field in type(params).model_fields.values())
        assert problem.summary

    def test_a_misspelt_parameter_is_refused_with_the_known_ones(
        self, case: Case, values: dict[str, Any]
    ) -> None:
        """One line that lists what there is."""
        problem, params = case
        known = list(type(params).model_fields)
        wrong = f"{known[-1]}e" if known else "sede"
        with pytest.raises(InputError) as caught:
            problems.parse(problem, values | {wrong: 1})
        said = str(caught.value)
        assert said.startswith(f"unknown parameter {wrong!r} of problem {problem.name!r}; ")
        assert f"it has: {', '.join(known)}" in said
        assert "\n" not in said

    def test_raw_keeps_the_contract_and_is_the_same_every_time(self, case: Case) -> None:
        """Loading is deterministic, and the contract accepts what load returns."""
        problem, params = case
        raw = problem.load(params)
        problem.contract(params).validate(raw)
        pd.testing.assert_frame_equal(raw, problem.load(params))
        assert problem.fingerprint(params) == problem.fingerprint(params)

    def test_features_are_what_a_model_can_take(self, case: Case) -> None:
        """Row ids, columns of four kinds, and the target only when asked for."""
        problem, params = case
        raw = problem.load(params)
        goal = problem.goal(raw, params)
        before = raw.copy()
        features = problem.features(raw, params)
        pd.testing.assert_frame_equal(raw, before)
        assert features[ROW].is_unique
        assert features[goal.target].notna().all()
        for name, values in features.drop(columns=[ROW, goal.target]).items():
            assert isinstance(name, str)
            assert _is_of_a_feature(values), f"column {name!r} is of the type {values.dtype}"
        schema = json.loads(json.dumps(problem.schema(raw, params)))
        blind = problem.new_features(problem.unseen(params), params, schema)
        assert goal.target not in blind.columns
        assert set(features.columns) - set(blind.columns) == {goal.target}
        assert metrics.parse(goal.headline) in metrics.names(goal.kind)

    def test_the_columns_that_are_needed_make_the_same_features(self, case: Case) -> None:
        """A person who makes a row up is asked for these, and for none that changes nothing."""
        problem, params = case
        raw = problem.load(params)
        schema = json.loads(json.dumps(problem.schema(raw, params)))
        target = problem.goal(raw, params).target
        rows = raw.drop(columns=[target, SPLIT], errors="ignore").head(20)
        needed = list(problem.needed(rows, params, schema))
        assert needed and set(needed) <= set(rows.columns)
        whole = problem.new_features(rows, params, schema)
        pd.testing.assert_frame_equal(problem.new_features(rows[needed], params, schema), whole)

    def test_a_model_learns_on_one_side_and_is_scored_on_the_other(self, case: Case) -> None:
        """The split covers every row, and every class that is tested was trained on."""
        problem, params = case
        raw = problem.load(params)
        goal = problem.goal(raw, params)
        features = problem.features(raw, params)
        split = problem.split(features, raw, params)
        assert split.index.equals(features.index)
        assert set(split.unique()) == {"train", "test"}
        rows = features.drop(columns=ROW)
        train, test = rows[split == "train"], rows[split == "test"]
        model = models.fit(train, models.Recipe(goal.target, goal.kind))
        assert len(model.predict(test)) == len(test)
        if goal.kind is Kind.CLASSIFICATION:
            assert set(test[goal.target]) <= set(train[goal.target])


def _is_of_a_feature(values: pd.Series) -> bool:
    """Tell whether a column is of numbers, booleans, datetimes or categories."""
    return bool(
        dtypes.is_numeric_dtype(values.dtype)
        or dtypes.is_datetime64_dtype(values.dtype)
        or isinstance(values.dtype, pd.CategoricalDtype)
    )
