"""Puts what is made from the code into the pages, where they ask for it.

A line ``<!-- baton: NAME -->`` of a page is replaced, while Sphinx reads the page, by the part of
that name: one of ``reference.PARTS``, the picture of the chain, or a page of the repository's
root. Nothing is written into the source folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import chain_picture
import reference
from pydantic import BaseModel

from baton.chain import manifest
from tasks.platform.places import MANIFEST

MARK = re.compile(r"^<!-- baton: (\w+) ?(\S*) -->$", re.MULTILINE)
ROOT = Path(__file__).parent.parent.parent


def picture() -> str:
    """The picture of the chain."""
    return f"```{{raw}} html\n{chain_picture.draw(manifest.read(MANIFEST))}\n```"


def root_page(name: str) -> str:
    """Page of the repository's root; its links to others there lead to their pages here."""
    text = (ROOT / name).read_text("utf-8")
    return re.sub(r"\]\(([A-Z]+)\.md", lambda found: f"]({found[1].lower()}.md", text)


PARTS: dict[str, Callable[..., str]] = {**reference.PARTS, "picture": picture, "page": root_page}


def filled(text: str) -> str:
    """Page with every part that it asks for.

    Raises
    ------
    LookupError
        If there is no such part, or the code does not describe something in it.
    """

    def part(found: re.Match[str]) -> str:
        name, argument = found.groups()
        if name not in PARTS:
            raise LookupError(f"no part {name!r}; there are: {', '.join(PARTS)}")
        return PARTS[name](*([argument] if argument else []))

    return MARK.sub(part, text)


def _fill(app: Any, docname: str, source: list[str]) -> None:  # noqa: ARG001
    source[0] = filled(source[0])


def _depends_on_code(app: Any, env: Any, *_: Any) -> Iterable[str]:  # noqa: ARG001
    """Pages to read again in every build."""
    return [name for name in env.found_docs if MARK.search(env.doc2path(name).read_text("utf-8"))]


def _plain_signature(app: Any, what: str, name: str, thing: Any, *_: Any) -> Any:  # noqa: ARG001
    """Models of pydantic are shown by their fields, not by a constructor that repeats them."""
    is_model = isinstance(thing, type) and issubclass(thing, BaseModel)
    return ("", None) if is_model else None


class _Sentences:
    """Keeps napoleon from taking what stands before an attribute's colon for its type."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def remember(self, *event: Any) -> None:
        """Before napoleon."""
        self._lines = list(event[-1])

    def restore(self, app: Any, what: str, *rest: Any) -> None:  # noqa: ARG002
        """After napoleon; an attribute's docstring has no sections that it could have made."""
        if what in {"attribute", "data", "property"}:
            rest[-1][:] = self._lines


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", _fill)
    app.connect("env-get-outdated", _depends_on_code)
    app.connect("autodoc-process-signature", _plain_signature)
    sentences = _Sentences()
    app.connect("autodoc-process-docstring", sentences.remember, priority=400)
    app.connect("autodoc-process-docstring", sentences.restore, priority=600)
    return {"parallel_read_safe": True}
