"""Fingerprints: what changes a key, and what does not."""

import ast
import shutil
import subprocess
import sys
from functools import cache
from importlib import metadata

import pytest

import baton
import tasks
from baton import fingerprint as fingerprints
from baton import plugins, problems, tuning
from baton.chain.events import DatasetReady, ModelTrained, TableRef
from baton.fingerprint import fingerprint
from baton.models import FittedModel
from baton.terms import Options
from tasks.checking import ChecksPlan
from tasks.comparison import ComparisonPlan
from tasks.data import DatasetPlan
from tasks.evaluation import EvaluationPlan
from tasks.prediction import PredictionPlan
from tasks.reporting import ReportPlan
from tasks.training import TrainingPlan
from tasks.tuning import SearchPlan, package_of
from tests.packages import lay
from tests.unit.test_contracts import READY

DATA = DatasetReady.model_validate(READY)
MODEL = {"name": "baton-iris", "version": 1, "run_id": "e" * 32, "digest": "d" * 64}
TRAINED = ModelTrained.model_validate(
    {"chain": DATA.chain, "problem": DATA.problem, "data": DATA.payload(), "model": MODEL}
)


def all_keys(**options):
    """Key of every stage's results, for one and the same chain."""
    data = DATA.model_copy(update={"options": DATA.options.model_copy(update=options)})
    trained = TRAINED.model_copy(update={"data": data})
    name = data.options.model or "xgboost"
    iris = problems.get("iris")
    params = problems.parse(iris, {})
    search = tuning.Search(
        problem="iris",
        family=name,
        kind=data.kind,
        metric="accuracy",
        space={},
        data="d" * 64,
        seed=0,
        n_trials=3,
        start={},
    )
    evaluation = EvaluationPlan(trained)
    model = FittedModel(name, data.kind, "species", None, (), None, {})
    return {
        "data": DatasetPlan(iris, params, Options(), "c" * 12, "s").folder,
        "warnings": ChecksPlan(data).folder,
        "comparison": ComparisonPlan(data).folder,
        "model": TrainingPlan(data).version_key,
        "study": SearchPlan(data, search, 1).folder,
        "evaluation": evaluation.folder,
        "report": ReportPlan(evaluation).folder,
        "prediction": PredictionPlan(iris, params, "c" * 12, trained.model, model, "s").folder,
    }


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A copy of the code for fingerprints to read, forgotten afterwards."""
    for package in (baton, tasks):
        copy = tmp_path / package.__name__
        shutil.copytree(package.__path__[0], copy, ignore=shutil.ignore_patterns("__pycache__"))
        monkeypatch.setattr(package.__spec__, "submodule_search_locations", [str(copy)])
    _forget()
    yield tmp_path
    _forget()


@cache
def _unchanged():
    """All keys of the code as it stands; a copy of it has the same."""
    return all_keys()


def _forget():
    for cached in vars(fingerprints).values():
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()


def changed(tree, file, old, new):
    """Names of the keys that this change of the code changes."""
    before = _unchanged()
    path = tree / file
    text = path.read_text()
    assert old in text, f"{file} says no longer {old!r}: plant another change"
    path.write_text(text.replace(old, new, 1))
    _forget()
    after = all_keys()
    return {name for name in before if before[name] != after[name]}


NOTHING = set()
PAGE = {"report"}
JUDGED = {"comparison", "study", "evaluation", "report"}
FITTED = {"comparison", "model", "study", "evaluation", "report", "prediction"}
CHECKED = {"warnings"}
EVERYTHING = FITTED | CHECKED | {"data"}


@pytest.mark.parametrize(
    ("file", "old", "new", "keys"),
    [
        ("baton/models/xgb.py", '"n_estimators": 1000', '"n_estimators": 1001', FITTED),
        (
            "baton/evaluation/metrics.py",
            "classification(y_true, output,",
            "classification(y_true, 1 * output,",
            JUDGED,
        ),
        (
            "baton/selection/greedy.py",
            "MOST_STEPS = 12",
            "MOST_STEPS = 9",
            {"comparison", "study", "report"},
        ),
        ("tasks/evaluation.py", "_ROWS = 1000", "_ROWS = 500", {"evaluation", "report"}),
        ("tasks/rows.py", '"=="', '"!="', FITTED - {"prediction"} | CHECKED),
        ("baton/checks/suspect.py", "_ALMOST = 0.95", "_ALMOST = 0.96", CHECKED),
        ("baton/evaluation/usefulness.py", "return []", "return list()", PAGE),
        ("baton/problems/iris.py", "1_000_000", "1_000_001", {"data", "prediction"}),
        ("baton/terms.py", '"_row"', '"_id"', EVERYTHING),
        ("baton/showing/plots/picture.py", "#0072B2", "#0072B3", PAGE),
        ("baton/showing/templates/report.html.jinja", ">Metrics<", ">Figures<", PAGE),
        ("baton/words/text.py", "}…{", "}...{", PAGE),
    ],
)
def test_a_change_that_matters_changes_the_keys_of_what_it_decides(tree, file, old, new, keys):
    """Those and no others: a colour trains nothing, and a metric serves no old number."""
    assert changed(tree, file, old, new) == keys


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("baton/models/xgb.py", "\n\n\n", "\n\n\n# a comment, and a line less\n"),
        ("baton/evaluation/metrics.py", '"""', '"""In other words: '),
        ("baton/cli/app.py", "baton", "Baton"),
        ("baton/settings.py", "4200", "4201"),
        ("baton/problems/taxi.py", "taxi", "cab"),
        ("baton/errors.py", "class", "class Another(Exception): pass\n\n\nclass"),
        ("tasks/platform/stage.py", "logging.INFO", "logging.DEBUG"),
        ("tasks/notebooks.py", "notebook", "book"),
    ],
)
def test_a_change_that_does_not_matter_changes_no_key(tree, file, old, new):
    """Comments, docstrings, the command, settings, another problem, how runs are carried."""
    assert changed(tree, file, old, new) == NOTHING


def test_what_is_warned_of_changes_the_page_and_trains_nothing():
    """Other warnings of the same tables: no model, no score is made anew."""
    from tests.unit.test_contracts import TABLE

    warned = DATA.model_copy(update={"warnings": TableRef.model_validate(TABLE)})
    other = TRAINED.model_copy(update={"data": warned})
    assert TrainingPlan(warned).version_key == TrainingPlan(DATA).version_key
    assert EvaluationPlan(other).folder == EvaluationPlan(TRAINED).folder
    pages = {ReportPlan(EvaluationPlan(one)).folder for one in (TRAINED, other)}
    assert len(pages) == 2


@pytest.mark.parametrize(
    ("library", "keys"),
    [
        ("xgboost", FITTED),
        ("pandas", EVERYTHING),
        ("shap", {"evaluation", "report"}),
        ("optuna", {"study", "report"}),
        ("matplotlib", PAGE),
        ("prefect", NOTHING),
        ("mlflow", NOTHING),
        ("rich", NOTHING),
        ("scikit-learn", EVERYTHING),
    ],
)
def test_another_version_of_a_library_changes_what_it_decides(monkeypatch, library, keys):
    """A new shap explains anew and trains nothing; a new Prefect changes no result."""
    _forget()
    before = all_keys()
    version = metadata.version
    monkeypatch.setattr(
        fingerprints, "version", lambda name: "9.9" if name == library else version(name)
    )
    _forget()
    after = all_keys()
    _forget()
    assert {name for name in before if before[name] != after[name]} == keys


def test_another_python_changes_every_key(monkeypatch):
    """Its standard library computes too."""
    before = all_keys()
    monkeypatch.setattr(fingerprints.platform, "python_version", lambda: "9.9.9")
    _forget()
    after = all_keys()
    _forget()
    assert not set(before.values()) & set(after.values())


def test_distributions_of_another_name_are_the_ones_that_bring_the_module():
    """What is looked up by heart is what a search would find."""
    found = metadata.packages_distributions()
    for module, name in fingerprints._DISTRIBUTIONS.items():
        assert [one.lower() for one in found[module]] == [name]


def test_a_fingerprint_is_the_same_in_every_process():
    """Whatever order its sets have there."""
    command = "from baton.fingerprint import fingerprint as f; print(f('baton.evaluation.metrics'))"
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", command],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == fingerprint("baton.evaluation.metrics")


def test_a_problem_of_another_package_counts_with_all_of_that_package(tmp_path, monkeypatch):
    """Its own helpers and files of data, and what it uses of Baton."""
    package = tmp_path / "moons_of_others"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "problem.py").write_text("from baton.problems.splits import stratified\n")
    (package / "helper.py").write_text("n = 1\n")
    (package / "names.csv").write_text("a,b\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = set()
    for file, text in [("helper.py", "n = 2\n"), ("names.csv", "a,c\n"), ("names.csv", "a,b\n")]:
        found.add(fingerprint("moons_of_others.problem"))
        (package / file).write_text(text)
        _forget()
    assert len(found) == 3
    assert "baton.problems.splits" in fingerprints._reached(["moons_of_others.problem"], ())


def test_a_problem_in_one_file_counts_with_that_file(tmp_path, monkeypatch):
    """A module that is no package."""
    file = tmp_path / "moons_in_a_file.py"
    file.write_text("n = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = fingerprint("moons_in_a_file")
    file.write_text("n = 2\n")
    _forget()
    assert before != fingerprint("moons_in_a_file")


@pytest.fixture
def near(tmp_path, monkeypatch):
    """Folder of an installed package that brings a family."""
    monkeypatch.syspath_prepend(tmp_path)
    lay(tmp_path, "near-rows", models={"near": "near_rows.inside:family"})
    (tmp_path / "near_rows/inside.py").write_text("from near_rows import family\n")
    plugins.clear()
    yield tmp_path / "near_rows"
    monkeypatch.undo()
    plugins.clear()
    _forget()


@pytest.mark.parametrize(
    ("asked", "keys"),
    [
        ({"model": "near"}, FITTED - {"comparison"}),
        ({"model": "lasso", "compare": ("near", "lasso")}, FITTED - {"prediction"}),
    ],
)
def test_the_code_of_a_family_of_another_package_is_part_of_what_it_decides(near, asked, keys):
    """All of its package: the models, what they answer, what is found of them; no tables of data.

    Of a prediction it is the model's own family that counts, whatever it was compared with.
    """
    before, others = all_keys(**asked), all_keys()
    (near / "__init__.py").write_text((near / "__init__.py").read_text().replace("n=3", "n=4"))
    _forget()
    after = all_keys(**asked)
    assert {name for name in before if before[name] != after[name]} == keys
    assert all_keys() == others
    assert "near_rows" not in sys.modules


def test_a_study_goes_on_with_no_other_code_of_a_package(near):
    """What its trials have in common holds the fingerprint of the package."""
    found = set()
    for text in ("a = 1\n", "a = 2\n"):
        (near / "inside.py").write_text(text)
        _forget()
        found.add(package_of(DATA.model_copy(update={"options": Options(model="near")})))
    assert len(found) == 2
    assert package_of(DATA) is None


def test_a_package_below_a_folder_that_several_share_counts_alone(tmp_path, monkeypatch):
    """A namespace is nobody's; what lies beside a package in it decides nothing."""
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("mine", "theirs"):
        (tmp_path / "shared_of_many" / name).mkdir(parents=True)
        (tmp_path / "shared_of_many" / name / "__init__.py").write_text("n = 1\n")
    found = []
    for name in ("mine", "theirs", "mine"):
        (tmp_path / "shared_of_many" / name / "__init__.py").write_text(f"n = {len(found) + 2}\n")
        _forget()
        found.append(fingerprint("shared_of_many.mine"))
    assert found[0] == found[1] != found[2]


