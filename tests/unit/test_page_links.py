"""Where Baton's own pages are, for whoever writes a link to one, and where they lead themselves."""

import json

import pytest

from baton.chain import manifest
from baton.chain.events import ModelRef
from baton.settings import Settings, settings
from serving import embedded
from serving.pages.desk import AwayError, Desk
from tasks.platform import pages
from tests.conftest import ROOT

PAGES, API = "http://127.0.0.1:8300", "http://127.0.0.1:4200/api"
MODEL = ModelRef(name="baton-iris", version=3, run_id="0" * 32, digest="0" * 64)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of this process, in which nothing stands."""
    monkeypatch.setenv("BATON_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    settings.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    settings.cache_clear()


def _up(home, **more):
    told = {"pid": 1, "prefect": API, "pages": PAGES} | more
    (home / "up.json").write_text(json.dumps(told))


def test_a_link_leads_to_the_pages_of_the_baton_up_of_the_home(home):
    """A chain's, and a page of its results as it lies there."""
    _up(home)
    report = home / "results/iris/0123456789abcdef/report.html"
    assert pages.of_chain("0123456789ab") == f"{PAGES}/chains/0123456789ab"
    assert pages.of_result(report) == f"{PAGES}/results/iris/0123456789abcdef/report.html"
    assert pages.of_result(home / "auth") == (home / "auth").as_uri()


def test_a_link_leads_where_the_setting_says(home, monkeypatch):
    """For workers of a team."""
    _up(home)
    monkeypatch.setenv("BATON_PAGES_URL", "https://baton.example/")
    settings.cache_clear()
    assert pages.of_chain("0123456789ab") == "https://baton.example/chains/0123456789ab"


@pytest.mark.parametrize("said", [None, "", "[]", "{", '{"pages": null}', '{"prefect": "x"}'])
def test_without_pages_a_link_is_of_the_file(home, said):
    """As it was before there were any; a damaged file says nothing."""
    if said is not None:
        (home / "up.json").write_text(said)
    report = home / "results/iris/0123456789abcdef/report.html"
    assert pages.of_chain("0123456789ab") == ""
    assert pages.of_result(report) == report.as_uri()


def test_the_server_that_is_named_may_be_that_of_the_home(tmp_path):
    """Then the pages know its MLflow, too; of another server only what settings say."""
    own = Settings(home=tmp_path, PREFECT_API_URL=API, PREFECT_API_AUTH_STRING="baton:x")
    _up(tmp_path, mlflow="http://127.0.0.1:5000", has_own_mlflow=True)
    there = embedded.named(own)
    assert (there.mlflow, there.secret) == ("http://127.0.0.1:5000", "baton:x")
    other = own.model_copy(update={"prefect_api_url": "http://prefect:4200/api"})
    assert embedded.named(other) == embedded.Addresses(0, "http://prefect:4200/api")
    assert embedded.named(Settings(home=tmp_path, PREFECT_API_URL="")) is None


def test_a_page_leads_to_prefect_and_mlflow_where_a_browser_reaches_them(tmp_path):
    """Which is not always where the pages' own process does."""
    found = manifest.read(ROOT / "prefect.yaml")
    named = {"home": tmp_path, "PREFECT_API_URL": "http://prefect:4200/api"}
    desk = Desk(Settings(**named), found, tmp_path)
    assert desk.run_page("1") == "http://prefect:4200/runs/flow-run/1"
    assert desk.model_page(MODEL) == ""
    told = {"PREFECT_UI_URL": "http://localhost:4200/", "mlflow_url": "http://localhost:5000/"}
    desk = Desk(Settings(**named, **told), found, tmp_path)
    assert desk.run_page("1") == "http://localhost:4200/runs/flow-run/1"
    assert desk.model_page(MODEL) == "http://localhost:5000/#/models/baton-iris/versions/3"


def test_where_nothing_stands_there_is_nobody_to_ask(tmp_path):
    """Said with what to do."""
    desk = Desk(Settings(home=tmp_path, PREFECT_API_URL=""), None, tmp_path)
    with pytest.raises(AwayError, match="start `baton up`"):
        _ = desk.server
