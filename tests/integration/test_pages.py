"""Baton's pages where no server stands: who is let in, what is sent, what is read, what is refused.

What they show of chains is in ``tests/e2e/test_pages.py``, in a browser.
"""

import re
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from baton.chain import manifest
from baton.lineage import with_lineage
from baton.settings import Settings, settings
from serving.guard import link
from serving.pages import results
from serving.pages.application import application, guarded
from serving.pages.desk import Desk
from tests.conftest import ROOT

SECRET = "baton:secret"
PORT = 8300
OWN = f"http://127.0.0.1:{PORT}"
KEY = "wine/0123456789abcdef"
WINE = pd.DataFrame({"alcohol": [11.5 + n % 9 for n in range(60)], "kind": ["a", "b"] * 30})


@pytest.fixture
def home(tmp_path):
    return Settings(home=tmp_path / "home", PREFECT_API_URL="", pages_bytes=200_000)


@pytest.fixture
def stranger(home, tmp_path):
    """A browser that nobody let in."""
    desk = Desk(home, manifest.read(ROOT / "prefect.yaml"), tmp_path)
    app = guarded(application(desk), SECRET, PORT)
    with TestClient(app, base_url=OWN, headers={"accept": "text/html"}) as client:
        yield client


@pytest.fixture
def client(stranger):
    """A browser that the link has logged in."""
    assert stranger.get(link("/", SECRET)).status_code == 200
    return stranger


def _said(answer):
    """Text of a page, without its tags."""
    main = answer.text.partition('<main id="main"')[2].partition("</main>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", main).split()).replace("&#39;", "'")


def _csv(frame=WINE):
    return frame.to_csv(index=False).encode()


def _sent(client, name, content):
    return client.post("/uploads", files={"file": (name, BytesIO(content))}, follow_redirects=False)


PATHS = (
    "/",
    "/chains",
    "/chains/0123456789ab",
    "/table",
    "/problems/iris",
    f"/results/{KEY}/x.html",
)