def test_a_problem_made_of_another_packages_class_counts_with_both(tmp_path, monkeypatch):
    """An object of Baton's own class, set up elsewhere, is what that package makes it."""
    monkeypatch.syspath_prepend(tmp_path)
    code = "from baton.problems.iris import Iris\nproblem = Iris()\nproblem.name = 'lilies'\n"
    lay(tmp_path, "lily-fields", code, problems={"lilies": "lily_fields:problem"})
    plugins.clear()
    found = problems.code_of(problems.get("lilies"))
    monkeypatch.undo()
    plugins.clear()
    assert found == {"lily_fields", "baton.problems.iris"}


def test_a_tree_that_python_mixed_up_is_made_again(tmp_path, monkeypatch):
    """Python 3.11 refuses a tree where another thread parses; nothing is wrong with the file."""
    place, parse = tmp_path / "some.py", ast.parse
    place.write_text("import json\n")
    times = []

    def refused(content, most):
        times.append(1)
        if len(times) <= most:
            raise SystemError("AST constructor recursion depth mismatch")
        return parse(content)

    monkeypatch.setattr(ast, "parse", lambda content: refused(content, 3))
    assert ast.unparse(fingerprints._parsed(place)) == "import json"
    monkeypatch.setattr(ast, "parse", lambda content: refused(content, 1000))
    with pytest.raises(SystemError, match="mismatch"):
        fingerprints._parsed(place)
