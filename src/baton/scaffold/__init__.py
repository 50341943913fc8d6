"""The beginning of a package that brings a problem or a family of models: its files, written once.

What stands in them is in ``templates``. The command that asks for them is ``baton new``.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from baton import distribution, models, problems
from baton.errors import InputError
from baton.plugins import PlugIns

if TYPE_CHECKING:
    import jinja2

_NAME = re.compile(r"[a-z][a-z0-9_]{0,29}")


class What(StrEnum):
    """What a package brings."""

    PROBLEM = "problem"
    MODEL = "model"


_BROUGHT: dict[What, PlugIns] = {
    What.PROBLEM: problems.PLUG_INS,
    What.MODEL: models.PLUG_INS,
}


@dataclass(frozen=True)
class Package:
    """A package before it is written."""

    what: What
    name: str
    """Of the problem, or of the family of models."""

    @property
    def module(self) -> str:
        """What it is imported as."""
        return f"baton_{self.name}"

    @property
    def distribution(self) -> str:
        """What it is installed as."""
        return self.module.replace("_", "-")

    @property
    def class_name(self) -> str:
        """Beginning of its classes' names, which no keyword is."""
        return "".join(part.capitalize() for part in self.name.split("_"))

    @property
    def run(self) -> str:
        """Command that tries it once it is installed."""
        if self.what is What.MODEL:
            return f"baton run iris -p model={self.name}"
        return f"baton run {self.name}"

    @property
    def files(self) -> dict[str, str]:
        """What is written, by its place below the package's folder."""
        places = {
            "pyproject.toml": "pyproject.toml",
            "README.md": "README.md",
            f"src/{self.module}/__init__.py": f"{self.what}.py",
            f"tests/test_{self.name}.py": f"test_{self.what}.py",
        }
        templates = _templates()
        return {
            place: templates.get_template(f"{template}.jinja").render(
                package=self, baton=distribution.NAME
            )
            for place, template in places.items()
        }


def new(what: What, name: str) -> Package:
    """Settle the package of a new problem or family.

    Raises
    ------
    InputError
        If the name would not do, or is taken.
    """
    if not _NAME.fullmatch(name) or name.endswith("_") or "__" in name:
        raise InputError(
            f"{name!r} is no name for a {what}: small letters, digits and single _ between them,"
            " a letter first, 30 at most"
        )
    brought = _BROUGHT[what]
    if brought.is_taken(name):
        by = brought.package(name) or (distribution.NAME,)
        whose = "Baton" if by[0] == distribution.NAME else f"the package {by[0]}"
        raise InputError(f"{whose} has a {what} {name!r} already: choose another name")
    found = Package(what, name)
    if find_spec(found.module) is not None:
        raise InputError(f"a module {found.module} is installed already: choose another name")
    return found


def write(package: Package, folder: Path) -> list[Path]:
    """Write a package's files into a new folder.

    Parameters
    ----------
    package : Package
    folder : Path
        Made here, with those above it.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    InputError
        If the folder is there already, or cannot be written.
    """
    if folder.exists() or folder.is_symlink():
        raise InputError(f"{folder} is there already: name another by --into FOLDER")
    written = []
    try:
        for place, text in package.files.items():
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            written.append(path)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}") from None
    return written


def next_steps(package: Package, folder: Path) -> tuple[str, ...]:
    """Commands that install a package that was written, try what it has to keep, and run it."""
    installed = shlex.quote(f"{folder}[test]")
    return (f"pip install -e {installed}", f"pytest {shlex.quote(str(folder))}", package.run)


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )
