"""What Baton is installed as: the name of its distribution, its version, its extras.

The package that is imported, and the command, are called ``baton``; on the registry that pip asks,
that name belongs to another project.
"""

from __future__ import annotations

from importlib import metadata

NAME = "baton-pipelines"
"""What is given to pip, pipx and uv."""


def version() -> str:
    """Version that is installed.

    Examples
    --------
    >>> version() == metadata.version(NAME)
    True
    """
    return metadata.version(NAME)


def with_extra(extra: str) -> str:
    """Command that installs one of the extras.

    Examples
    --------
    >>> with_extra("dask")
    "pip install 'baton-pipelines[dask]'"
    """
    return f"pip install '{NAME}[{extra}]'"