@pytest.mark.parametrize("path", PATHS)
def test_nobody_else_is_let_in(stranger, path):
    """No page without the cookie, to another name, or for a page of elsewhere."""
    assert stranger.get(path).status_code == 401
    assert "baton open" in stranger.get(path).text
    stranger.get(link("/", SECRET))
    assert stranger.get(path, headers={"host": f"evil.example:{PORT}"}).status_code == 403
    assert stranger.get(path, headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_a_file_is_kept_where_every_machine_reads_it(client, home, tmp_path, monkeypatch):
    """Where machines share results, the chain is told of the shelf and not of this disk."""
    monkeypatch.setenv("BATON_HOME", str(home.home))
    monkeypatch.setenv("BATON_RESULTS", str(tmp_path / "shared"))
    settings.cache_clear()
    answer = _sent(client, "wine #3?.csv", _csv())
    (path,) = parse_qs(urlsplit(answer.headers["location"]).query)["path"]
    assert Path(path).is_relative_to(tmp_path / "shared" / "uploads")
    assert Path(path).read_bytes() == _csv()
    assert "alcohol" in _said(client.get(answer.headers["location"]))
    monkeypatch.undo()
    settings.cache_clear()


@pytest.mark.parametrize("path", ["/uploads", "/table", "/problems/iris"])
def test_a_page_elsewhere_begins_nothing(client, home, path):
    """Nor does it leave a file, though the browser has the cookie."""
    for origin in ("https://evil.example", "null", "http://127.0.0.1:4200"):
        files = {"file": ("wine.csv", BytesIO(_csv()))}
        assert client.post(path, files=files, headers={"origin": origin}).status_code == 403
    assert not (home.home / "uploads").exists()


def test_whoever_probes_is_told_no_more_than_that_it_is_there(stranger):
    """Without a login."""
    assert stranger.get("/health").json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/", "/nothing", "/static/pages.css", "/problems/iris"])
def test_every_answer_says_that_nothing_from_elsewhere_belongs_to_it(client, path):
    """And that it is kept by nobody, but for files of style and script."""
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    kept = "immutable" if path.startswith("/static") else "no-store"
    assert kept in headers["cache-control"]


def test_a_file_is_kept_by_its_content_and_looked_at(client, home):
    """The same file once; what is made of its columns is shown, and a target proposed."""
    first, again = (_sent(client, "my wine.csv", _csv()) for _ in range(2))
    assert first.status_code == again.status_code == 303
    assert first.headers["location"] == again.headers["location"]
    kept = [path for path in (home.home / "uploads").rglob("*") if path.is_file()]
    assert [path.name for path in kept] == ["my wine.csv"]
    assert kept[0].read_bytes() == _csv()
    assert kept[0].stat().st_mode & 0o077 == 0
    page = client.get(first.headers["location"])
    assert page.status_code == 200
    assert "60 rows, 2 columns" in _said(page)
    assert '<option value="kind" selected data-answer="classification of 2 classes">' in page.text


@pytest.mark.parametrize(
    ("name", "kept"),
    [("../../../etc/passwd", "passwd"), ("..\\..\\wine.csv", "wine.csv"), (".hidden", "hidden")],
)
def test_a_file_is_kept_where_it_belongs_whatever_it_is_called(client, home, name, kept):
    """Its name leads nowhere."""
    _sent(client, name, _csv())
    found = [path for path in home.home.rglob("*") if path.is_file()]
    assert [path.name for path in found] == [kept]
    assert found[0].parent.parent == home.home / "uploads"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.csv", b"", "empty.csv is empty"),
        ("blank.csv", b"\n\n", "blank.csv is empty"),
        ("head.csv", b"a,b\n", "has a header and no rows"),
        ("picture.csv", b"\x89PNG\r\n\x1a\n\0\0", "picture.csv"),
        ("ragged.csv", b"a,b\n1,2\n1,2,3\n", "line 3 has 3 fields"),
        ("none.parquet", None, "none.parquet"),
        ("locked.zip", b"PK\x03\x04nothing", "locked.zip"),
    ],
)
def test_a_file_that_is_no_table_is_refused_at_its_field(client, name, content, said):
    """In a line that names it as the person knows it, and not by its place in the home."""
    if content is None:
        sink = BytesIO()
        pq.write_table(pa.table({}), sink)
        content = sink.getvalue()
    answer = _sent(client, name, content)
    if answer.status_code == 303:
        answer = client.get(answer.headers["location"])
    assert answer.status_code == 422
    error = re.search(r'<p class="error" id="file-error"[^>]*>([^<]+)</p>', answer.text)[1]
    assert said in error
    assert "/uploads/" not in error


