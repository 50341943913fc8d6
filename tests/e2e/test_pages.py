"""Baton's pages in a real browser: a file is dropped, a chain runs, its report is read."""

import json
import os
import re
import signal
import sqlite3
from contextlib import closing

import httpx
import pandas as pd
import pytest
from sklearn.datasets import load_wine

from tests.conftest import ROOT
from tests.e2e.conftest import wait_for
from tests.e2e.visiting import CHROMIUM, chromium, link_of, site_of, visiting

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not CHROMIUM, reason="wants a browser: Debian's package chromium"),
]

BRIEFLY = {"importance_rows": "50", "n_repeats": "1", "explain_rows": "20"}


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def visitor(browser, up):
    with visiting(browser, up) as found:
        yield found
        found.require_quiet()


@pytest.fixture(scope="module")
def pictures(request):
    """Where pictures for the documentation go; None unless they are asked for."""
    return ROOT / "docs/_static/screenshots" if request.config.getoption("screenshots") else None


@pytest.fixture(scope="module")
def learnt(browser, up, pictures):
    """A chain that a person has begun by dropping a file, seen to its end: what was seen."""
    with visiting(browser, up) as visitor:
        page, wine = visitor.page, load_wine(as_frame=True).frame
        found = {"passed": [], "pictures": pictures}
        visitor.drop("wine.csv", wine.to_csv(index=False))
        page.wait_for_url("**/table?**")
        page.get_by_label("Predict the column").select_option("target")
        found["answer"] = page.locator("#answer").inner_text()
        visitor.require_accessible()
        visitor.require_fitting()
        if pictures:
            visitor.picture(pictures, "pages-table", 900)
        page.get_by_text("All other parameters and options").click()
        for name, value in BRIEFLY.items():
            page.locator(f"#field-{name}").fill(value)
        visitor.require_accessible()
        page.get_by_role("button", name="Run").click()
        page.wait_for_url("**/chains/*")
        found["id"] = page.url.rpartition("/")[2]
        _watch(visitor, found)
        visitor.require_quiet()
    return found


def _watch(visitor, found):
    """See a chain to its end on its page, which is never loaded again."""
    page = visitor.page
    page.evaluate("document.body.dataset.mark = 'the same page'")
    status, state = page.get_by_role("status"), page.locator("h1 .state")
    has_looked = False

    def is_over():
        nonlocal has_looked
        said = status.inner_text()
        if said not in found["passed"]:
            found["passed"].append(said)
        if not has_looked and "train running" in said:
            has_looked = True
            visitor.require_accessible()
            if found["pictures"]:
                visitor.picture(found["pictures"], "pages-running", 700)
        return state.inner_text() in {"completed", "failed"}

    wait_for(is_over, 400)
    found["state"] = state.inner_text()
    found["mark"] = page.evaluate("document.body.dataset.mark")
    page.get_by_role("link", name="Report").wait_for()


def test_a_file_is_dropped_and_its_stages_light_up(learnt):
    """As events arrive, without loading the page again, and said to those who listen."""
    assert learnt["answer"] == "classification of 3 classes"
    assert (learnt["state"], learnt["mark"]) == ("completed", "the same page")
    passed = " ".join(learnt["passed"])
    for stage in ("generate", "train", "evaluate"):
        assert re.search(rf"{stage} (about to start|starting|running)", passed), passed
    assert learnt["passed"][-1] == "4 of 4 stages done."


def test_the_page_of_a_chain_says_what_was_learnt_and_leads_on(visitor, learnt):
    """Stages with cause, hop and time; score, model, report and tables."""
    page = visitor.go(f"/chains/{learnt['id']}")
    visitor.require_accessible()
    visitor.require_fitting()
    if learnt["pictures"]:
        visitor.picture(learnt["pictures"], "pages-chain", 1100)
    drawn = page.get_by_role("img").get_attribute("aria-label")
    assert drawn == "generate completed, train completed, evaluate completed, promote completed"
    train = page.get_by_role("row", name=re.compile("^train"))
    assert "baton.dataset.ready" in train.inner_text()
    assert len(re.findall(r"\d+\.\d", train.inner_text())) == 2, "hop and time"
    assert "held-out rows" in page.get_by_role("main").inner_text()
    assert page.locator("table tr.main").inner_text().startswith("accuracy")
    page.get_by_role("link", name="Show the log").click()
    assert "announced baton.model.trained" in page.locator(".log").inner_text()
    visitor.require_accessible()


