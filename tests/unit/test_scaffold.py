"""`baton new`: what it writes and refuses; tests/e2e/test_plugins.py installs and runs it."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from baton import plugins, scaffold
from baton.cli import main
from baton.errors import InputError
from baton.scaffold import What
from tests.packages import lay

EACH = pytest.mark.parametrize("what", list(What))


@EACH
def test_a_package_is_whole_and_its_command_says_how_to_go_on(what, tmp_path, monkeypatch, capsys):
    """Project file with the entry point, module, tests and README; then the next three commands."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["new", what.value, "high_tide"])
    assert not ended.value.code
    folder = tmp_path / "baton-high-tide"
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert written == {
        "pyproject.toml",
        "README.md",
        "src/baton_high_tide/__init__.py",
        "tests/test_high_tide.py",
    }
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    thing = "problem" if what is What.PROBLEM else "family"
    assert project["entry-points"] == {f"baton.{what}s": {"high_tide": f"baton_high_tide:{thing}"}}
    assert project["dependencies"] == ["baton-pipelines>=0.1,<1"]
    assert project["optional-dependencies"]["test"] == ["baton-pipelines[testing]>=0.1,<1"]
    run = "run high_tide" if what is What.PROBLEM else "run iris -p model=high_tide"
    then = [line.split("then")[1].strip() for line in capsys.readouterr().out.splitlines()[-3:]]
    assert then == [
        "pip install -e 'baton-high-tide[test]'",
        "pytest baton-high-tide",
        f"baton {run}",
    ]
    assert f"baton {run}" in (folder / "README.md").read_text()


@pytest.mark.parametrize("name", ["k9", "none", "class", "a" * 30])
def test_what_is_written_is_tidy_whatever_it_is_called(name, tmp_path):
    """Formatted, imports in order, every docstring there and in numpydoc's form."""
    for what in What:
        scaffold.write(scaffold.new(what, name), tmp_path / what)
    ruff = [Path(sys.executable).with_name("ruff")]
    rules = ["--select", "E,F,W,I,B,C4,UP,SIM,D,N,RUF", "--ignore", "D401,RUF012"]
    style = ["--isolated", "--line-length", "100"]
    numpydoc = ["--config", 'lint.pydocstyle.convention="numpy"']
    for command in (["check", *rules, *numpydoc], ["format", "--check", "--diff"]):
        done = subprocess.run(
            [*ruff, *command, *style, "."],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    for path in tmp_path.rglob("*.py"):
        compile(path.read_text(), path.name, "exec")


BAD = [
    "",
    "Tides",
    "9tides",
    "high-tide",
    "high tide",
    "tide_",
    "high__tide",
    "ä",
    "../x",
    "a" * 31,
]


@EACH
@pytest.mark.parametrize("name", BAD)
def test_a_name_that_would_not_do_is_refused(what, name):
    """One line says what a name is."""
    with pytest.raises(InputError, match=f"is no name for a {what}: small letters, digits and"):
        scaffold.new(what, name)


@pytest.mark.parametrize(
    ("what", "name", "whose"),
    [
        (What.PROBLEM, "iris", "Baton has a problem"),
        (What.MODEL, "xgboost", "Baton has a model"),
        (What.MODEL, "ensemble", "Baton has a model"),
        (What.MODEL, "near", "the package near-rows has a model"),
    ],
)
def test_a_name_that_is_taken_is_refused(what, name, whose, tmp_path, monkeypatch):
    """With who has it; a problem may be called as a model is."""
    monkeypatch.syspath_prepend(tmp_path)
    lay(tmp_path, "near-rows", models={"near": "near_rows:family"})
    plugins.clear()
    with pytest.raises(InputError, match=f"{whose} '{name}' already: choose another name"):
        scaffold.new(what, name)
    assert scaffold.new(What.PROBLEM, "xgboost").module == "baton_xgboost"
    monkeypatch.undo()
    plugins.clear()


def test_a_module_that_is_there_is_not_hidden(tmp_path, monkeypatch):
    """One of the name that the package's would have."""
    (tmp_path / "baton_tides.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="a module baton_tides is installed already"):
        scaffold.new(What.PROBLEM, "tides")


def test_nothing_that_is_there_is_written_over(tmp_path):
    """A folder, even an empty one, a file, a link to nowhere."""
    package = scaffold.new(What.MODEL, "tides")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("folder", "file", "link"):
        with pytest.raises(InputError, match=f"{name} is there already: name another by --into"):
            scaffold.write(package, tmp_path / name)
    with pytest.raises(InputError, match="cannot be written: Not a directory"):
        scaffold.write(package, tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "mine"
    assert not list((tmp_path / "folder").iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["problem", "iris"], "baton: Baton has a problem 'iris' already"),
        (["problem", "Tides"], "baton: 'Tides' is no name for a problem"),
        (["model", "tides", "--into", "."], "baton: . is there already"),
        (["thing", "tides"], 'baton: Invalid value "thing"'),
        (["problem"], "baton: "),
    ],
)
def test_the_command_refuses_in_one_line(words, said, tmp_path, monkeypatch, capsys):
    """With exit code 2, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["new", *words])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(said)
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
