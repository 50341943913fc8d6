"""The Markdown pages: what they point to and name exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import pytest
from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from baton import problems
from baton.cli import app
from baton.settings import Settings
from baton.terms import Options
from tests import services

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PAGES = [page for page in PAGES if "_build" not in page.parts]

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)
COMMAND = re.compile(r"(?:`|bin/|^|… )baton ([a-z]+)\b([^`\n#]*)", re.MULTILINE)
GIVEN = re.compile(r"-p (?!NAME|KEY)(\w+)=")
VARIABLE = re.compile(r"\b(BATON_[A-Z_]*[A-Z])\b")
FILE = re.compile(
    r"`((?:src|tests|docs|flows|serving|tasks|notebooks|benchmarks|\.github)/[\w./*-]+)`"
)
FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Fragments that a page's headings answer to, by GitHub's rule."""
    headings = re.findall(r"^#+ +(.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    """Each relative link leads to a file, and its fragment to a heading there."""
    for link in LINK.findall(FENCED.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, fragment = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{link} leads nowhere"
        if fragment and target.suffix == ".md":
            assert fragment in anchors(target), f"no heading for {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_named_make_targets_exist(page: Path) -> None:
    """Each `make TARGET` that a page names in code is a target of the Makefile."""
    targets = set(TARGET.findall((ROOT / "Makefile").read_text()))
    named = re.findall(r"(?:`|^\s*\$? ?)make ([a-z]+)", page.read_text(), re.MULTILINE)
    assert set(named) <= targets


every_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))


@every_page
def test_named_commands_exist(page: Path) -> None:
    """Each `baton COMMAND` is one, and each `-p NAME=` after it a parameter of that problem."""
    text = page.read_text("utf-8")
    for command, rest in COMMAND.findall(text):
        assert command in set(app), f"there is no `baton {command}`"
        problem = re.match(r" ([a-z]+)", rest)
        if command not in {"run", "predict"} or not problem or f'"{problem[1]}"' in text:
            continue  # the README's own problem is no part of Baton
        known = {*problems.get(problem[1]).params.model_fields, *Options.model_fields}
        assert set(GIVEN.findall(rest)) <= known, rest


@every_page
def test_named_parameters_exist(page: Path) -> None:
    """Each `-p NAME=` is a parameter of some problem, or an option."""
    fields = (problems.get(name).params.model_fields for name in problems.names())
    known = set(Options.model_fields).union(*fields)
    assert set(GIVEN.findall(page.read_text("utf-8"))) <= known


def _names(field: FieldInfo) -> list[str]:
    aliases = cast(AliasChoices, field.validation_alias).choices
    return [str(one) for one in aliases]


@every_page
def test_named_settings_exist(page: Path) -> None:
    """Each variable `BATON_…` is a setting, or one that the tests read."""
    fields = Settings.model_fields.items()
    known = {f"BATON_{name}".upper() for name, one in fields if not one.validation_alias}
    known |= {alias for _, one in fields if one.validation_alias for alias in _names(one)}
    assert set(VARIABLE.findall(page.read_text("utf-8"))) <= known | services.STANDARD.keys()


@every_page
def test_named_files_exist(page: Path) -> None:
    """Each path of the repository that stands in code is one."""
    for name in FILE.findall(page.read_text("utf-8")):
        built = name.startswith("docs/_build")
        assert built or list(ROOT.glob(name.rstrip("/"))), f"there is no {name}"


def rows_of_promises() -> list[tuple[int, str, str]]:
    """Line, promise and proof of each row of the page of promises' tables."""
    rows, header = [], ""
    lines = (ROOT / "docs/explanation/promises.md").read_text("utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if not line.startswith("|"):
            header = ""
        elif not header:
            header = cells[-1]
            assert header == "shown by", f"line {number}: this table does not say what shows it"
        elif not set(line) <= set("|- :"):
            rows.append((number, " ".join(cells[:-1]), cells[-1] if len(cells) > 1 else ""))
    return rows


def faults_of(proof: str) -> list[str]:
    """What is wrong with the tests that a row of the page of promises names."""
    files = {name: ROOT / name for name in re.findall(r"`(tests/[\w/.-]+)`", proof)}
    missing = [f"there is no {name}" for name, path in files.items() if not path.is_file()]
    named = re.findall(r"`(test_\w+)`", proof)
    if not files and not named:
        missing.append("it names no test")
    tests = {name for path in ROOT.glob("tests/**/*.py") for name in names_of_tests(path)}
    missing += [f"there is no test {name}" for name in named if name not in tests]
    for name, phrase in re.findall(r"`(tests/[\w/.-]+)`: ([^;,`]+)", proof):
        test = "_".join(["test", *re.findall(r"\w+", phrase)])
        if files[name].is_file() and test not in names_of_tests(files[name]):
            missing.append(f"there is no {test} in {name}")
    return missing


def names_of_tests(path: Path) -> set[str]:
    """Names of the tests in a file."""
    return set(re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE))


PROMISES = rows_of_promises()


@pytest.mark.parametrize("row", PROMISES, ids=lambda row: row[1])
def test_each_promise_names_a_test_that_exists(row: tuple[int, str, str]) -> None:
    """Its file, its function, and what is said of it in words: the test's name."""
    number, promise, proof = row
    assert not faults_of(proof), f"line {number}, {promise}"


def test_the_page_of_promises_has_rows() -> None:
    """So that the test of each is a test of some."""
    assert len(PROMISES) > 25


@pytest.mark.parametrize(
    ("proof", "fault"),
    [
        ("everybody knows it", "it names no test"),
        ("`tests/unit/test_nowhere.py`", "there is no tests/unit/test_nowhere.py"),
        ("`test_of_nothing`", "there is no test test_of_nothing"),
        (
            "`tests/test_docs.py`: links are wrong",
            "there is no test_links_are_wrong in tests/test_docs.py",
        ),
        ("`tests/test_docs.py`: links resolve", None),
    ],
)
def test_a_promise_without_a_test_is_seen(proof: str, fault: str | None) -> None:
    """Whichever way it lacks one."""
    assert faults_of(proof) == ([fault] if fault else [])