def test_the_report_is_read_over_http(visitor, learnt):
    """The same page as its file, with its pictures, and nothing in it is refused."""
    page = visitor.go(f"/chains/{learnt['id']}")
    page.get_by_role("link", name="Report").click()
    page.wait_for_url("**/results/table/*/report*.html")
    assert "wine.csv" in page.get_by_role("heading", level=1).inner_text()
    sizes = page.evaluate("[...document.images].map(one => one.naturalWidth)")
    assert len(sizes) > 3
    assert min(sizes) > 500
    page.get_by_text("Columns, as they were read").first.wait_for()


def test_a_table_is_shown_and_taken_away(visitor, learnt, up, tmp_path):
    """Its page, and the same rows as Parquet and CSV."""
    page = visitor.go(f"/chains/{learnt['id']}")
    page.get_by_role("link", name="predictions").click()
    page.get_by_role("heading", name="First rows").wait_for()
    visitor.require_accessible()
    visitor.require_fitting()
    rows = {}
    for kind, read in (("Parquet", pd.read_parquet), ("CSV", pd.read_csv)):
        with page.expect_download() as download:
            page.get_by_role("link", name=kind).click()
        place = tmp_path / download.value.suggested_filename
        download.value.save_as(place)
        rows[kind] = read(place)
    assert len(rows["CSV"]) == len(rows["Parquet"]) == 45
    assert list(rows["CSV"]) == list(rows["Parquet"])


def test_the_list_has_the_latest_chains_with_their_scores(visitor, learnt):
    """What each is about, how it ended, and the model that came of it."""
    page = visitor.go("/chains")
    row = page.get_by_role("row").filter(has_text=learnt["id"])
    said = row.inner_text()
    assert all(
        one in said for one in ("target from wine.csv", "completed", "accuracy", "baton-table")
    )
    visitor.require_accessible()
    visitor.require_fitting()
    if learnt["pictures"]:
        visitor.picture(learnt["pictures"], "pages-chains", 500)
    row.get_by_role("link").click()
    page.wait_for_url(f"**/chains/{learnt['id']}")


def test_older_chains_are_on_further_pages(up, learnt):
    """The list goes on where it ended; what began later is not on it."""
    with httpx.Client(base_url=site_of(up), follow_redirects=True, trust_env=False) as client:
        client.get(link_of(up))
        row = client.get("/chains").text.partition(learnt["id"])[2]
        since = re.search(r'datetime="([^"]+)"', row)[1]
        assert learnt["id"] not in client.get("/chains", params={"before": since}).text
        earlier = client.get("/chains", params={"before": "2020-01-01T00:00:00+00:00"})
    assert "There are no older ones" in earlier.text


def test_prefect_and_mlflow_lead_to_the_pages(up, learnt):
    """By http, which their own pages follow; the chain's page leads to theirs."""
    wanted = {"artifacts": {"key": {"like_": f"%{learnt['id']}"}}}
    artifacts = "\n".join(str(one["data"]) for one in up.post("artifacts/filter", wanted))
    assert f"]({site_of(up)}/chains/{learnt['id']})" in artifacts
    report = re.search(rf"\(({re.escape(site_of(up))}/results/\S+\.html)\)", artifacts)[1]
    with closing(sqlite3.connect(up.path / "mlflow" / "mlflow.db")) as store:
        tags = store.execute("SELECT value FROM model_version_tags WHERE key = 'baton.page'")
        assert (f"{site_of(up)}/chains/{learnt['id']}",) in tags.fetchall()
    with httpx.Client(follow_redirects=True, trust_env=False) as client:
        client.get(link_of(up))
        assert client.get(report).text.startswith("<!DOCTYPE html>")
        page = client.get(f"{site_of(up)}/chains/{learnt['id']}").text
        to_prefect = re.search(r'id="run-train" href="([^"]+)"', page)[1]
        accepted = {"accept": "text/html"}
        assert client.get(to_prefect.replace("&amp;", "&"), headers=accepted).status_code == 200


@pytest.fixture(scope="module")
def rival(up, learnt):
    """A later chain on the same rows with another model: its id."""
    (place,) = up.path.glob("uploads/*/wine.csv")
    given = {"path": place, "target": "target", "model": "decision_tree", **BRIEFLY}
    values = [one for name, value in given.items() for one in ("-p", f"{name}={value}")]
    done = up.baton("run", "table", *values, "--json")
    assert done.code == 0, done.err
    return done.json["chain"]


