"""The rules that all code keeps."""

import ast
import re
import sys
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


ALLOWED = {
    "os._exit": "public, in spite of its name: ends a process without Python's handlers",
    "_replace": "public on every named tuple, which may have a field of any other name",
    "_asdict": "as _replace",
}
NAMES_OF_TYPES = {"src/baton/models/skops_files.py"}
"""Files in which a private name is the name of a type at rest, which nothing here imports."""


def _is_private(name):
    return name.startswith("_") and not name.startswith("__")


def _own_names():
    """Every private name that a class of ours defines, or an instance of it is given."""
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                for inner in ast.walk(node):
                    match inner:
                        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                            yield name
                        case ast.Name(id=name, ctx=ast.Store()):
                            yield name
                        case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                            yield name


OWN = set(_own_names())


def _imported(tree):
    """Names that a module's imports bind, but for those of Python's own modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                module = getattr(node, "module", None) or alias.name
                if module.split(".")[0] not in sys.stdlib_module_names:
                    yield (alias.asname or alias.name).split(".")[0]


def _reaches(tree):
    """Whatever in a module reaches behind the public face of another's."""
    classes = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    imported = set(_imported(tree))
    for node in ast.walk(tree):
        match node:
            case ast.Import() | ast.ImportFrom():
                names = [f"{getattr(node, 'module', '') or ''}.{a.name}" for a in node.names]
                if any(_is_private(part) for name in names for part in name.split(".")):
                    yield ast.unparse(node)
            case ast.Attribute(value=of, attr=name) if _is_private(name):
                mine = ast.unparse(of) in {"self", "cls", *classes} and name in OWN
                if not mine and not {name, ast.unparse(node)} & set(ALLOWED):
                    yield ast.unparse(node)
            case ast.Attribute(value=ast.Name(id=of), ctx=ast.Store()) if of in imported:
                yield f"{ast.unparse(node)} = …"
            case ast.Call(func=ast.Name(id="getattr" | "setattr" | "delattr" | "hasattr")):
                named = node.args[1]
                is_set = (
                    ast.unparse(node.func) == "setattr" and ast.unparse(node.args[0]) in imported
                )
                if is_set or (isinstance(named, ast.Constant) and _is_private(named.value)):
                    yield ast.unparse(node)
            case ast.Subscript(value=ast.Call(func=ast.Name(id="vars"))):
                if isinstance(node.ctx, ast.Store):
                    yield ast.unparse(node)
            case ast.keyword(arg=str(name)) if _is_private(name):
                yield f"{name}="
            case ast.Constant(value=str(text)) if re.fullmatch(r"\w+(\.\w+)*\._\w+(\.\w+)*", text):
                yield repr(text)


@pytest.mark.parametrize("name", sorted(set(TREES) - NAMES_OF_TYPES))
def test_nothing_reaches_behind_the_public_face_of_a_library(name):
    """Private modules, names and arguments are used, and modules changed, behind a door only."""
    if not name.endswith("_internals.py"):
        assert list(_reaches(TREES[name])) == []


@pytest.mark.parametrize(
    "line",
    [
        "import prefect._internal.x",
        "from prefect.runner._starter import Starter",
        "from optuna import _x",
        "import_module('prefect.runner._starter')",
        "trial._suggest('a', b)",
        "self._scheduled_run_poller.x",
        "self.runner._door",
        "Secret.load(name, _sync=True)",
        "getattr(study, '_storage')",
        "from prefect.server.api import server\nserver.create_app = None",
        "from prefect.client import orchestration\nvars(orchestration)['ssl'] = None",
        "from prefect.client import orchestration\nsetattr(orchestration, 'ssl', None)",
    ],
)
def test_a_reach_is_recognised(line):
    """The rule sees each way that was ever taken."""
    assert list(_reaches(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "os._exit(1)",
        "point._replace(x=1)",
        "self._door",
        "x.__dict__",
        "import sys\nsys.argv = []",
        "from __future__ import annotations",
    ],
)
def test_what_is_public_or_ones_own_is_no_reach(line):
    """The rule lets through what needs no door."""
    assert not list(_reaches(ast.parse(line)))


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
        "serving/lingering.py",
        "serving/pages/clerk.py",
        "src/baton/chains.py",
        "serving/serve.py",
        "serving/warm.py",
        "serving/warm_client.py",
        "serving/working.py",
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


def _lines(function):
    """Lines of a function's body without its docstring."""
    is_told = ast.get_docstring(function) is not None
    body = function.body[1:] if is_told else function.body
    return function.end_lineno - body[0].lineno + 1 if body else 0


def test_functions_are_short():
    """No body is longer than 25 lines, nine of ten have at most 14, half of them at most 5."""
    bodies = sorted(
        (_lines(node), f"{name}: {node.name}")
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert bodies[-1][0] <= 25, bodies[-1]
    assert bodies[int(len(bodies) * 0.9)][0] <= 14
    assert bodies[len(bodies) // 2][0] <= 5


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
