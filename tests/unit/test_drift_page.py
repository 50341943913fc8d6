"""The page of a drift."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from baton.monitoring.drift import Watch, compare, with_classifier
from baton.monitoring.profile import Counts, profile_of
from baton.showing.drifted import drift_page
from baton.showing.plots.drift import before_and_now
from tests.unit.test_report import EVIL, Page


def rows(seed, shift=0.0, n_rows=300, names=("x", "y", EVIL)):
    random = np.random.default_rng(seed)
    table = {name: random.normal(size=n_rows) for name in names}
    table["month"] = random.integers(1, 13, n_rows)
    return pd.DataFrame(table).assign(**{names[0]: table[names[0]] + shift})


def drift(now, before=None):
    counts = Counts(profile_of(rows(0) if before is None else before))
    counts.add(now)
    return compare(counts, Watch())


@pytest.fixture(scope="module")
def found():
    """One that has everything: drift, a lost and a new column, the classifier."""
    now = rows(1, 2.0).drop(columns="y").assign(**{f"new {EVIL}": 1})
    return with_classifier(drift(now), rows(0), now, 0)


@pytest.fixture(scope="module")
def html(found):
    return drift_page(found, title=EVIL, facts={EVIL: EVIL}, decision=EVIL)


def test_the_page_is_whole_and_needs_nothing(html):
    """Every tag is closed, nothing is fetched, no script is in it."""
    page = Page(html)
    assert not {"script", "iframe", "form"} & set(page.tags)
    assert all(one["src"].startswith("data:") for one in page.of("img"))
    assert all(one.get("alt") for one in page.of("img"))
    assert not re.findall(r"(?:src|href)=[\"']?http", html)


def test_names_from_outside_are_text(html):
    """In the title, the facts, the decision, columns, changes and what a picture says."""
    assert "<script>" not in html
    assert Page(html).text.count("<script>") >= 6


def test_the_first_screen_has_the_reason(html, found):
    """Before any table: the verdict, the reason in a sentence, what was decided."""
    text = Page(html).text
    reason = f"{found.reason[0].upper()}{found.reason[1:]}."
    assert text.index("Drift") < text.index(reason) < text.index("What was decided")
    assert text.index("What was decided") < text.index("Columns, the most drifted first")
    assert "'y' is missing" in text


def test_each_column_has_its_line(html):
    """Those that say the date stand apart, and the classifier's picture has a scale."""
    text = Page(html).text
    assert text.index("Columns that only say the date") < text.index("month")
    assert "drifted" in text
    assert "ROC AUC of 1.00" in text or re.search(r"ROC AUC of 0\.\d\d", text)
    assert len(Page(html).of("img")) == 2


def test_a_page_without_drift_or_verdict_says_so():
    """No alarm, too few rows, no rows, no column that is judged."""
    quiet = Page(drift_page(drift(rows(1)), title="t", facts={})).text
    assert "No drift" in quiet
    assert "The columns that moved most" in quiet
    assert "All columns together" not in quiet
    for few in (rows(1, n_rows=3), rows(1).iloc[:0]):
        assert "No verdict" in Page(drift_page(drift(few), title="t", facts={})).text
    dates = rows(0)[["month"]]
    assert Page(drift_page(drift(dates, dates), title="t", facts={})).text


def test_of_many_columns_the_first_are_drawn_and_open():
    """Twelve are drawn, thirty have an open line, all have one."""
    names = tuple(f"c{n}" for n in range(40))
    before, now = rows(0, names=names), rows(1, names=names) + 2
    html = drift_page(drift(now, before), title="t", facts={})
    assert "<summary>10 more</summary>" in html
    assert all(f">{name}</th>" in html for name in names)
    assert "28 further columns are in the table alone" in html


def test_many_levels_and_long_names_are_drawn():
    """Of fifty levels those that moved most; dollars and underscores are no markup."""
    random = np.random.default_rng(0)
    levels = [f"_level ${n}$ of a very long name" for n in range(50)]
    before, now = (
        pd.DataFrame({"_a$b$" * 9: random.choice(levels[:last], 2_000)}) for last in (50, 25)
    )
    picture = before_and_now(drift(now, before).columns)
    (labels,) = [
        [label.get_text() for label in ax.get_xticklabels()] for ax in picture.figure.axes[:1]
    ]
    assert len(labels) == 20
    assert labels[-1].endswith("more bins)")
    assert picture._repr_png_().startswith(b"\x89PNG")
