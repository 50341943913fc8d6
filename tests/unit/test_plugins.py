"""Families and problems of other packages: found, trusted for what they name, and told when bad."""

import json
import subprocess
import sys
from io import StringIO

import numpy as np
import pandas as pd
import pytest
import skops.io
from rich.console import Console

from baton import models, options, plugins, problems
from baton.cli import show
from baton.errors import InputError
from baton.evaluation.shapley import margin, shap_values
from baton.models import skops_files
from baton.terms import Kind
from tests.packages import ESTIMATOR, lay


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder in which packages are installed; they are forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    plugins.clear()
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    monkeypatch.undo()
    plugins.clear()


def installed(site, package="near-rows", name="near", code=ESTIMATOR, version="1.0"):
    module = lay(site, package, code, version, models={name: f"{package.replace('-', '_')}:family"})
    plugins.clear()
    return module


@pytest.fixture
def rows():
    random = np.random.default_rng(0)
    size = random.normal(size=80)
    return pd.DataFrame({"size": size, "noise": random.normal(size=80), "label": size > 0})


def recipe(name="near", **params):
    return models.Recipe("label", Kind.CLASSIFICATION, family=name, params=params)


def test_a_name_is_known_without_its_package_being_imported(site):
    """By what is installed; the command starts no slower for a heavy package."""
    module = installed(site)
    assert "near" in models.names()
    assert models.package_of("near") == ("near-rows", "1.0")
    assert models.package_of("xgboost") is None
    with pytest.raises(InputError, match=r"unknown model 'nearr'; did you mean 'near'\? there are"):
        models.family("nearr")
    assert options.parse(None, {"model": "lasso"}) == {"model": "lasso"}
    assert module not in sys.modules
    assert options.parse(None, {"compare": "near,lasso"}) == {"compare": ["near", "lasso"]}
    assert module in sys.modules


def test_a_family_of_another_package_learns_is_written_and_explained(site, rows, tmp_path):
    """As one of Baton's own; its file says whose it is."""
    installed(site)
    model = models.fit(rows, recipe(n=1))
    assert (model.predict(rows) == rows["label"]).all()
    model.save(tmp_path / "model")
    assert json.loads((tmp_path / "model/model.json").read_text())["package"] == "near-rows 1.0"
    again = models.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(rows), model.predict_proba(rows))
    found = shap_values(model, rows[:3], background=rows)
    sums = found.values.sum(axis=1) + found.base_values
    np.testing.assert_allclose(sums, margin(model, rows[:3]), atol=1e-6)
    with pytest.raises(InputError, match=r"near has no hyperparameter 'm'; it knows: encoding, n$"):
        models.fit(rows, recipe(m=1))


def test_a_model_whose_package_is_gone_says_so(site, rows, tmp_path):
    """In one line, with the package and its version."""
    installed(site)
    models.fit(rows, recipe()).save(tmp_path / "model")
    (site / "near_rows-1.0.dist-info/entry_points.txt").unlink()
    plugins.clear()
    with pytest.raises(InputError, match=r"a near of the package near-rows 1\.0, which is not"):
        models.load(tmp_path / "model")


# --- what a file may build


@pytest.fixture
def two(site, rows, tmp_path):
    """Two packages, and the file of a model of the first one's."""
    installed(site)
    installed(site, "far-rows", "far", "raise RuntimeError('imported')")
    models.fit(rows, recipe()).save(tmp_path / "model")
    return tmp_path / "model"


def test_a_file_builds_only_types_that_its_own_family_names(two):
    """What one family names is nothing to another, nor to Baton's own."""
    trusted = models.family("near").trusted
    assert skops_files.load(two, trusted).n == 3
    for others in ((), trusted[1:]):
        with pytest.raises(InputError, match=r"is not a model: \['near_rows\.NearestClass"):
            skops_files.load(two, others)
    card = two / "model.json"
    card.write_text(card.read_text().replace('"family": "near"', '"family": "decision_tree"'))
    with pytest.raises(InputError, match="holds what is not a model"):
        models.load(two)


