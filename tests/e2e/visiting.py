"""Baton's pages as a person sees them: an installed Chromium, driven by Playwright.

What was asked of other hosts, and what the console complained of, is kept beside the page.
"""

from __future__ import annotations

import io
import json
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
)
_SLOW_MS = 60_000
_COLOURS = 64
_MOST_BYTES = 100_000


@dataclass
class Visitor:
    """A browser that the link of `baton up` has logged in."""

    page: object
    """Of Playwright."""
    site: str
    elsewhere: list[str] = field(default_factory=list)
    """Addresses that were asked for and are not of Baton's pages."""
    complaints: list[str] = field(default_factory=list)
    """What the console said of errors, but for refusals that the test asked for."""

    def __post_init__(self):
        self.page.set_default_timeout(_SLOW_MS)
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda one: self._said(one.type, one.text))

    def _asked(self, address):
        if not address.startswith((f"{self.site}/", "data:")):
            self.elsewhere.append(address)

    def _said(self, kind, text):
        if kind in {"error", "warning"} and "status of 4" not in text:
            self.complaints.append(text)

    def go(self, path):
        self.page.goto(f"{self.site}{path}")
        return self.page

    def require_accessible(self):
        """Have axe-core look at the page, in light and in dark."""
        from axe_playwright_python.sync_playwright import Axe

        for scheme in ("dark", "light"):
            self.page.emulate_media(color_scheme=scheme)
            found = Axe().run(self.page)
            assert found.violations_count == 0, f"{scheme}: {found.generate_report()}"

    def require_fitting(self, widths=(360, 1100)):
        """Wide tables scroll inside; the page itself never does sideways."""
        before = self.page.viewport_size
        for width in widths:
            self.page.set_viewport_size({"width": width, "height": 800})
            shown = self.page.evaluate("document.documentElement.scrollWidth")
            assert shown <= width, f"{shown} of {width}"
        self.page.set_viewport_size(before)

    def require_quiet(self):
        """Nothing was asked of another host, and the console has nothing to say."""
        assert self.elsewhere == []
        assert self.complaints == []

    def drop(self, name, content):
        """Drop a file on the page, as a person does with the mouse."""
        made = self.page.evaluate_handle(
            "([name, text]) => { const data = new DataTransfer();"
            " data.items.add(new File([text], name, {type: 'text/csv'})); return data; }",
            [name, content],
        )
        self.page.dispatch_event("main", "dragover", {"dataTransfer": made})
        self.page.dispatch_event("main", "drop", {"dataTransfer": made})

    def picture(self, folder, name, height=800):
        """Write what the window shows, as a PNG of few colours."""
        self.page.set_viewport_size({"width": 1000, "height": height})
        # The footer says where the home is, which is another place for everybody.
        self.page.evaluate(
            "document.activeElement.blur(); document.querySelector('footer').remove()"
        )
        image = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        small = io.BytesIO()
        image.quantize(_COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
        assert len(small.getvalue()) <= _MOST_BYTES, name
        (Path(folder) / f"{name}.png").write_bytes(small.getvalue())


def link_of(home):
    """The link to Baton's pages that `baton up` printed: its first line."""
    first = (home.path / "up.out").read_text().splitlines()[0]
    return re.fullmatch(r"Baton +(http://\S+)", first)[1]


def site_of(home):
    """Address of the pages."""
    return json.loads((home.path / "up.json").read_text())["pages"]


@contextmanager
def chromium():
    """A browser without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visiting(browser, home, *, logs_in=True, **options):
    """A visitor with a fresh profile."""
    context = browser.new_context(viewport={"width": 1100, "height": 800}, **options)
    try:
        visitor = Visitor(context.new_page(), site_of(home))
        if logs_in:
            visitor.page.goto(link_of(home))
        yield visitor
    finally:
        context.close()
