"""How soon a person sees something on Baton's pages, beside Prefect's and MLflow's.

A `baton up` in a temporary home, one chain of `iris` in it, and Debian's Chromium without a window.
Each page is loaded in turn with the others, in a tab of its own of one profile, so that what a
browser keeps is kept. First paint is the browser's own *first-contentful-paint*, from the beginning
of the navigation.

    .venv/bin/python benchmarks/painting.py
    .venv/bin/python benchmarks/painting.py --repeats 3
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from chain import ROOT, told
from row import Row, tell
from standing import Standing

from baton.settings import Settings
from serving.embedded import Addresses, found

sys.path.append(str(ROOT))  # the tests' browser

REPEATS = 7
TARGET = "≤ 200 ms"
_PREFECT, _MLFLOW = "Prefect's runs", "MLflow's experiments"
_PAINTED = """() => new Promise(done => {
    const told = () => {
        const [found] = performance.getEntriesByName('first-contentful-paint');
        found ? done(found.startTime) : setTimeout(told, 5);
    };
    told();
})"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=REPEATS, help=f"of each page ({REPEATS})")
    tell(rows(parser.parse_args().repeats))


def rows(repeats: int = REPEATS) -> list[Row]:
    """Rows of the table of `make bench`."""
    with (
        tempfile.TemporaryDirectory(prefix="baton-") as folder,
        Standing(Path(folder), {"BATON_PAGES_PORT": "0"}, ()) as standing,
    ):
        taken = _measured(standing, repeats)
    median = {what: statistics.median(found) for what, found in taken.items()}
    return [
        Row(f"first paint, {what}", median[what], median[other], "ms", other, TARGET)
        for what, other in _OWN.items()
    ]


_OWN = {
    "new chain": _PREFECT,
    "chains": _PREFECT,
    "a chain": _PREFECT,
    "models": _MLFLOW,
    "a model": _MLFLOW,
    "try it": _MLFLOW,
}


def _measured(standing: Standing, repeats: int) -> dict[str, list[float]]:
    """Milliseconds to the first paint of each page, the first of each left out."""
    from tests.e2e.visiting import chromium

    chain = told(["iris"], standing.environment)
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1100, "height": 800})
        pages = _pages(context, found(Settings(home=standing.home)), chain)
        taken: dict[str, list[float]] = {what: [] for what in pages}
        for turn in range(repeats + 1):
            for what, address in pages.items():
                painted = _painted(context, address)
                taken[what] += [painted] if turn else []
    return taken


def _pages(context: Any, addresses: Addresses | None, chain: dict[str, Any]) -> dict[str, str]:
    """Addresses of the pages, in a browser that each of the servers knows."""
    assert addresses
    for login in (addresses.own_page(), addresses.prefect_page("/runs"), addresses.mlflow_page):
        _painted(context, login)
    own = addresses.pages
    return {
        "new chain": f"{own}/",
        "chains": f"{own}/chains",
        "a chain": f"{own}/chains/{chain['chain']}",
        "models": f"{own}/models",
        "a model": f"{own}/models/baton-iris",
        "try it": f"{own}/models/baton-iris/versions/1/try",
        _PREFECT: addresses.prefect.removesuffix("/api") + "/runs",
        _MLFLOW: f"{addresses.mlflow}/#/experiments",
    }


def _painted(context: Any, address: str) -> float:
    """Milliseconds to the first paint of a page in a new tab."""
    page = context.new_page()
    try:
        page.goto(address)
        return float(page.evaluate(_PAINTED))
    finally:
        page.close()


if __name__ == "__main__":
    main()
