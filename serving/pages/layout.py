"""What every page shares: the frame around it, its templates, its files of style and script.

What a page says belongs in the page's module.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from baton import distribution
from baton.words.text import counted, elide, listed, number, percent

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing from elsewhere, and no script or style but those of files."""

_YEAR_SECONDS = 31_536_000
_ASSETS = {
    "style.css": ("baton.showing", "templates", "text/css"),  # the reports' own
    "pages.css": ("serving.pages", "static", "text/css"),
    "graph.css": ("baton.showing", "templates", "text/css"),
    "models.css": ("serving.pages", "static", "text/css"),
    "models.js": ("serving.pages", "static", "text/javascript"),
    "pages.js": ("serving.pages", "static", "text/javascript"),
    "icon.svg": ("serving.pages", "static", "image/svg+xml"),
}


@dataclass(frozen=True)
class Link:
    """A place that the navigation leads to."""

    title: str
    path: str

    def is_at(self, path: str) -> bool:
        """Tell whether a page belongs to it."""
        return path == self.path or (self.path != "/" and path.startswith(f"{self.path}/"))


@dataclass(frozen=True)
class Asset:
    """A file of style or script."""

    content: bytes
    kind: str

    @property
    def mark(self) -> str:
        """What is another one when its content is."""
        return hashlib.sha256(self.content).hexdigest()[:12]


@cache
def assets() -> Mapping[str, Asset]:
    """Files of style and script by name."""
    found = {}
    for name, (package, folder, kind) in _ASSETS.items():
        found[name] = Asset((files(package) / folder / name).read_bytes(), kind)
    return found


def asset_path(name: str) -> str:
    """Path of such a file, which a browser may keep for long."""
    return f"/static/{name}?v={assets()[name].mark}"


def served(name: str) -> Response | None:
    """Answer with such a file; None if there is none."""
    found = assets().get(name)
    if found is None:
        return None
    kept = {"cache-control": f"private, max-age={_YEAR_SECONDS}, immutable"}
    return Response(found.content, media_type=found.kind, headers=kept)


def page(request: Request, template: str, status: int = 200, **content: Any) -> HTMLResponse:
    """Render a page.

    Parameters
    ----------
    request : Request
    template : str
        Name of a template that extends ``base.html.jinja``.
    status : int, optional
    **content
        What the template speaks of.
    """
    frame = {
        "links": request.app.state.links,
        "path": request.url.path,
        "desk": request.app.state.desk,
    }
    return HTMLResponse(fragment(template, **frame | content), status)


def fault(request: Request, status: int, title: str, said: str, advice: str = "") -> HTMLResponse:
    """Render what cannot be shown, and what to do."""
    return page(request, "fault.html.jinja", status, title=title, said=said, advice=advice)


def fragment(template: str, **content: Any) -> str:
    """Render a template, every text from outside escaped."""
    rendered = _environment().get_template(template).render(**content)
    return rendered.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate cannot be sent


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("serving.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"asset": asset_path, "version": distribution.version()}
    environment.filters |= {
        "counted": counted,
        "elide": elide,
        "local": _local,
        "local_time": _local_time,
        "listed": listed,
        "number": number,
        "percent": percent,
        "tojson_pretty": _pretty,
    }
    return environment


def _local(at: datetime) -> str:
    """Time as a clock beside the machine shows it."""
    return f"{at.astimezone():%Y-%m-%d %H:%M}"


def _local_time(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone():%H:%M:%S}"


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str)
