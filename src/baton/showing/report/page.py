"""The page of a report; its text and look are ``templates/report.html.jinja``.

Writing the file belongs in ``tasks/``.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from baton.words.text import number, percent

if TYPE_CHECKING:
    import jinja2

    from baton.showing.report.parts import Cell, Report


def render(report: Report) -> str:
    """Render the report as one HTML page without scripts, links or requests.

    Parameters
    ----------
    report : Report

    Returns
    -------
    str
        The page; pictures are data URIs, every text of the caller is escaped.
    """
    return render_page("report.html.jinja", report=report)


def render_page(template: str, **content: Any) -> str:
    """Render a template of this package, every text of the caller escaped."""
    page = _environment().get_template(template).render(**content)
    return page.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate is in no file


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("baton.showing"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cell": _cell, "number": _padded, "percent": percent}
    environment.tests["number"] = _is_number
    return environment


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: Cell) -> str:
    if value is None:
        return "–"
    if isinstance(value, int):
        return str(value)
    return number(value, 4, is_padded=True) if isinstance(value, float) else value


def _padded(value: float) -> str:
    return number(value, is_padded=True)
