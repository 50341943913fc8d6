"""How Baton's objects look in a notebook: small pieces of HTML, every text escaped.

Only what several modules show is here; what an object shows is its own ``_repr_html_``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from baton.words.text import number

_LEFT = ' style="text-align: left"'


def card(title: str, facts: Mapping[str, Any], *more: str) -> str:
    """Heading, a line for each fact, and what follows: HTML of other functions of this module.

    Parameters
    ----------
    title : str
    facts : mapping of name to value
        Those whose value is empty are left out.
    *more : str
    """
    rows = [(name, value) for name, value in facts.items() if value not in ("", None, (), {})]
    return f"<div><strong>{escape(title)}</strong>{table((), rows)}{''.join(more)}</div>"


def table(headings: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Rows of text and numbers; numbers are rounded and stand at the right."""
    head = "".join(f"<th{_LEFT}>{escape(heading)}</th>" for heading in headings)
    lines = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    top = f"<thead><tr>{head}</tr></thead>" if head else ""
    return f"<table>{top}<tbody>{lines}</tbody></table>"


def settings(values: Mapping[str, Any]) -> str:
    """Write settings in one line, ``name=value``."""
    return ", ".join(f"{name}={value}" for name, value in values.items())


def picture(png: str, alt: str, caption: str) -> str:
    """Figure of a PNG in base64, as wide as a page's column."""
    image = f'<img src="data:image/png;base64,{png}" alt="{escape(alt)}" width="800"/>'
    words = f'<figcaption style="max-width: 800px; opacity: 0.7">{escape(caption)}</figcaption>'
    return f'<figure style="margin: 0 0 1em">{image}{words}</figure>'


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f'<td style="text-align: right">{number(value)}</td>'
    return f"<td{_LEFT}>{escape(str(value))}</td>"
