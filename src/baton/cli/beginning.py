"""The command that writes the beginning of somebody's own package: ``new``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from baton import scaffold
from baton.cli.app import OUT, app
from baton.scaffold import What


@app.command
def new(
    what: What,
    name: str,
    /,
    *,
    into: Annotated[Path | None, Parameter(help="Folder to make; baton-NAME if not given.")] = None,
) -> int:
    """Write a small package that brings a problem or a family of models, NAME, of your own.

    It passes its own tests, and `baton run` finds it once it is installed.

    Examples
    --------
    `baton new problem moons`

    `baton new model forests --into my-forests`

    Parameters
    ----------
    what
        problem or model.
    name
        What it is run by: small letters, digits and _.
    """
    package = scaffold.new(what, name)
    folder = into or Path(package.distribution)
    for path in scaffold.write(package, folder):
        OUT.print(str(path), soft_wrap=True, highlight=False, markup=False)
    for command in scaffold.next_steps(package, folder):
        OUT.print(f"  then  {command}", soft_wrap=True, highlight=False, markup=False)
    return 0