def test_a_model_is_tried_and_answers_as_values_change(visitor, learnt):
    """The chain's page leads to it; the answer and what drove it follow, without loading anew."""
    page = visitor.go(f"/chains/{learnt['id']}")
    page.get_by_role("link", name="Try it").click()
    page.wait_for_url("**/versions/1/try")
    visitor.require_accessible()
    visitor.require_fitting()
    if learnt["pictures"]:
        visitor.picture(learnt["pictures"], "pages-try", 900)
    page.evaluate("document.body.dataset.mark = 'the same page'")
    form, drawn = page.locator("form.try"), page.locator("svg.pushes")
    before = drawn.get_attribute("aria-label")
    page.get_by_label("proline", exact=True).fill("1700")
    wait_for(lambda: form.get_attribute("data-answers") == "1", 60)
    assert drawn.get_attribute("aria-label") != before
    assert "= 1700" in drawn.text_content()
    page.get_by_label("proline", exact=True).fill("")
    wait_for(lambda: form.get_attribute("data-answers") == "2", 60)
    assert "missing" in drawn.text_content()
    assert form.get_attribute("aria-busy") is None
    assert page.evaluate("document.body.dataset.mark") == "the same page"


def test_a_model_is_tried_without_a_script(browser, up, learnt):
    """By its button."""
    with visiting(browser, up, java_script_enabled=False) as visitor:
        page = visitor.go("/models/baton-table-wine-target/try")
        page.get_by_label("proline", exact=True).fill("1700")
        page.get_by_role("button", name="Answer").click()
        page.get_by_text("= 1700").first.wait_for()


def test_chains_are_compared_from_their_list(visitor, learnt, rival):
    """Two are marked; what differs, and which is better, is what the command says."""
    page = visitor.go("/chains")
    for one in (learnt["id"], rival):
        page.get_by_role("row").filter(has_text=one).get_by_role("checkbox").check()
    visitor.require_accessible()
    page.get_by_role("button", name="Compare two").click()
    page.get_by_role("heading", name="Metrics on held-out rows").wait_for()
    said = page.get_by_role("main").inner_text()
    assert learnt["id"] in said and rival in said and "decision_tree" in said
    visitor.require_accessible()
    visitor.require_fitting()


def test_a_person_promotes_and_rolls_back(visitor, up, learnt, rival):
    """Asked first, with a reason; the command's history says who and why."""
    page = visitor.go("/models")
    visitor.require_accessible()
    visitor.require_fitting()
    page.get_by_role("link", name="wine-target", exact=True).click()
    page.get_by_role("heading", name="Decisions").wait_for()
    visitor.require_accessible()
    visitor.require_fitting()
    if learnt["pictures"]:
        visitor.picture(learnt["pictures"], "pages-model", 900)
    page.get_by_role("link", name="Promote version 2").click()
    visitor.require_accessible()
    page.get_by_label("reason").fill("agreed with the cellar")
    page.get_by_label("by").fill("Ann")
    page.get_by_role("button", name="Promote version 2").click()
    page.get_by_text("agreed with the cellar").wait_for()
    page.get_by_role("link", name="Roll back").click()
    page.get_by_label("reason").fill("it misses the sweet ones")
    page.get_by_role("button", name="Roll back").click()
    page.get_by_text("it misses the sweet ones").wait_for()
    known = up.baton("history", "wine-target", "--json").json
    assert known["champion"] == 1
    said = [(one["outcome"], one["reason"]) for one in known["decisions"][-2:]]
    assert said == [
        ("promoted", "agreed with the cellar"),
        ("rolled back", "it misses the sweet ones"),
    ]
    assert known["decisions"][-2]["by"] == "Ann"


def test_a_chain_that_waits_is_answered_on_its_page(visitor, up, learnt):
    """The chain and the model's page lead there; it ends as it was answered, and once."""
    (place,) = up.path.glob("uploads/*/wine.csv")
    given = {"path": place, "target": "target", "name": "asked-there", "model": "decision_tree"}
    given |= {"approve": "true", **BRIEFLY}
    values = [one for name, value in given.items() for one in ("-p", f"{name}={value}")]
    chain = up.baton("run", "table", *values, "--json").json["chain"]
    page = visitor.go("/models/baton-table-asked-there")
    page.get_by_role("link", name="Answer it").click()
    visitor.require_accessible()
    page.get_by_label("reason").fill("the old one is kept")
    page.get_by_role("button", name="Reject").click()
    page.wait_for_url(f"**/chains/{chain}")
    page.locator("h1 .state.is-completed").wait_for(timeout=120_000)
    page.get_by_text("the old one is kept").first.wait_for()  # its part comes after the heading's
    assert "not promoted" in page.get_by_role("main").inner_text()
    page.goto(f"{visitor.site}/chains/{chain}/approval")
    assert "does not wait for approval" in page.get_by_role("main").inner_text()


