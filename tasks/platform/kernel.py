"""A kernel for a notebook: this interpreter, spoken to by sockets of files, gone with the run.

Imported only where a notebook runs; the libraries are those of the extra ``notebooks``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from prefect_jupyter.notebook import execute_notebook

from baton.settings import settings

_ENGINE = "baton"
_START_SECONDS = 120


class CellError(RuntimeError):
    """A cell of a notebook failed; one line says which and how."""


class _ThisInterpreter(KernelSpecManager):
    """Knows one kernel: the interpreter that runs, whatever is installed for the user."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:  # noqa: ARG002
        guarded = [sys.executable, "-m", "baton.parent", str(os.getpid()), "ipykernel_launcher"]
        return KernelSpec(
            argv=[*guarded, "-f", "{connection_file}"],
            env=self._environment(),
            display_name="Python 3",
            language="python",
        )

    def _environment(self) -> dict[str, str]:
        """Where Jupyter keeps things: not under the user's home."""
        names = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
        places = {name: self.folder / name.lower() for name in names}
        for place in places.values():
            place.mkdir()
        return {"BATON_HOME": str(settings().home)} | {n: str(p) for n, p in places.items()}


class _Client(PapermillNotebookClient):  # type: ignore[misc]
    """Starts the kernel in a folder of its own, so that none is made under the user's home."""

    def __init__(self, *args: Any, folder: Path, **options: Any) -> None:
        super().__init__(*args, **options)
        self.folder = folder

    def create_kernel_manager(self) -> AsyncKernelManager:
        """Make the manager of a kernel that nobody else on the machine can listen to."""
        self.km = AsyncKernelManager(
            kernel_name="python3",
            kernel_spec_manager=_ThisInterpreter(self.folder),
            connection_file=str(self.folder / "kernel.json"),
            transport="ipc",
            ip=str(self.folder / "socket"),
        )
        return self.km


class _Engine(Engine):  # type: ignore[misc]
    """Papermill's engine that leaves what was executed behind, also when a cell failed."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,  # noqa: ARG003
        *,
        folder: Path,
        cwd_of_kernel: Path,
        **_: Any,
    ) -> None:
        """Execute the cells."""
        client = _Client(
            nb_man,
            folder=folder,
            resources={"metadata": {"path": str(cwd_of_kernel)}},
            startup_timeout=_START_SECONDS,
            timeout=None,
            shutdown_kernel="immediate",
        )
        try:
            client.execute()
        finally:
            nbformat.write(nb_man.nb, folder / "executed.ipynb")


def run(
    notebook: NotebookNode,
    parameters: dict[str, Any],
    home: Path,
    folder: Path,
    execute: Callable[..., NotebookNode] = execute_notebook,
) -> NotebookNode:
    """Execute a notebook as a task of the flow run, and return it with its outputs.

    Parameters
    ----------
    notebook : NotebookNode
    parameters : dict
        Take the place of those in the cell tagged ``parameters``.
    home : Path
        Folder that the notebook believes to be in: its own.
    folder : Path
        Where it is written to on the way: empty, private, with a short name. Holds
        ``executed.ipynb`` afterwards, whatever happened.
    execute : callable
        prefect-jupyter's task; its bare function where there is no flow run.

    Raises
    ------
    CellError
        If a cell failed, or the kernel's process ended.
    """
    papermill_engines.register(_ENGINE, _Engine)
    source = folder / "notebook.ipynb"
    nbformat.write(notebook, source)
    try:
        return execute(
            str(source),
            parameters=parameters,
            kernel_name="python3",
            language="python",
            engine_name=_ENGINE,
            progress_bar=False,
            folder=folder,
            cwd_of_kernel=home,
        )
    except PapermillExecutionError as error:
        what = " ".join(f"{error.ename}: {error.evalue}".split())[:300]
        raise CellError(f"cell [{error.exec_count}] failed: {what}") from None
    except DeadKernelError:
        raise CellError("its kernel died, of too little memory perhaps") from None
