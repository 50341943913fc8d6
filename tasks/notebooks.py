"""Running the notebook that a chain asks for, and keeping its page beside the chain's report.

How a notebook is found, read and rendered is thought in ``baton.showing.notebooks``; the kernel is
in ``tasks/platform/kernel.py``.
"""

from __future__ import annotations

import json
import logging
import tempfile
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import task

from baton.atomic import write_bytes
from baton.chain.events import ModelEvaluated, NotebookReady, PageRef
from baton.errors import InputError
from baton.lineage import digest_of, digest_of_file
from baton.settings import settings
from baton.showing import notebooks
from baton.stores import shelf
from tasks.platform import results
from tasks.platform.artifacts import link_page
from tasks.platform.plan import Plan
from tasks.platform.stage import exclusive

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NotebookPlan(Plan):
    """A notebook, and the evaluation that it is to look at."""

    evaluated: ModelEvaluated
    name: str
    source: Path

    @property
    def folder(self) -> str:
        """Folder of its page: that of the report."""
        return self.evaluated.report.key.rpartition("/")[0]

    @property
    def lock(self) -> AbstractContextManager[None]:
        """Held by the one process that runs this notebook; another may run meanwhile."""
        return exclusive(self.page_key)

    @property
    def page_key(self) -> str:
        """Key of its page."""
        return f"{self.folder}/notebook_{self.name}.html"

    @property
    def page(self) -> Path:
        """File of its page."""
        return results.report_path(self.page_key)

    @property
    def failed(self) -> Path:
        """File of what was executed when a cell failed."""
        return self.page.with_name(f"failed_notebook_{self.name}.html")

    @property
    def mark(self) -> Path:
        """File that says what the page was made from, and that it is whole."""
        return self.page.with_name(f"{self.page.name}.json")

    @property
    def decides(self) -> str:
        """Digest of what decides the page: the notebook's text, the model, the tables."""
        tables = {name: table.digest for name, table in self.evaluated.tables.items()}
        model = self.evaluated.model.digest
        text = digest_of_file(self.source)
        return digest_of({"notebook": text, "model": model, "tables": tables})

    @property
    def is_done(self) -> bool:
        """Whether the page is there, whole, and of this notebook as it is now."""
        try:
            said = json.loads(shelf.take(self.mark).read_text("utf-8"))
            return bool(said == self._said())
        except (OSError, ValueError, RecursionError):
            return False

    def keep(self, html: str) -> None:
        """Write the page, and then the mark."""
        shelf.write(self.page, html.encode())
        shelf.write(self.mark, json.dumps(self._said()).encode())
        self.failed.unlink(missing_ok=True)

    def _said(self) -> dict[str, str]:
        return {"decides": self.decides, "sha256": digest_of_file(shelf.take(self.page))}


def plan_notebook(evaluated: ModelEvaluated, shipped: Path) -> NotebookPlan:
    """Find the notebook that the chain asks for.

    Parameters
    ----------
    evaluated : ModelEvaluated
    shipped : Path
        Folder of Baton's own notebooks.

    Raises
    ------
    InputError
        If it asks for none, there is none of that name, or none can be run.
    """
    name = evaluated.data.options.notebook
    if name is None:
        raise InputError(f"chain {evaluated.chain} asks for no notebook: add -p notebook=NAME")
    notebooks.require()
    return NotebookPlan(
        evaluated, name, notebooks.find(name, notebooks.places(settings(), shipped))
    )


@task(name="make the notebook's page", persist_result=False)
def make_page(plan: NotebookPlan) -> None:
    """Execute the notebook and keep its page; if a cell fails, what was executed up to there.

    Raises
    ------
    RuntimeError
        If a cell failed, in one line.
    """
    import nbformat

    from tasks.platform import kernel

    parameters = {"chain": plan.evaluated.chain}
    with tempfile.TemporaryDirectory(prefix="baton-") as name:
        folder = Path(name)
        try:
            done = kernel.run(notebooks.read(plan.source), parameters, plan.source.parent, folder)
        except kernel.CellError as error:
            executed: Any = nbformat.read(folder / "executed.ipynb", 4)
            write_bytes(plan.failed, notebooks.page(executed, plan.name).encode())
            raise kernel.CellError(
                f"notebook {plan.name!r}: {error}; it ran so far: {plan.failed}"
            ) from None
    plan.keep(notebooks.page(done, f"{plan.name}, {plan.evaluated.problem}"))
    log.info("notebook %s", plan.page)


def notebook_ready(plan: NotebookPlan) -> NotebookReady:
    """Announcement of a page, once it can be read."""
    evaluated = plan.evaluated
    return NotebookReady(
        chain=evaluated.chain,
        problem=evaluated.problem,
        data=evaluated.data,
        model=evaluated.model,
        name=plan.name,
        page=PageRef(key=plan.page_key, digest=digest_of_file(plan.page)),
    )


@task(name="link to the notebook's page", persist_result=False)
def write_link(plan: NotebookPlan) -> None:
    """Write the way to the page as an artifact of Prefect."""
    evaluated = plan.evaluated
    link_page(
        "notebook",
        evaluated.problem,
        evaluated.chain,
        plan.page,
        text=f"notebook {plan.name} of chain {evaluated.chain}",
        about="an executed notebook as one page",
    )