def test_no_file_at_all_is_said(client, home):
    """Nor a form that is none."""
    assert "choose a file first" in _said(client.post("/uploads", files={"other": ("", b"")}))
    broken = client.post(
        "/uploads",
        content=b"--x\r\nnothing",
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    assert (broken.status_code, "send it again" in _said(broken)) == (422, True)
    assert client.post("/uploads", content=b"a=b").status_code == 422
    assert not list((home.home / "uploads").iterdir())


def test_a_file_that_is_too_large_is_refused_before_it_is_read(client, home):
    """By what the request says of its length; by what comes, where it says nothing."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    kind = {"content-type": "multipart/form-data; boundary=x"}
    read = []

    def body(most):
        yield head
        for n in range(most):
            read.append(n)
            yield b"a" * 65536

    said = kind | {"content-length": str(3 * 2**30)}
    answer = client.post("/uploads", content=body(1), headers=said)
    assert answer.status_code == 413
    assert "the file has more than 0.000186 GB" in _said(answer)
    assert client.post("/uploads", content=body(20), headers=kind).status_code == 413
    assert not list((home.home / "uploads").iterdir()), "nothing of it stays"


def test_a_path_is_meant_from_where_baton_stands(client, tmp_path):
    """A folder and a pattern of files, too."""
    (tmp_path / "parts").mkdir()
    for name in ("a", "b"):
        (tmp_path / "parts" / f"{name}.csv").write_bytes(_csv())
    assert "60 rows" in _said(client.get("/table", params={"path": "parts/a.csv"}))
    for path in ("parts", "parts/*.csv"):
        assert "2 files: 120 rows" in _said(client.get("/table", params={"path": path}))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "give a path or an address"),
        ("nowhere.csv", "check the path"),
        ("ftp://host/x.csv", "files, http addresses and buckets"),
        ("-", "the standard input"),
        (".", "is a directory without files"),
        ("\0", "no file has such a name"),
    ],
)
def test_a_path_without_a_table_is_refused_at_its_field(client, path, said):
    """What was typed is kept."""
    answer = client.get("/table", params={"path": path})
    assert answer.status_code == 422
    assert said in re.search(r'id="path-error"[^>]*>([^<]+)</p>', answer.text)[1]


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"target": "quality"}, "target", "quality"),
        ({"target": ""}, "target", "It is needed."),
        ({"target": "kind", "test_size": "2"}, "test_size", "less than 1"),
        ({"target": "kind", "drop": "nothing"}, "drop", "nothing"),
        ({"target": "kind", "time": "kind"}, "time", "is the target"),
        ({"target": "kind", "n_trials": "x"}, "n_trials", "valid integer"),
        ({"target": "kind", "quality": "superb"}, "quality", "fast"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_what_was_typed_is_kept(
    client, tmp_path, typed, field, said
):
    """One line, status 422, and the table is still there."""
    (tmp_path / "wine.csv").write_bytes(_csv())
    answer = client.post("/table", data={"path": "wine.csv", "seed": "7"} | typed)
    assert answer.status_code == 422
    error = re.search(rf'<p class="error" id="field-{field}-error">([^<]+)</p>', answer.text)
    assert error, _said(answer)
    assert said in error[1]
    assert 'name="seed" value="7"' in answer.text
    assert "60 rows" in _said(answer)


def test_what_no_field_alone_is_wrong_with_stands_above(client, tmp_path):
    """Such as two options that do not go together, or a field that there is not."""
    (tmp_path / "wine.csv").write_bytes(_csv())
    typed = {"path": "wine.csv", "target": "kind"}
    for more, said in (({"minutes": "5"}, "minutes is for"), ({"x": "1"}, "no field 'x'")):
        answer = client.post("/table", data=typed | more)
        assert answer.status_code == 422
        assert said in _said(answer)


def test_a_problem_is_asked_for_by_its_own_form(client):
    """Its parameters, each at its field; one that nobody knows is no page."""
    page = client.get("/problems/spheres", params={"rows": "300"})
    assert 'name="rows" value="300"' in page.text
    answer = client.post("/problems/spheres", data={"rows": "3", "dims": "7"})
    assert answer.status_code == 422
    assert all(f'id="field-{name}-error"' in answer.text for name in ("rows", "dims"))
    assert 'name="rows" value="3"' in answer.text
    unknown = client.get("/problems/sphere")
    assert (unknown.status_code, "did you mean" in _said(unknown)) == (404, True)


def test_where_no_server_stands_it_is_said_with_what_to_do(client):
    """What was typed is not lost."""
    for path in ("/chains", "/chains/0123456789ab"):
        page = client.get(path)
        assert page.status_code == 503
        assert "baton up" in _said(page)
    answer = client.post("/problems/iris", data={"seed": "7"})
    assert answer.status_code == 503
    assert "nothing has begun" in _said(answer)
    assert 'name="seed" value="7"' in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/chains/xyz",
        "/chains/0123456789ab/nothing",
        "/static/nothing.js",
        "/chains?before=then",
    ],
)
def test_what_is_not_there_is_said_in_the_same_frame(client, path):
    """Also for an address that nobody could have been given."""
    page = client.get(path)
    assert page.status_code == 404
    assert '<nav aria-label="Pages">' in page.text
    assert client.post("/chains").status_code == 405


@pytest.fixture
def made(home):
    """A page and two tables as a chain leaves them."""
    folder = home.results / KEY
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("<!DOCTYPE html><title>report</title><script>1</script>")
    table = pa.table(
        {
            "name": pa.array(["<b>Ä</b>", None]).dictionary_encode(),
            "value": [1.5, None],
            "many": [[1, 2], None],
        }
    )
    lineage = {"chain": "0123456789ab", "parameters": {"seed": 7}}
    pq.write_table(with_lineage(table, lineage), folder / "raw.parquet")
    (folder / "broken.parquet").write_bytes(b"PAR1 no more")
    return folder


def test_a_page_of_the_results_can_do_nothing_but_show_itself(client, made):
    """Whatever stands in it."""
    answer = client.get(f"/results/{KEY}/report.html")
    assert (answer.status_code, answer.content) == (200, (made / "report.html").read_bytes())
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"] == results.POLICY
    assert "script-src" not in results.POLICY
    assert "sandbox" in results.POLICY


def test_a_table_is_shown_with_where_it_is_from(client, made):
    """First rows, schema and lineage; text from a file is text."""
    page = client.get(f"/tables/{KEY}/raw")
    assert page.status_code == 200
    assert "2 rows, 3 columns" in _said(page)
    assert "&lt;b&gt;Ä&lt;/b&gt;" in page.text
    assert '<a href="/chains/0123456789ab">' in page.text
    assert "double" in _said(page)


def test_a_table_is_downloaded_as_it_is_or_as_csv(client, made):
    """Lists, which CSV does not know, as Python writes them."""
    whole = client.get(f"/results/{KEY}/raw.parquet")
    assert whole.content == (made / "raw.parquet").read_bytes()
    assert 'filename="raw.parquet"' in whole.headers["content-disposition"]
    plain = client.get(f"/results/{KEY}/raw.csv")
    assert 'filename="raw.csv"' in plain.headers["content-disposition"]
    read = pa_csv.read_csv(BytesIO(plain.content))
    assert read.column_names == ["name", "value", "many"]
    assert read["many"].to_pylist() == ["[1, 2]", ""]


def test_a_table_that_cannot_be_read_is_said(client, made):
    """In a line, and not as a defect."""
    page = client.get(f"/tables/{KEY}/broken")
    assert page.status_code == 422
    assert "broken.parquet cannot be read" in _said(page)
    assert client.get(f"/results/{KEY}/broken.csv").status_code == 422


@pytest.mark.parametrize(
    "path",
    [
        f"/results/{KEY}/nothing.html",
        f"/results/{KEY}/raw.parquet.json",
        f"/results/{KEY}/..%2F..%2F..%2Fauth",
        f"/results/wine/..%2f..%2f/{KEY}.html",
        "/results/..%2f/0123456789abcdef/auth.html",
        "/results/.new/0123456789abcdef/x.html",
        f"/results/{KEY}/%00.html",
        f"/results/{KEY}/link.html",
        f"/results/{KEY}/link.parquet",
        f"/tables/{KEY}/link",
        f"/tables/{KEY}/..%2fraw",
        "/tables/linked/0123456789abcdef/raw",
    ],
)
def test_nothing_but_results_is_read(client, home, made, tmp_path, path):
    """No way leads out of the folder, neither by dots nor by a link in it."""
    (home.home / "auth").write_text("secret")
    outside = tmp_path / "outside.html"
    outside.write_text("secret")
    for name in ("link.html", "link.parquet"):
        (made / name).symlink_to(outside)
    (home.results / "linked").symlink_to(tmp_path)
    answer = client.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text
