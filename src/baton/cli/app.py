"""The application: what its commands share in arguments and output.

The commands are in modules by subject: ``running``, ``looking``, ``standing``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import App, Parameter, Token
from rich.console import Console

from baton import distribution
from baton.errors import InputError

app = App(
    name="baton",
    help="Event-chained machine learning on Prefect: generate → train → evaluate.",
    help_format="markdown",
    version=distribution.version,  # cyclopts would look for one of the package's name
    suppress_keyboard_interrupt=False,  # the code says which signal it was
)

OUT = Console()
ERR = Console(stderr=True)

Values = Annotated[
    list[str],
    Parameter(
        name=["-p", "--parameter"],
        negative=(),
        help="KEY=VALUE, a parameter of the problem; `baton problems NAME` lists them.",
    ),
]
Options = Annotated[
    list[str],
    Parameter(
        name=["-p", "--parameter"],
        negative=(),
        help="KEY=VALUE, an option of any chain, such as model; the last of `baton problems NAME`.",
    ),
]


def whole(_: Any, tokens: Sequence[Token]) -> int:
    """Whole number of what was given; left to itself, cyclopts makes 2 of 1.5.

    Raises
    ------
    ValueError
        If it is none.
    """
    return int(tokens[0].value)


Whole = Parameter(converter=whole)
"""Of an argument that is a number of something."""

AsJson = Annotated[
    bool, Parameter(name="--json", negative=(), help="Print one JSON object and nothing else.")
]


def pairs(given: list[str]) -> dict[str, str]:
    """Values by key of what ``-p`` was given.

    Raises
    ------
    InputError
        If one is not KEY=VALUE, or a key is there twice.
    """
    found = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InputError(f"-p takes KEY=VALUE, got {text!r}")
        if key in found:
            raise InputError(f"parameter {key!r} is given twice")
        found[key] = value
    return found


def print_json(content: Any) -> None:
    """Print the object that a script reads."""
    sys.stdout.write(json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def complain(text: str) -> None:
    """Say in one line why the command fails."""
    ERR.print(f"baton: {text}", style="red", markup=False, highlight=False, soft_wrap=True)
