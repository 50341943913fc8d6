"""What every family of models keeps, whoever brings it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np
import pandas as pd
import pytest
from sklearn.inspection import permutation_importance
from threadpoolctl import threadpool_limits

from baton import models
from baton.errors import InputError
from baton.evaluation import importance, metrics
from baton.evaluation.shapley import Method, margin, shap_values
from baton.models.answers import output_of
from baton.models.checks import check, known_parameters
from baton.models.space import Categorical
from baton.terms import WEIGHT, Kind
from baton.testing.tables import TASKS, kind_of, strange_rows, table_of

_EXACT = {models.Explain.TREE: Method.TREE, models.Explain.LINEAR: Method.LINEAR}
_PARTS_OF_SKOPS = {"json", "npy", "npz", "bin"}
_PICKLE = b"\x80"
"""What a pickle of any protocol since 2 begins with."""


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
class ModelContract:
    """Tests of one family, for a class of a test file to inherit.

    Each runs for every kind that the family can predict: two classes, four classes, a number; and
    where it matters for every matrix that the family takes.
    """

    family: ClassVar[str]
    """Name that the family is registered under."""
    few: ClassVar[dict[str, Any]] = {}
    """Hyperparameters by which a fit of 160 rows is quick and still learns, such as few trees."""
    drawn: ClassVar[dict[str, Any] | None] = None
    """Hyperparameters beside them with which another seed fits another model; None where chance
    has no part in a fit."""
    wrong: ClassVar[dict[str, Any]] = {}
    """A hyperparameter with a value that is none of its own; the first of `few` if not given."""
    files: ClassVar[frozenset[str] | None] = None
    """Names that the estimator's files may have; any if not given."""
    _limited: ClassVar[Any]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Have each test run for what the family can do, by the names of its arguments."""
        wanted, tasks = set(metafunc.fixturenames), self._tasks()
        if "labels" in wanted:
            many = [[False, True], [3, 7], ["no", "yes"]] if "binary" in tasks else [[0.0, 1.0]]
            metafunc.parametrize("labels", many, ids=str)
        if "kind" in wanted:
            metafunc.parametrize("kind", list(Kind), ids=[one.value for one in Kind])
        if "one_task" in wanted:
            metafunc.parametrize("one_task", ["classes" if "classes" in tasks else "regression"])
        if "task" in wanted and "encoding" in wanted:
            ways = [(one, way.value) for one in tasks for way in _family(self).encodings]
            metafunc.parametrize(("task", "encoding"), ways)
        elif "task" in wanted:
            metafunc.parametrize("task", tasks)

    @classmethod
    def setup_class(cls) -> None:
        """Compute in one thread: several on tiny tables only wait for each other."""
        cls._limited = threadpool_limits(1)

    @classmethod
    def teardown_class(cls) -> None:
        """Let the tests of others have their threads."""
        cls._limited.restore_original_limits()

    def _tasks(self) -> list[str]:
        return [one for one in TASKS if kind_of(one) in _family(self).kinds]

    def _fit(
        self, task: str, table: pd.DataFrame | None = None, seed: int = 0, **params: Any
    ) -> models.FittedModel:
        recipe = models.Recipe(
            "label", kind_of(task), family=self.family, params=self.few | params, seed=seed
        )
        return models.fit(table_of(task) if table is None else table, recipe)

    def test_it_learns(self, task: str, encoding: str) -> None:
        """Better than the best constant on what it was fitted on; probabilities sum to 1."""
        table = table_of(task)
        model = _fitted(type(self), task, encoding)
        found, actual = model.predict(table), table["label"].to_numpy()
        assert found.shape == (len(table),)
        if task == "regression":
            assert found.dtype == np.float64
            assert ((found - actual) ** 2).mean() < 0.9 * actual.var()
            return
        proba = model.predict_proba(table)
        assert proba.shape == (len(table), len(model.classes))
        np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-6)
        assert (proba >= 0).all()
        assert (found == actual).mean() > table["label"].value_counts(normalize=True).max() + 0.1
        assert (found == model.labels(proba)).all()

    def test_labels_keep_their_type(self, labels: list[Any]) -> None:
        """What was learned as a boolean, integer, string or number is answered as such."""
        table = table_of("binary")[["size [m]<", "is_new", "label"]]
        table = table.assign(label=np.array(labels)[(table["label"] == "yes").astype(int)])
        is_number = isinstance(labels[0], float)
        found = self._fit("regression" if is_number else "binary", table).predict(table).tolist()
        assert {type(one) for one in found} == {type(labels[0])}
        assert is_number or set(found) == set(labels)

    def test_a_saved_model_answers_the_same_bits(self, task: str, tmp_path: Path) -> None:
        """Labels, probabilities and numbers survive the files, and what it was made from too."""
        table = table_of(task)
        encodings = _family(self).encodings
        params = self.few | {"encoding": encodings[-1 if task == "classes" else 0]}
        origin = {"problem": "p", "params": {"folds": 3, "ü": None}}
        model = models.fit(
            table, models.Recipe("label", kind_of(task), self.family, params, origin=origin)
        )
        model.save(tmp_path)
        again = models.load(tmp_path)
        assert again.predict(table).tolist() == model.predict(table).tolist()
        np.testing.assert_array_equal(output_of(again, table), output_of(model, table))
        assert (again.classes, again.params, again.encoder, again.origin) == (
            model.classes, model.params, model.encoder, origin,
        )  # fmt: skip

    def test_the_files_are_no_pickles_and_always_the_same(
        self, one_task: str, tmp_path: Path
    ) -> None:
        """JSON and a format that runs no code; equal fits are equal bytes."""
        contents = []
        for place in ("a", "b"):
            self._fit(one_task).save(tmp_path / place)
            files = sorted((tmp_path / place).iterdir())
            contents.append({file.name: file.read_bytes() for file in files})
        assert contents[0] == contents[1]
        json.loads(contents[0].pop("model.json"))
        assert self.files is None or set(contents[0]) <= self.files
        for name, content in contents[0].items():
            assert not content.startswith(_PICKLE), f"{name} is a pickle"
            _require_no_pickle_inside(tmp_path / "a" / name)

    def test_the_seed_decides(self, one_task: str) -> None:
        """The same seed gives the same bits; another one other bits where chance has a part."""
        table = table_of(one_task)
        first, again, other = (
            output_of(self._fit(one_task, table, seed, **(self.drawn or {})), table)
            for seed in (4, 4, 5)
        )
        np.testing.assert_array_equal(first, again)
        if self.drawn is not None:
            assert (first != other).any()

    def test_rows_unlike_the_training_rows_are_answered(self, task: str, encoding: str) -> None:
        """A level never seen, nothing known at all, huge numbers: a finite answer to each."""
        found = output_of(_fitted(type(self), task, encoding), strange_rows())
        assert len(found) == 3
        assert np.isfinite(found).all()

    def test_one_row_and_none(self, task: str) -> None:
        """One row is answered as it is among others, and no rows with nothing of that shape."""
        table = table_of(task)
        model = _fitted(type(self), task)
        whole = output_of(model, table)
        np.testing.assert_allclose(output_of(model, table[7:8]), whole[7:8], rtol=1e-12)
        assert model.predict(table[:0]).shape == (0,)
        assert output_of(model, table[:0]).shape == (0, *whole.shape[1:])

    def test_shapley_values_add_up(self, task: str, encoding: str) -> None:
        """Base value plus a row's values is the model's output, in the user's columns."""
        table = table_of(task)
        model = _fitted(type(self), task, encoding)
        rows, X = table[:4], table.drop(columns="label")
        found = shap_values(model, rows, background=X)
        assert found.features == tuple(X.columns)
        assert found.values.shape[:2] == (4, 5)
        sums = found.values.sum(axis=1) + found.base_values
        np.testing.assert_allclose(sums, margin(model, rows), rtol=1e-4, atol=1e-4)
        assert found.values.any()
        labels = {"binary": model.classes[1:], "classes": model.classes, "regression": ()}
        assert found.classes == labels[task]
        promised = _EXACT.get(_family(self).explain)
        assert promised in {None, found.method}, f"explain promises {promised}: it is not so"

    def test_rows_may_count_more_than_others(self, one_task: str) -> None:
        """Weights are taken, and a model is fitted by them."""
        table = table_of(one_task)
        weighed = table.assign(**{WEIGHT: np.where(table["is_new"], 4.0, 1.0)})
        assert np.isfinite(output_of(self._fit(one_task, weighed), table)).all()

    def test_importances_are_scikit_learns(self, one_task: str) -> None:
        """Shuffling encoded blocks gives the numbers of shuffling the user's columns."""
        table = table_of(one_task)
        model = _fitted(type(self), one_task)
        metric = "rmse" if one_task == "regression" else "log_loss"

        def score(_: Any, X: Any, y: Any) -> float:
            found = metrics.score(metric, np.asarray(y), output_of(model, X), model.classes)
            assert found is not None
            return -found

        X, y = table.drop(columns="label"), table["label"]
        found = importance.permutation_importance(model, X, y, metric, 2, 5)
        theirs = permutation_importance(_Facade(), X, y, n_repeats=2, random_state=5, scoring=score)
        np.testing.assert_allclose(found.raw, theirs.importances, atol=1e-12)
        assert found.mean.any()

    def test_the_defaults_are_listed_and_known(self, task: str) -> None:
        """Every default is recorded with the model and is a hyperparameter that one may give."""
        family, kind = _family(self), kind_of(task)
        defaults = family.defaults(kind, 160)
        assert _fitted(type(self), task).params == defaults | self.few
        assert defaults["encoding"] == family.encodings[0]
        check(self.family, family, kind, defaults)

    def test_the_space_is_fitted(self, one_task: str) -> None:
        """The ends of every range are values that the family takes and fits."""
        space = _family(self).space(kind_of(one_task))
        few = {one: value for one, value in self.few.items() if one != "max_depth"}
        for end in ("low", "high"):
            tried: dict[str, Any] = {
                one: values.choices[-1 if end == "high" else 0]
                if isinstance(values, Categorical)
                else getattr(values, end)
                for one, values in space.items()
            }
            found = self._fit(one_task, **tried | few)
            assert found.params.items() >= (tried | few).items()

    def test_a_hyperparameter_unknown_or_wrong_is_refused(self, task: str) -> None:
        """One line names what is wrong and the names that the family knows."""
        names = sorted(known_parameters(_family(self), kind_of(task)))
        known = ", ".join(names)
        hint = "did you mean 'n_estimators'? " if "n_estimators" in names else ""
        with pytest.raises(InputError) as caught:
            self._fit(task, n_estimatorz=3)
        said = f"{self.family} has no hyperparameter 'n_estimatorz'; {hint}it knows: {known}"
        assert str(caught.value) == said
        for wrong in ({"encoding": "hot"}, self.wrong or dict.fromkeys([*self.few][:1], "many")):
            if not wrong:
                continue
            with pytest.raises(InputError) as caught:
                self._fit(task, **wrong)
            assert str(caught.value).endswith(f"; it knows: {known}")
            assert "\n" not in str(caught.value)

    def test_a_kind_that_it_cannot_do_is_refused(self, kind: Kind) -> None:
        """The families that can are named."""
        if kind in _family(self).kinds:
            assert models.family(self.family, kind) is _family(self)
            return
        recipe = models.Recipe("label", kind, family=self.family)
        said = f"{self.family} cannot do a {kind.value}; these can: .*voting"
        with pytest.raises(InputError, match=said):
            models.fit(table_of("regression"), recipe)

    def test_a_folder_without_its_estimator_is_said_so(self, one_task: str, tmp_path: Path) -> None:
        """A missing or broken file is one line, whatever library would read it."""
        _fitted(type(self), one_task).save(tmp_path)
        for file in set(tmp_path.iterdir()) - {tmp_path / "model.json"}:
            content = file.read_bytes()
            file.write_bytes(b"broken")
            with pytest.raises(InputError, match=f"no model can be read from .*{file.name}"):
                models.load(tmp_path)
            file.unlink()
            with pytest.raises(InputError, match=f"no model can be read from .*{file.name}"):
                models.load(tmp_path)
            file.write_bytes(content)


class _Facade:
    """What looks like an estimator to scikit-learn."""

    def fit(self) -> None:
        """Do nothing: the model is fitted."""


def _family(of: ModelContract) -> models.Family:
    """Family that a test class is of; told in one line where it is not to be had."""
    name = getattr(of, "family", None)
    if not isinstance(name, str):
        _refuse(f'{type(of).__name__} does not say its family: add family = "…", its name')
    try:
        return models.family(name)
    except InputError as error:
        _refuse(f"{error}; install the package that brings it: pip install -e .")


def _refuse(said: str) -> NoReturn:
    pytest.fail(said, pytrace=False)


_made: dict[tuple[type[ModelContract], str, str | None], models.FittedModel] = {}


def _fitted(
    contract: type[ModelContract], task: str, encoding: str | None = None
) -> models.FittedModel:
    """Model that several tests look at, fitted once."""
    key = contract, task, encoding
    if key not in _made:
        params = contract.few | ({"encoding": encoding} if encoding else {})
        recipe = models.Recipe("label", kind_of(task), family=contract.family, params=params)
        _made[key] = models.fit(table_of(task), recipe)
    return _made[key]


def _require_no_pickle_inside(file: Path) -> None:
    """See that an archive holds no pickle; one of skops holds what skops writes, and no more."""
    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            assert not archive.read(name).startswith(_PICKLE), f"{name} in {file.name} is a pickle"
            known = file.suffix != ".skops" or name.rpartition(".")[2] in _PARTS_OF_SKOPS
            assert known, f"{name} in {file.name} is no part of a model"