def test_what_came_of_what_is_drawn_and_told(visitor, up, learnt):
    """On the page with links, on the terminal as a tree, and as SVG in a file."""
    page = visitor.go(f"/chains/{learnt['id']}")
    page.get_by_role("link", name="What came of what").click()
    graph = page.locator("svg.graph")
    graph.wait_for()
    visitor.require_accessible()
    visitor.require_fitting()
    if learnt["pictures"]:
        visitor.picture(learnt["pictures"], "pages-lineage", 720)
    told = up.baton("graph", learnt["id"], "--json").json
    titles = {one["title"] for one in told["nodes"]}
    assert {"wine.csv", "raw", "features", "version 1", "predictions", "report"} <= titles
    assert graph.locator(".node").count() == len(told["nodes"])
    graph.locator("a", has_text="features").click()
    page.get_by_role("heading", name="First rows").wait_for()
    page.get_by_role("link", name="What it was made from").click()
    page.locator(".node.is-marked").wait_for()
    key = next(one["id"] for one in told["nodes"] if one["title"] == "features")
    place = up.path / "features.svg"
    tree = up.baton("graph", key.removeprefix("table:"), "--svg", place)
    assert "wine.csv" in tree.out and "<svg" in place.read_text()


FLAT = "x,y\n" + "".join(f"{n},same\n" for n in range(40))


def test_a_chain_that_fails_says_why_and_what_to_do(visitor):
    """In one line, with the form that it was begun by, filled as it was."""
    page = visitor.page
    visitor.drop("flat.csv", FLAT)
    page.wait_for_url("**/table?**")
    page.get_by_label("Predict the column").select_option("y")
    assert "one value only" in page.locator("#answer").inner_text()
    page.get_by_role("button", name="Run").click()
    page.wait_for_url("**/chains/*")
    page.locator("h1 .state.is-failed").wait_for()
    said = page.get_by_role("region", name="Why it failed").inner_text()
    assert "target 'y' has one value only" in said
    visitor.require_accessible()
    page.get_by_role("link", name="change what was asked for").click()
    page.wait_for_url("**/table?**")
    assert page.get_by_label("Predict the column").input_value() == "y"


def test_a_mistake_stands_at_its_field_and_nothing_typed_is_lost(visitor):
    """The first thing that is read out is what is wrong."""
    page = visitor.go("/problems/spheres")
    page.locator("#field-rows").fill("3")
    page.locator("#field-seed").fill("7")
    page.get_by_role("button", name="Run").click()
    alert = page.get_by_role("alert")
    assert "rows" in alert.inner_text()
    assert page.evaluate("document.activeElement.getAttribute('role')") == "alert"
    wrong = page.locator("#field-rows")
    assert (wrong.input_value(), wrong.get_attribute("aria-invalid")) == ("3", "true")
    assert page.locator("#field-seed").input_value() == "7"
    visitor.require_accessible()


@pytest.mark.parametrize("path", ["/", "/chains/0123456789ab", "/problems/iris", "/nothing"])
def test_pages_are_accessible_on_any_window(visitor, path, pictures):
    """In light and dark, also those that say that nothing is there."""
    visitor.go(path)
    visitor.require_accessible()
    visitor.require_fitting()
    if pictures and path == "/":
        visitor.picture(pictures, "pages-home", 760)


