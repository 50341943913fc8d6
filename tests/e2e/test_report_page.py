"""The report in a real browser: every picture is there, and nothing is asked for."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from baton.evaluation.shapley import ShapValues, global_importance
from baton.showing import plots, report
from baton.terms import Kind
from tests.e2e.browser import CHROMIUM, browser

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not CHROMIUM, reason="wants Debian's package chromium"),
]

_RUN = "document.title='run'"
EVIL = f"<img src=http://127.0.0.1:9/x onerror={_RUN}><script>{_RUN}</script>"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report in an open browser."""
    place = tmp_path_factory.mktemp("report") / "report.html"
    place.write_text(report.render(made()), "utf-8")
    with browser() as tab:
        tab.open(place.as_uri())
        yield tab


def made():
    rng = np.random.default_rng(0)
    names = ["distance_km", "$cost$", "a_very_long_name_of_a_feature_that_does_not_end", EVIL]
    table = pd.DataFrame(rng.normal(size=(80, 4)), columns=names)
    found = ShapValues(rng.normal(size=(80, 4, 3)), np.zeros(3), tuple(names), ("a", "b", EVIL))
    values, intervals = {"accuracy": 0.9, "log_loss": 0.4}, {"accuracy": (0.85, 0.94)}
    pictures = [
        plots.metric_intervals(values, intervals, {"accuracy": 0.5}),
        plots.shap_bar(found),
        plots.shap_beeswarm(found, table),
        plots.shap_dependence(found, table),
    ]
    row = plots.shap_waterfall(found, table, 3, row_id=17)
    raw = report.File(key="p/0123456789abcdef/raw.parquet", digest="ab" * 32, n_rows=300)
    return report.Report(
        problem=EVIL,
        kind=Kind.CLASSIFICATION,
        target="label",
        headline="accuracy",
        chain="0123456789ab",
        created=datetime(2025, 1, 2, tzinfo=UTC),
        model=report.Model(uri="models:/baton-p/1", version=1, family="xgboost"),
        data=report.Data(raw=raw, features=raw, n_train=220, n_test=80),
        metrics=report.measured(values, intervals, {"accuracy": 0.5}),
        command="baton run p",
        notes=(EVIL, "see https://example.org"),
        performance=tuple(map(report.Image.of, pictures[:1])),
        drivers=tuple(map(report.Image.of, pictures[1:])),
        importance=(report.importance_table(shap_global=global_importance(found)),),
        explanations=(
            report.Explanation(
                row="17",
                contributions=report.contributions(found, table, 3, 0),
                picture=report.Image.of(row),
            ),
        ),
    )


def test_every_picture_is_rendered(page):
    """Each has pixels, is as wide as the column and not distorted."""
    sizes = page.ask(
        "[...document.images].map(i => [i.complete, i.naturalWidth, i.naturalHeight,"
        " i.clientWidth, i.clientHeight])"
    )
    assert len(sizes) == 5
    for complete, width, height, shown_width, shown_height in sizes:
        assert complete
        assert width >= 1000
        assert shown_width == 800
        assert shown_height == pytest.approx(height * 800 / width, abs=1)


def test_no_request_leaves_the_page(page):
    """The file itself and what is in it; not even a refused request."""
    asked = [address for address in page.requests if not address.startswith("data:")]
    assert len(asked) == 1
    assert asked[0].startswith("file://")
    assert page.complaints == []


def test_nothing_from_outside_runs(page):
    """Hostile names are text."""
    assert page.ask("document.title") != "run"
    assert page.ask("document.scripts.length") == 0
    assert EVIL in page.ask("document.querySelector('h1').textContent")


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_the_page_fits_any_window(page, width):
    """Wide tables scroll inside; the page itself never does sideways."""
    page.resize(width, 800)
    assert page.ask("document.documentElement.scrollWidth") <= width
    page.resize(1000, 800)


def test_the_page_prints(page):
    """As PDF of several pages."""
    content = page.pdf()
    assert content.startswith(b"%PDF")
    assert len(content) > 50_000


def test_a_request_would_be_noticed(tmp_path):
    """The two tests above can fail: a picture from elsewhere is seen."""
    place = tmp_path / "other.html"
    place.write_text("<title>other</title><img src='http://127.0.0.1:9/x.png' alt='x'>")
    with browser() as tab:
        tab.open(place.as_uri())
        assert any("127.0.0.1:9" in address for address in tab.requests)
        assert tab.ask("document.images[0].naturalWidth") == 0


def test_the_policy_would_stop_a_request(tmp_path):
    """If a text did slip through, the page's own policy refuses it."""
    html = report.render(made()).replace("<main>", "<main><img src='http://127.0.0.1:9/x' alt=''>")
    place = tmp_path / "tampered.html"
    place.write_text(html, "utf-8")
    with browser() as tab:
        tab.open(place.as_uri())
        assert any("Content Security Policy" in line for line in tab.complaints)
