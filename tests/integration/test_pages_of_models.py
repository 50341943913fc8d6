"""The pages of models, asked as a browser asks: what they show, what they do, what they refuse."""

import os
import re
from html import unescape

import pandas as pd
import pytest
from starlette.testclient import TestClient

from baton.chain import decisions, manifest
from baton.errors import InputError
from baton.settings import settings
from serving.pages.application import application
from serving.pages.clerk import Clerk, ClerkError
from serving.pages.desk import Desk
from tasks.platform import tracking
from tasks.promotion import by_hand
from tests.conftest import ROOT
from tests.registered import two_versions

OTHER = {"cell-a": "0.5", "cell-b": "", "cell-kind": "~", "other-kind": "new"}


@pytest.fixture(scope="module")
def wine(tmp_path_factory):
    """A model of which the first version is the champion; a person said so."""
    found = two_versions(tmp_path_factory.mktemp("wine"))
    by_hand(found.model.name, 1, "Zoe", "it is the first")
    return found


@pytest.fixture(scope="module")
def client():
    """A browser on the pages of this home; no Prefect server stands in it."""
    desk = Desk(settings(), manifest.read(ROOT / "prefect.yaml"), ROOT)
    with TestClient(application(desk), follow_redirects=False) as found:
        yield found
    desk.clerk.end()


def text(answer):
    """What a page says, in one line."""
    main = answer.text[answer.text.index("<main") :] if "<main" in answer.text else answer.text
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())


def test_a_model_has_its_champions_decisions_and_versions(wine, client):
    """The list leads to it; what the page says of decisions is what the log has."""
    name = wine.model.name
    listed = client.get("/models")
    assert f'href="/models/{name}"' in listed.text
    assert "rmse" in text(listed)
    page = client.get(f"/models/{name}")
    said = text(page)
    for one in decisions.read(settings(), name):
        assert one.reason in said
    assert "version 1 champion" in said.lower() or "1 champion" in said
    assert f'href="/chains/{wine.chain}"' in page.text
    assert f'href="/models/{name}/promotion?version=2"' in page.text
    assert f'href="/models/{name}/promotion?version=1"' not in page.text
    assert client.get("/models/baton-nobody").status_code == 404
    assert client.get("/models/Other").status_code == 404


def test_a_persons_word_moves_the_champion_and_is_written_down(wine, client):
    """Asked first, done by POST alone; without a reason, or in vain, it is refused in a line."""
    name = wine.model.name
    place = f"/models/{name}/promotion?version=2"
    asked = client.get(place)
    assert "Promote version 2" in text(asked) and tracking.aliases_of(name)["champion"] == 1
    silent = client.post(place, data={"by": "Ann", "reason": " "})
    assert silent.status_code == 422 and "Say why, in a line." in text(silent)
    assert tracking.aliases_of(name)["champion"] == 1

    done = client.post(place, data={"by": "Ann", "reason": "agreed with\nthe clinic"})
    assert (done.status_code, done.headers["location"]) == (303, f"/models/{name}")
    last = decisions.read(settings(), name)[-1]
    assert (last.champion, last.previous, last.by) == (2, 1, "Ann")
    assert last.reason == "agreed with the clinic"
    again = client.post(place, data={"by": "Ann", "reason": "once more"})
    assert again.status_code == 422 and "is the champion already" in text(again)

    back = client.post(f"/models/{name}/rollback", data={"by": "Bob", "reason": "it was worse"})
    assert back.status_code == 303
    assert tracking.aliases_of(name) == {"champion": 1}
    twice = client.post(f"/models/{name}/rollback", data={"by": "Bob", "reason": "again"})
    assert twice.status_code == 422 and "no previous champion to go back to" in text(twice)
    assert client.post(f"/models/{name}/promotion?version=9", data={}).status_code == 404


def test_a_version_is_tried(wine, client):
    """The form begins with a row held out and its answer; another row has another one."""
    place = f"/models/{wine.model.name}/versions/1/try"
    page = client.get(place)
    said = text(page)
    assert page.status_code == 200 and "What would y be?" in said
    assert "Filled with row" in said and "What drove it" in said and "<svg" in page.text
    assert re.search(r'type="number" step="0.0\d*1" [^>]*name="cell-a"', page.text)
    assert '<option value="red"' in page.text
    second = client.get(f"{place}?row=1")
    assert predicted(second) != predicted(page)
    champion = client.get(f"/models/{wine.model.name}/try")
    assert champion.headers["location"] == place


def predicted(answer):
    """The number that a page says."""
    found = re.search(r"data-predicted>([^<]*)<", answer.text)[1]
    return float(found.replace(",", ""))


def test_the_answer_is_the_models_and_its_parts_add_up_to_it(wine, client):
    """With a missing value, and a category that the model does not know, which is said."""
    place = f"/models/{wine.model.name}/versions/1"
    part = client.post(f"{place}/answer", data=OTHER)
    row = pd.DataFrame({"a": [0.5], "b": [None], "kind": [None]}).astype({"b": float})
    expected = tracking.load_model.fn(wine.model).predict(row)[0]
    assert predicted(part) == pytest.approx(expected, rel=1e-3)
    assert "kind: new is a category that the model does not know; it counts as missing" in text(
        part
    )
    assert "<html" not in part.text
    total = re.search(r"this row ([-\d.]+)", text(part))[1]
    assert float(total) == pytest.approx(expected, rel=1e-2)
    whole = client.post(f"{place}/try", data=OTHER)
    assert predicted(whole) == predicted(part) and 'value="new"' in whole.text


def test_a_cell_that_cannot_be_read_is_said_at_its_field(wine, client):
    """The others stay as they were typed; a version that is not there is said so."""
    place = f"/models/{wine.model.name}/versions"
    wrong = client.post(f"{place}/1/try", data={"cell-a": "many", "cell-b": "0.25"})
    assert wrong.status_code == 422 and "'many' is no number" in text(wrong)
    assert 'value="0.25"' in wrong.text and 'aria-invalid="true"' in wrong.text
    none = client.get(f"{place}/99/try")
    assert none.status_code == 422 and "there is no version 99" in text(none)


def test_a_clerk_that_is_killed_is_another_one_next_time(wine):
    """Whoever waited is told, in a line; what cannot be done is refused and breaks nothing."""
    clerk = Clerk(settings())
    assert [one["name"] for one in clerk.ask("models")].count(wine.model.name) == 1
    with pytest.raises(InputError, match="there is no version 7"):
        clerk.ask("form", name=wine.model.name, version=7, place=0)
    with pytest.raises(ClerkError, match="KeyError: 'nothing'"):
        clerk.ask("nothing")
    first = clerk._line.child.process
    os.kill(first.pid, 9)
    first.wait()
    assert clerk.ask("versions", name=wine.model.name)["aliases"]
    assert clerk._line.child.process.pid != first.pid
    clerk.end()
