"""Mistakes of users in every form of Baton's pages: status 4xx, one clear line, nothing changed.

A form that is not here fails the test.
"""

import re
from html import unescape

import pytest

from baton.chain import decisions
from baton.settings import settings
from tasks.platform import tracking
from tasks.promotion import by_hand
from tests.integration.test_pages_of_models import client  # noqa: F401
from tests.registered import two_versions

FORMS = {
    "/uploads": [
        ("", {}, "the file did not come whole"),
        ("", {"path": "wine.csv"}, "the file did not come whole"),
    ],
    "/table": [
        ("", {}, "give a path or an address"),
        ("", {"path": "nowhere.csv", "target": "y"}, "no file nowhere.csv"),
        ("", {"path": "README.md", "target": "y"}, "README.md"),
        ("", {"path": "{table}", "target": "z"}, "target"),
        ("", {"path": "{table}"}, "target: It is needed."),
        ("", {"path": "{table}", "target": "y", "test_size": "all"}, "test size"),
        ("", {"path": "{table}", "target": "y", "rowz": "1"}, "no field 'rowz'"),
    ],
    "/problems/{name}": [
        ("/problems/sphere", {}, "unknown problem 'sphere'; did you mean 'spheres'"),
        ("/problems/spheres", {"rows": "many"}, "rows"),
        ("/problems/spheres", {"rowz": "1"}, "no field 'rowz'"),
        ("/problems/iris", {"quality": "superb"}, "quality"),
        ("/problems/iris", {"model": "oracle"}, "oracle"),
    ],
    "/models/{name}/promotion": [
        ("/models/{model}/promotion?version=2", {}, "reason: Say why, in a line."),
        ("/models/{model}/promotion?version=2", {"reason": "x", "by": "y" * 101}, "by: A name has"),
        ("/models/{model}/promotion?version=2", {"reason": "x", "bye": "y"}, "no field 'bye'"),
        ("/models/{model}/promotion?version=9", {"reason": "x"}, "There is no version 9"),
        ("/models/{model}/promotion?version=0", {"reason": "x"}, "There is no such page."),
        ("/models/{model}/promotion?version=two", {"reason": "x"}, "There is no such page."),
        ("/models/{model}/promotion", {"reason": "x"}, "There is no such page."),
        ("/models/{model}/promotion?version=1", {"reason": "x"}, "is the champion already"),
        ("/models/baton-nobody/promotion?version=1", {"reason": "x"}, "There is no model"),
    ],
    "/models/{name}/rollback": [
        ("/models/{model}/rollback", {}, "reason: Say why, in a line."),
        ("/models/{model}/rollback", {"reason": "x"}, "no previous champion"),
        ("/models/baton-nobody/rollback", {"reason": "x"}, "There is no model"),
    ],
    # What is answered to a chain that waits is in tests/e2e/test_operate.py.
    "/chains/{chain_id}/approval": [("/chains/xyz/approval", {}, "There is no such page.")],
    "/models/{name}/versions/{version}/try": [
        ("/models/{model}/versions/1/try", {"cell-a": "many"}, "'many' is no number"),
        ("/models/{model}/versions/9/try", {"cell-a": "1"}, "there is no version 9"),
        ("/models/{model}/versions/1/try?row=-1", {"cell-a": "1"}, "There is no such page."),
        ("/models/{model}/versions/one/try", {"cell-a": "1"}, "There is no such page."),
        ("/models/baton-nobody/versions/1/try", {"cell-a": "1"}, "baton-nobody"),
    ],
    "/models/{name}/versions/{version}/answer": [
        ("/models/{model}/versions/1/answer", {"cell-a": "many"}, "a: 'many' is no number"),
        ("/models/{model}/versions/9/answer", {"cell-a": "1"}, "there is no version 9"),
        ("/models/{model}/versions/0/answer", {}, "There is no such page."),
    ],
}
"""Addresses that forms are sent to, what is typed into them, and what the line says."""

TOO_LONG = b"a=" + b"b" * (1 << 20)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Name of a model with a champion and one more version."""
    found = two_versions(tmp_path_factory.mktemp("mistakes"))
    by_hand(found.model.name, 1, "Zoe", "it is the first")
    return found.model.name


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "wine.csv"
    path.write_text("a,y\n" + "".join(f"{n},{n % 2}\n" for n in range(60)))
    return str(path)


def lines_of(answer):
    """What is said to be wrong: above the form, at a field, or by a page that says nothing else."""
    parts = (
        r'<div class="fault"[^>]*>(.*?)</div>',
        r'<p class="error"[^>]*>(.*?)</p>',
        r'<p class="summary">(.*?)</p>',
    )
    for part in parts:
        if found := re.findall(part, answer.text, re.DOTALL):
            said = re.findall(r"<p>(.*?)</p>", found[0], re.DOTALL) or found
            plain = [" ".join(unescape(re.sub(r"<[^>]+>", "", one)).split()) for one in said]
            return [one for one in plain if one and not _is_again(one, plain)]
    return []


def _is_again(line, lines):
    """Whether a line stands at a field, and above with the field's name."""
    return any(other.endswith(f": {line}") for other in lines)


def state(name):
    """What could have changed."""
    kept = settings().home
    files = {path for one in ("results", "chains", "uploads") for path in (kept / one).rglob("*")}
    return tracking.aliases_of(name), decisions.read(settings(), name), files - {kept / "uploads"}


def test_every_form_has_a_mistake(client):  # noqa: F811
    """A new one is not finished before somebody has thought of what is sent to it in error."""
    paths = client.app.openapi()["paths"]
    assert set(FORMS) == {path for path, ways in paths.items() if "post" in ways}


CASES = [
    pytest.param(place or path, typed, said, id=f"{place or path} {typed}")
    for path, cases in FORMS.items()
    for place, typed, said in cases
]


@pytest.mark.parametrize(("place", "typed", "said"), CASES)
def test_a_mistake_is_one_line_and_changes_nothing(client, model, table, place, typed, said):  # noqa: F811
    """The line names what is wrong, in the pages' own frame, and no traceback."""
    before = state(model)
    given = {name: value.format(table=table) for name, value in typed.items()}
    answer = client.post(place.format(model=model), data=given)
    assert 400 <= answer.status_code < 500, answer.text
    assert "Traceback" not in answer.text
    lines = lines_of(answer)
    assert len(lines) == 1, lines
    assert said in lines[0]
    assert state(model) == before


@pytest.mark.parametrize("content", [TOO_LONG, b"\xff\xfe=\xff", b"&".join([b"a=b"] * 2000)])
@pytest.mark.parametrize("path", sorted(set(FORMS) - {"/uploads"}))
def test_what_is_no_form_is_one_line(client, model, path, content):  # noqa: F811
    """Too long, no text, or too many fields; the address is otherwise right."""
    before = state(model)
    place = path.format(name="iris" if "problems" in path else model, version=1, chain_id="0" * 12)
    place += "?version=2" if "promotion" in path else ""
    kind = {"content-type": "application/x-www-form-urlencoded"}
    answer = client.post(place, content=content, headers=kind)
    # Of a chain nothing can be said where no server stands.
    expected = {503} if "chain_id" in path else {413, 422}
    assert answer.status_code in expected, lines_of(answer)
    assert len(lines_of(answer)) == 1
    assert state(model) == before
