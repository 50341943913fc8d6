"""A bar for what takes long, in a notebook or on a terminal.

The functions that take a ``progress`` know nothing of it: they call what they are given.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape

_SECONDS_BETWEEN_UPDATES = 0.1

Report = Callable[[int, int], None]
"""Called with what is done and what is to be done in all."""


@contextmanager
def bar(what: str) -> Iterator[Report]:
    """Show how far something is.

    Parameters
    ----------
    what : str
        What is going on, for people.

    Yields
    ------
    callable
        To be given as the argument ``progress``.

    Examples
    --------
    >>> with bar("three steps") as report:
    ...     for step in range(3):
    ...         report(step + 1, 3)
    """
    with (_in_notebook if is_notebook() else _on_terminal)(what) as report:
        yield report


def is_notebook() -> bool:
    """Tell whether this is a notebook's kernel: it alone shows HTML."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None


@contextmanager
def _in_notebook(what: str) -> Iterator[Report]:
    from IPython.display import HTML, display

    shown = display(HTML(_html(what, 0, 1)), display_id=True)
    latest = 0.0

    def report(done: int, total: int) -> None:
        nonlocal latest
        if done >= total or time.monotonic() - latest > _SECONDS_BETWEEN_UPDATES:
            latest = time.monotonic()
            shown.update(HTML(_html(what, done, total)))

    yield report


def _html(what: str, done: int, total: int) -> str:
    percent = f"{100 * done // max(total, 1)} %"
    element = f'<progress max="{total}" value="{done}" style="width: 20em"></progress>'
    return f"<div>{escape(what)} {element} {percent}</div>"


@contextmanager
def _on_terminal(what: str) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as view:
        task = view.add_task(what, total=None)
        yield lambda done, total: view.update(task, completed=done, total=total)
