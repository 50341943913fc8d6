"""Notebooks: finding one by its name, reading it, and its page once it has run.

A notebook is a Python file in jupytext's percent format, or an ``.ipynb``. Running one belongs
in ``tasks/notebooks.py``; what is pleasant inside one is in ``baton.chains`` and ``baton.words``.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baton.distribution import with_extra
from baton.errors import InputError

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from baton.settings import Settings

SUFFIXES = (".py", ".ipynb")
"""What may hold a notebook; of a pair in one folder the first counts."""

EXTRA = ("prefect_jupyter", "papermill", "jupytext", "nbconvert", "ipykernel")
"""Modules that running a notebook wants, of the extra ``notebooks``."""

_TEMPLATES = Path(__file__).parent / "templates"


def require() -> None:
    """Refuse to run a notebook where the libraries for it are not installed.

    Raises
    ------
    InputError
        If one is missing; with what to install.
    """
    missing = [name for name in EXTRA if find_spec(name) is None]
    if missing:
        raise InputError(
            f"a notebook needs {', '.join(missing)}: {with_extra('notebooks')}, or drop -p notebook"
        )


def places(settings: Settings, shipped: Path) -> tuple[Path, Path]:
    """Folders in which notebooks are looked for: the user's own before Baton's."""
    return (settings.notebooks, shipped)


def names(folders: Iterable[Path]) -> list[str]:
    """Names of all notebooks of the folders, sorted."""
    found = (path for folder in folders if folder.is_dir() for path in folder.iterdir())
    return sorted({path.stem for path in found if path.suffix in SUFFIXES and path.is_file()})


def find(name: str, folders: Iterable[Path]) -> Path:
    """File of the notebook of that name.

    Parameters
    ----------
    name : str
    folders : iterable of Path
        Where to look; the first that has it counts.

    Raises
    ------
    InputError
        If there is none.
    """
    folders = tuple(folders)
    if name in names(folders):
        candidates = (folder / f"{name}{suffix}" for folder in folders for suffix in SUFFIXES)
        return next(path for path in candidates if path.is_file())
    known = ", ".join(names(folders)) or "none"
    where = " and ".join(str(folder) for folder in folders)
    raise InputError(f"unknown notebook {name!r}; there are, in {where}: {known}")


def read(path: Path) -> NotebookNode:
    """Read a notebook, without the outputs of an earlier run.

    Raises
    ------
    InputError
        If the file cannot be read as one.
    """
    import jupytext
    import nbformat

    wrong = (OSError, ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError)
    try:
        notebook: Any = jupytext.read(path)
        nbformat.validate(notebook)
    except wrong as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"notebook {path} cannot be read: {reason}") from None
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def page(notebook: NotebookNode, title: str) -> str:
    """Render a notebook as one HTML page: pictures inside, no script runs, nothing is asked for.

    Parameters
    ----------
    notebook : NotebookNode
        With its outputs.
    title : str
    """
    from nbconvert import HTMLExporter

    exporter: Any = HTMLExporter(
        template_name="notebook", extra_template_basedirs=[str(_TEMPLATES)], embed_images=True
    )
    body, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title}})
    return str(body).encode("utf-8", "replace").decode("utf-8")
