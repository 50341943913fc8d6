"""The rules that all code keeps."""

import ast
import re
from pathlib import Path

import pytest

from baton.cli import app
from tests.conftest import ROOT

ROOMS = ("src", "tasks", "flows", "serving")
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in SOURCES}


def _imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


@pytest.mark.parametrize("name", TREES)
def test_a_module_says_what_belongs_in_it(name):
    """Every module opens with a docstring of its own."""
    assert len(ast.get_docstring(TREES[name]) or "") > 20


@pytest.mark.parametrize("name", TREES)
def test_no_private_name_is_imported(name):
    """What two modules share has a public name."""
    imports = (node for node in ast.walk(TREES[name]) if isinstance(node, ast.ImportFrom))
    private = [a.name for node in imports for a in node.names if a.name.startswith("_")]
    assert [n for n in private if not n.startswith("__")] == []


def test_only_tracking_imports_mlflow():
    """One module knows MLflow."""
    users = {n for n, t in TREES.items() if any(m.split(".")[0] == "mlflow" for m in _imports(t))}
    assert users == {"tasks/platform/tracking.py"}


def test_one_client_asks_the_prefect_api():
    """Neither the command nor a stage has a second one, or catches what another one raises."""
    rooms = ("tasks/", "flows/", "src/baton/cli/")
    users = {n for n, t in TREES.items() if n.startswith(rooms) and "httpx" in set(_imports(t))}
    assert users == {"tasks/platform/api.py"}


def test_only_settings_reads_the_environment():
    """What the environment may decide stands in one place; children are handed a copy of it."""
    readers = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv"}
    }
    assert readers == {
        "serving/embedded.py",
        "src/baton/chains.py",
        "serving/serve.py",
        "serving/warm.py",
        "serving/warm_client.py",
    }


def test_only_events_emits():
    """Nobody else posts an event, and nobody uses the SDK's forgetful way."""
    for name, tree in TREES.items():
        assert "emit_event" not in set(_calls(tree)), name
        assert ("'/events'" in ast.unparse(tree)) == (name == "tasks/platform/events.py"), name


def test_nothing_is_pickled():
    """No module writes or reads a pickle."""
    for name, tree in TREES.items():
        used = {module.split(".")[0] for module in _imports(tree)}
        assert not used & {"pickle", "cloudpickle", "joblib", "dill"}, name


def _is_flow(node):
    return any(ast.unparse(d).startswith("flow") for d in node.decorator_list)


def test_a_flow_reads_as_a_sentence():
    """A flow's body has at most about twenty lines; its file has it alone, or its subflows."""
    for name, tree in TREES.items():
        flows = [n for n in ast.walk(tree) if isinstance(n, ast.AsyncFunctionDef) and _is_flow(n)]
        assert len(flows) <= 1 or name in {
            "flows/evaluate.py",
            "flows/train.py",
            "flows/tune.py",
        }, name
        for node in flows:
            assert node.end_lineno - node.lineno <= 26, name


def test_functions_are_short():
    """Nine of ten functions have fewer than 25 lines of body."""
    lengths = sorted(
        node.end_lineno - node.body[0].lineno
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert lengths[int(len(lengths) * 0.9)] < 25


def test_every_command_is_documented():
    """The README has a line for each command."""
    readme = (ROOT / "README.md").read_text()
    for command in app:
        if not command.startswith("-"):
            assert f"baton {command}" in readme


def test_no_file_names_a_place_of_one_machine():
    """A clone works anywhere."""
    place = re.compile(r"/(?:work|root|home/\w+)/(?!\$)")
    for path in [*SOURCES, ROOT / "README.md", ROOT / "prefect.yaml"]:
        assert not place.search(Path(path).read_text()), path
