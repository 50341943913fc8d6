"""Fingerprints: which code and which libraries decide a result.

A fingerprint follows the imports of the module that makes the result. What a result is kept
under, and what it says of its origin, belongs in ``baton.lineage``.
"""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from types import CodeType
from typing import TypeVar

T = TypeVar("T")

_OURS = ("baton", "tasks")

_PARSING = Lock()
_MOST_ATTEMPTS = 20

_SILENT = (
    "baton.atomic",
    "baton.chain",
    "baton.disk",
    "baton.distribution",
    "baton.errors",
    "baton.identity",
    "baton.internals",
    "baton.lineage",
    "baton.plugins",
    "baton.settings",
    "tasks.platform",
)
"""Rooms that carry results and refuse input; none of them decides what a result holds."""

_SPEECH = ("baton.words",)
"""The room that says things: it decides a page, and no number."""

_DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}
"""Distributions that are not called as their module is; looking one up by the module is slow."""

_CARRIERS = ("prefect",)
"""Libraries that run a stage without deciding what it makes."""


def fingerprint(*modules: str, is_page: bool = False) -> str:
    """Digest of all code and libraries that decide what these modules make.

    Their imports are followed through Baton's own rooms, those inside functions included; a module
    of another package counts with all of that package. Comments, docstrings and the layout of
    lines decide nothing. Files that are not Python count with the package that they lie in.

    Parameters
    ----------
    *modules : str
        Full names, such as ``__name__``.
    is_page : bool
        True where the result is a page for people: then how things are said counts too.

    Returns
    -------
    str of 12 hexadecimal digits.
    """
    return _fingerprint(frozenset(modules), _SILENT if is_page else _SILENT + _SPEECH)


@cache
def _fingerprint(modules: frozenset[str], silent: tuple[str, ...]) -> str:
    sources = {name: _read(name) for name in sorted(_reached(modules, silent))}
    libraries = {name for source in sources.values() for name in source.libraries}
    decides = {
        "code": {name: source.digest for name, source in sources.items()},
        "libraries": {name: _version(name) for name in sorted(libraries)},
        "python": platform.python_version(),
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class _Source:
    """What one module says."""

    digest: str
    imports: frozenset[str]
    """Modules of Baton."""
    libraries: frozenset[str]
    """Packages of others."""


def _reached(modules: Iterable[str], silent: tuple[str, ...]) -> set[str]:
    """Names of the modules that these run through, without the silent rooms."""
    left, found = list(modules), set[str]()
    while left:
        name = left.pop()
        if name not in found and not _is_in(name, silent):
            found.add(name)
            left += _read(name).imports
    return found


def _is_in(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


@cache
def _read(name: str) -> _Source:
    top = name.partition(".")[0]
    if top not in _OURS:
        return _read_package(_root(name))
    path = _file(name)
    if path is None:
        raise ModuleNotFoundError(f"there is no module {name}")
    tree = _parsed(path)
    imported = set(_imported(tree.body))
    ours = {found for one in imported if (found := _module(one))}
    code = _patiently(lambda: compile(tree, name, "exec", optimize=2))
    content = hashlib.sha256(_digest(code))
    if path.name == "__init__.py":
        for beside in _data_of(path.parent):
            content.update(beside.name.encode() + b"\0" + beside.read_bytes())
    return _Source(
        content.hexdigest(),
        frozenset(parent for one in ours for parent in _with_parents(one) if parent != top),
        frozenset(_foreign(imported)),
    )


def _root(name: str) -> str:
    """Package that a module of others lies in: below folders that several packages share."""
    parts = name.split(".")
    for place in range(1, len(parts) + 1):
        root = ".".join(parts[:place])
        spec = find_spec(root)
        if spec is not None and spec.origin is not None:
            return root
    raise ModuleNotFoundError(f"there is no module {name}")


@cache
def _read_package(root: str) -> _Source:
    """All files of another package, or its one file."""
    spec = find_spec(root)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"there is no module {root}")
    origin, top = Path(spec.origin), root.partition(".")[0]
    files = sorted(origin.parent.rglob("*")) if origin.name == "__init__.py" else [origin]
    content = hashlib.sha256()
    imported: set[str] = set()
    for path in files:
        if path.is_file() and path.suffix != ".pyc":
            content.update(path.name.encode() + b"\0" + path.read_bytes())
            if path.suffix == ".py":
                imported |= set(_imported(_parsed(path).body))
    return _Source(
        content.hexdigest(),
        frozenset(found for one in imported if (found := _module(one))),
        frozenset(_foreign(imported) - {top}),
    )


def _parsed(path: Path) -> ast.Module:
    """Tree of a source file."""
    return _patiently(lambda: ast.parse(path.read_bytes()))


def _patiently(parse: Callable[[], T]) -> T:
    """Parse by one thread at a time, and again where another one did so too.

    Python 3.11 mixes up trees of several threads, and says "AST constructor recursion depth
    mismatch" of one that is whole; imports of libraries parse as well.
    """
    for _ in range(_MOST_ATTEMPTS - 1):
        with suppress(SystemError), _PARSING:
            return parse()
    return parse()


def _imported(body: Iterable[ast.AST]) -> Iterator[str]:
    """Full names in the imports, but for those that only a type checker sees."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module and not node.level:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from _imported(node.orelse)
        elif not isinstance(node, ast.expr):
            yield from _imported(ast.iter_child_nodes(node))


def _module(name: str) -> str:
    """Module that an imported name is, or stands in; empty if it is not of Baton."""
    if name.partition(".")[0] not in _OURS:
        return ""
    return name if _file(name) else name.rpartition(".")[0]


def _with_parents(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]


@cache
def _file(name: str) -> Path | None:
    top, *parts = name.split(".")
    spec = find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        return None
    place = Path(spec.submodule_search_locations[0]).joinpath(*parts)
    return next((p for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file()), None)


def _data_of(package: Path) -> Iterator[Path]:
    """Files of a package that are not Python, those of its subpackages left out."""
    for path in sorted(package.iterdir()):
        if path.is_dir() and not (path / "__init__.py").exists():
            yield from _data_of(path)
        elif path.is_file() and path.suffix not in {".py", ".pyc", ".typed"}:
            yield path


def _foreign(imported: Iterable[str]) -> set[str]:
    tops = {name.partition(".")[0] for name in imported}
    return tops - set(_OURS) - set(_CARRIERS) - sys.stdlib_module_names


def _digest(code: CodeType) -> bytes:
    """SHA-256 of what a compiled module does, wherever its lines stand."""
    content = hashlib.sha256(code.co_code)
    names = (code.co_name, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    content.update(repr((names, counts, code.co_exceptiontable)).encode())
    for constant in code.co_consts:
        content.update(_constant(constant))
    return content.digest()


def _constant(value: object) -> bytes:
    if isinstance(value, CodeType):
        return _digest(value)
    if isinstance(value, frozenset):  # its order is another one in every process
        return b"".join(sorted(_constant(one) for one in value))
    return f"{type(value).__name__} {value!r}\0".encode()


@cache
def _version(module: str) -> str:
    """Version of the distribution that brings a module; empty if it is not installed."""
    try:
        return version(_DISTRIBUTIONS.get(module, module))
    except PackageNotFoundError:
        names = packages_distributions().get(module, [])
        return ",".join(f"{name} {version(name)}" for name in sorted(set(names)))