def test_all_of_it_is_done_by_the_keyboard(visitor, tmp_path):
    """To the content and the path by Tab, on by Enter; where one is can be seen."""
    load_wine(as_frame=True).frame.to_csv(tmp_path / "wine.csv", index=False)
    page = visitor.go("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    for _ in range(9):
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        if page.evaluate("document.activeElement.id") == "path":
            break
    page.keyboard.type(str(tmp_path / "wine.csv"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/table?**")
    assert "178 rows" in page.get_by_role("main").inner_text()


def test_a_file_of_three_gigabytes_is_refused_before_it_is_sent(visitor, up, tmp_path):
    """With what to do in place of it."""
    large = tmp_path / "large.csv"
    large.touch()
    os.truncate(large, 3 * 2**30)
    page = visitor.go("/")
    page.get_by_label("Drop a file here, or choose one").set_input_files(large)
    assert "the file has more than 2 GB" in page.get_by_role("alert").inner_text()
    assert page.url == f"{visitor.site}/"


def test_without_a_script_it_works_by_buttons_and_reload(browser, up, learnt, tmp_path):
    """A file is sent by its button, and a chain's page shows how far it is when it is loaded."""
    load_wine(as_frame=True).frame.to_csv(tmp_path / "plain.csv", index=False)
    with visiting(browser, up, java_script_enabled=False) as visitor:
        page = visitor.page
        page.get_by_label("Drop a file here, or choose one").set_input_files(tmp_path / "plain.csv")
        page.get_by_role("button", name="Look at it").first.click()
        page.wait_for_url("**/table?**")
        assert "178 rows" in page.get_by_role("main").inner_text()
        page = visitor.go(f"/chains/{learnt['id']}")
        assert page.locator("h1 .state").inner_text() == "completed"
        visitor.require_quiet()


def test_a_text_from_a_file_stays_text(visitor):
    """On each page that it comes to, of a name and of a cell."""
    evil = "<img src=http://127.0.0.1:9/x onerror=document.title='run'>"
    rows = "".join(f"{evil}{n % 3},{n}\n" for n in range(40))
    visitor.drop(f"{evil[:20]}.csv", f"{evil},number\n{rows}")
    page = visitor.page
    page.wait_for_url("**/table?**")
    assert page.title() != "run"
    assert evil in page.get_by_role("columnheader", name=evil).first.inner_text()


BROWSER = """#!/bin/sh
echo "$@" > {place}
"""


def test_baton_open_opens_the_page_and_logs_in(browser, up, learnt, tmp_path):
    """By a file for the user alone: what stands on a command's line, everybody can read."""
    command = tmp_path / "browser"
    command.write_text(BROWSER.format(place=tmp_path / "asked"))
    command.chmod(0o755)
    done = up.baton("open", learnt["id"][:6], BROWSER=f"{command} %s")
    assert done.code == 0, done.err
    asked = (tmp_path / "asked").read_text().strip()
    assert "token" not in asked
    place = up.path / "open.html"
    assert asked == place.as_uri()
    assert place.stat().st_mode & 0o077 == 0
    with visiting(browser, up, logs_in=False) as visitor:
        visitor.page.goto(asked)
        visitor.page.locator("h1 .state").wait_for()
        assert visitor.page.url == f"{visitor.site}/chains/{learnt['id']}"
    printed = up.baton("open", "--no-browser")
    assert printed.out.split() == ["Baton", link_of(up)]


@pytest.mark.parametrize("chain", ["xyz", "ffffffff"])
def test_baton_open_refuses_a_chain_that_there_is_not(up, chain):
    """In a line."""
    refused = up.baton("open", chain, "--no-browser")
    assert (refused.code, refused.out) == (2, "")
    assert chain in refused.err


def test_baton_open_says_what_to_start_where_nothing_stands(empty_home):
    """Nothing is made to see that."""
    refused = empty_home.baton("open")
    assert (refused.code, "start `baton up`" in refused.err) == (2, True)
    named = empty_home.baton("open", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert (named.code, "BATON_PAGES_URL is not set" in named.err) == (2, True)
    there = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "BATON_PAGES_URL": "http://127.0.0.1:9"}
    told = empty_home.baton("open", "--no-browser", BATON_PAGES_TOKEN="t", **there)
    assert re.fullmatch(r"Baton    http://127.0.0.1:9/\?token=[0-9a-f]{64}\n", told.out)


def test_pages_whose_process_dies_are_back_with_the_same_login(up):
    """And up.json says the same address."""
    with httpx.Client(base_url=site_of(up), follow_redirects=True, trust_env=False) as client:
        client.get(link_of(up))
        before = [pid for pid, said in up.commands().items() if "serving.pages" in said]
        assert len(before) == 1
        os.kill(before[0], signal.SIGKILL)

        def is_back():
            try:
                return client.get("/").status_code == 200
            except httpx.TransportError:
                return False

        wait_for(lambda: before[0] not in up.commands() and is_back(), 120)
    assert json.loads((up.path / "up.json").read_text())["pages"] == site_of(up)
