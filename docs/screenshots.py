"""Take the pictures of Prefect's and MLflow's pages that the site shows, from a real run.

Starts ``baton up`` in a home of its own, runs two small chains there, opens the pages in
headless Chromium and writes PNGs to ``docs/_static/screenshots``. Everything that it started
has ended afterwards. Run it by ``make screenshots``; it needs Debian's ``chromium``.
"""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from baton.settings import Settings  # noqa: E402
from serving.embedded import Addresses, found  # noqa: E402
from tests.e2e.browser import CHROMIUM, Page, browser  # noqa: E402

TARGET = ROOT / "docs/_static/screenshots"
BATON = str(Path(sys.executable).with_name("baton"))
SPHERES = ["run", "spheres", "-p", "rows=2000", "-p", "seed=1"]
CHAINS = (["run", "iris"], [*SPHERES, "-p", "model=random_forest"], SPHERES)
WIDTH = 1280
MOST_BYTES = 150_000
_COLOURS = 128
_PATIENCE_SECONDS = 180
_SECONDS_TO_SETTLE = 4.0
"""Graphs are drawn and pictures fade in after their texts are there."""
_TEXT = "document.body.innerText"
_DEEPEST = "[...document.querySelectorAll('*')].filter(e => e.innerText?.trim() == %s).pop()"
_CLOSE = "document.querySelectorAll('[aria-label=Close]').forEach(e => e.click())"
"""Shuts what lies before the page: an assistant, an announcement."""


@dataclass(frozen=True)
class Shot:
    """A page to take a picture of."""

    name: str
    address: str
    shows: tuple[str, ...]
    """Texts that stand on the page once it has its content."""
    height: int = 800
    tab: str = ""
    """Tab to open once it has."""
    then_shows: tuple[str, ...] = ()
    """Texts that stand in that tab."""


@contextmanager
def standing() -> Iterator[tuple[dict[str, str], Addresses]]:
    """Run `baton up` in a fresh home; yields its environment and its addresses."""
    with tempfile.TemporaryDirectory(prefix="baton-pictures-", ignore_cleanup_errors=True) as home:
        kept = {k: v for k, v in os.environ.items() if k not in {"PREFECT_API_URL"}}
        own = ("PREFECT", "MLFLOW", "ANNOUNCE", "PAGES")
        names = [f"BATON_{name}_PORT" for name in own]
        ports = dict.fromkeys(names, "0")
        environment = kept | ports | {"BATON_HOME": home}
        with (Path(home) / "up.out").open("wb") as said:
            process = subprocess.Popen([BATON, "up"], cwd=ROOT, env=environment, stdout=said)
        try:
            wait_for(lambda: "ready" in (Path(home) / "up.out").read_text())
            addresses = found(Settings(home=Path(home)))
            assert addresses
            yield environment, addresses
        finally:
            process.terminate()
            process.wait(60)


def wait_for(is_so: Any) -> None:
    """Wait until something is so.

    Raises
    ------
    TimeoutError
        If it never was.
    """
    end = time.monotonic() + _PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {_PATIENCE_SECONDS} s in vain")
        time.sleep(0.3)


def run_chains(environment: dict[str, str]) -> dict[str, Any]:
    """Run the chains; returns what the last one reports."""
    found: dict[str, Any] = {}
    for chain in CHAINS:
        command = [BATON, *chain, "--json"]
        done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
        found = json.loads(done.stdout)
    return found


def shots(chain: dict[str, Any], addresses: Addresses) -> list[Shot]:
    """Pages of a chain that are worth a picture."""
    prefect, mlflow = addresses.prefect.removesuffix("/api"), addresses.mlflow
    runs = {stage["stage"]: stage["flow_run_id"] for stage in chain["stages"]}
    run_id = chain["model"]["run_id"]
    answer = httpx.get(
        f"{mlflow}/api/2.0/mlflow/runs/get",
        params={"run_id": run_id},
        auth=tuple(addresses.secret.split(":")),
    )
    experiment = answer.raise_for_status().json()["run"]["info"]["experiment_id"]
    of_run = f"{mlflow}/#/experiments/{experiment}/runs/{run_id}"
    return [
        Shot("prefect-runs", f"{prefect}/runs", ("evaluate spheres", "train iris"), 1500),
        Shot(
            "prefect-run",
            f"{prefect}/runs/flow-run/{runs['evaluate']}",
            ("evaluate spheres", "Completed", "Subflow Runs"),
            tab="Subflow Runs",
            then_shows=("performance", "importance", "explanations"),
        ),
        Shot("prefect-deployments", f"{prefect}/deployments", ("generate-spheres", "reconcile")),
        Shot("prefect-automations", f"{prefect}/automations", ("train", "evaluate")),
        Shot("mlflow-runs", f"{mlflow}/#/experiments/{experiment}/runs", ("spheres",), 500),
        Shot("mlflow-run", of_run, ("accuracy", "log_loss"), 1400),
        Shot("mlflow-models", f"{mlflow}/#/models", ("baton-spheres", "baton-iris"), 500),
        Shot("report", Path(chain["report"]).as_uri(), ("accuracy",), 1000),
    ]


def take(page: Page, shot: Shot) -> bytes:
    """Open a page, wait for its content and return its picture."""
    page.open(shot.address, WIDTH)
    page.resize(WIDTH, shot.height)
    wait_for_texts(page, shot, shot.shows)
    if shot.tab:
        page.ask(f"{_DEEPEST % json.dumps(shot.tab)}.click()")
        wait_for_texts(page, shot, shot.then_shows)
    page.rest(_SECONDS_TO_SETTLE / 2)
    page.ask(_CLOSE)
    page.rest(_SECONDS_TO_SETTLE)
    return visible(page)


def wait_for_texts(page: Page, shot: Shot, texts: tuple[str, ...]) -> None:
    """Wait until all of them stand on the page."""
    try:
        wait_for(lambda: all(text in page.ask(_TEXT) for text in texts))
    except TimeoutError:
        said = page.ask(_TEXT)[:2000]
        raise TimeoutError(f"{shot.name} does not show {texts} but: {said}") from None


def visible(page: Page) -> bytes:
    """What the window shows, as a PNG of few colours."""
    answer = page.send("Page.captureScreenshot", format="png")
    image = Image.open(io.BytesIO(base64.b64decode(answer["data"]))).convert("RGB")
    small = io.BytesIO()
    image.quantize(_COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


def main() -> None:
    """Take every picture."""
    if not CHROMIUM:
        raise SystemExit("chromium is missing: install Debian's package `chromium`")
    TARGET.mkdir(parents=True, exist_ok=True)
    with standing() as (environment, addresses):
        chain = run_chains(environment)
        for shot in shots(chain, addresses):
            with browser() as page:
                for login in (addresses.prefect_page(), addresses.mlflow_page):
                    page.open(login, WIDTH)
                picture = take(page, shot)
            if len(picture) > MOST_BYTES:
                raise SystemExit(f"{shot.name} has {len(picture):,} bytes; make it smaller")
            (TARGET / f"{shot.name}.png").write_bytes(picture)
            print(f"{shot.name}.png  {len(picture):,} bytes")  # noqa: T201


if __name__ == "__main__":
    main()