def test_no_file_has_code_of_a_package_run_that_its_family_does_not_name(two):
    """Neither a type of it that the file holds, nor its own list of types, is heeded."""
    foreign = two / "model.skops"
    content = skops.io.dumps(models.family("near").estimator(Kind.REGRESSION)())
    foreign.write_bytes(content)
    altered = _renamed(content, "near_rows", "far_rows")
    foreign.write_bytes(altered)
    with pytest.raises(InputError, match=r"is not a model: \['far_rows\.NearestRegressor'"):
        models.load(two)
    card = json.loads((two / "model.json").read_text())
    card["trusted"] = ["far_rows.NearestRegressor"]
    (two / "model.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="holds what is not a model"):
        models.load(two)
    assert "far_rows" not in sys.modules


def _renamed(content, old, new):
    import io
    import zipfile

    source, written = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    with zipfile.ZipFile(written, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(old.encode(), new.encode()))
    return written.getvalue()


# --- what is not taken


BAD = {
    "raise ValueError('no\\nsun')": "cannot be imported: ValueError: no sun",
    "import nowhere_at_all": "it needs the package 'nowhere_at_all', which is not installed",
    "raise SystemExit(3)": "cannot be imported: SystemExit: 3",
    "x = 1": "cannot be imported: AttributeError: ",
    "family = 'near'": "is no Family: bad_rows:family is of the type str",
    ESTIMATOR.replace("family = NearestRows()", "family = NearestRows"): (
        "is no Family: bad_rows:family is its class; name an object of it"
    ),
}


@pytest.mark.parametrize("code", BAD, ids=list(BAD.values()))
def test_a_package_that_brings_no_family_is_told_in_one_line_and_stops_nobody(site, rows, code):
    """Whoever asks for it is told; whoever asks for another one is served."""
    installed(site, "bad-rows", "bad", code)
    with pytest.raises(InputError) as caught:
        models.family("bad")
    assert str(caught.value).startswith("model 'bad' of package bad-rows ")
    assert BAD[code] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert models.loaded()[1] == [str(caught.value)]
    assert models.fit(rows, recipe("decision_tree")).family == "decision_tree"
    with pytest.raises(InputError, match=r"lasso cannot do a classification; these can: adaboost"):
        models.family("lasso", Kind.CLASSIFICATION)
    with pytest.raises(InputError, match="'depht' is no hyperparameter of any model"):
        options.parse(None, {"model_params": '{"depht": 1}'})


@pytest.mark.parametrize("name", ["xgboost", "voting", "ensemble"])
def test_a_name_of_batons_own_family_is_not_taken(site, name):
    """Baton's stays what it is, and the list says what was left out."""
    installed(site, "bad-rows", name)
    said = f"model '{name}' of package bad-rows: that name is Baton's own"
    assert [one for one in models.loaded()[1] if one.startswith(said)]
    assert "bad_rows" not in sys.modules
    if name == "ensemble":
        with pytest.raises(InputError, match=said):
            models.family(name)
    else:
        assert models.family(name) is models.FAMILIES[name]
    assert models.code_of(name) == set()


def test_a_name_of_batons_own_problem_is_not_taken(site):
    """Wherever the package that wants it stands."""
    lay(site, "bad-tables", "problem = 1", problems={"table": "bad_tables:problem"})
    plugins.clear()
    assert type(problems.get("table")).__module__ == "baton.problems.table"
    assert problems.loaded()[1] == [
        "problem 'table' of package bad-tables: that name is Baton's own; theirs has to be called"
        " otherwise"
    ]


def test_what_two_packages_bring_under_one_name_is_neithers(site):
    """Nobody is served by chance; both are named."""
    installed(site, "near-rows")
    installed(site, "far-rows")
    with pytest.raises(InputError, match="'near' of package far-rows and near-rows: more than one"):
        models.family("near")
    assert "near" not in models.names()


@pytest.mark.parametrize("name", ["Near", "a.b", "a,b", "a+b", "9", "ä", "x" * 65])
def test_a_name_that_would_not_do_in_a_command_is_refused(site, name):
    """Nor in the name of a study, of a folder or in a list of names."""
    installed(site, name=name)
    assert name not in models.names()
    assert "a name is small letters, digits, _ and -" in models.loaded()[1][0]


MOONS = """
from baton.problems import Params, Problem

class Moons(Problem):
    {}
    def load(self, params): ...
    def contract(self, params): ...
    def goal(self, raw, params): ...
    def features(self, raw, params, *, with_target=True): ...
    def split(self, features, raw, params): ...

problem = Moons()
"""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("name, params = 'moons', Params", "problem 'moons' of moons_bad has no 'summary'"),
        (
            "name, summary, params = 'moon', 's', Params",
            "problem 'moons' of moons_bad calls itself 'moon'; both have to be one",
        ),
    ],
)
def test_a_problem_that_is_not_whole_is_told_in_one_line(site, body, said):
    """Before a chain is begun with it."""
    lay(site, "moons-bad", MOONS.format(body), problems={"moons": "moons_bad:problem"})
    plugins.clear()
    assert problems.loaded()[1] == [said]


def test_the_list_of_problems_names_the_families_and_who_brings_them(site):
    """Those that cannot be imported with the reason."""
    installed(site)
    installed(site, "bad-rows", "bad", "import nowhere_at_all")
    written = StringIO()
    show.problem_list(Console(width=100, file=written))
    said = written.getvalue()
    assert "models, for -p model=NAME: adaboost, boosters" in said
    assert "near (of near-rows 1.0)" in said
    assert "left out: model 'bad' of package bad-rows cannot be imported: it needs" in said


def test_naming_every_family_imports_no_library_of_theirs():
    """A command that names a family starts none of the engines."""
    code = "import sys; from baton import models; models.names(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"xgboost", "lightgbm", "catboost", "sklearn"} & set(done.stdout.split())
