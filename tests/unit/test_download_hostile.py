"""Downloads from servers that are hostile, broken or slow: nothing is written elsewhere."""

import gzip
import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from baton.errors import InputError
from baton.sources import download

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def server():
    """A server that answers each request by the function ``answer`` of the test."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.server.asked.append((self.command, self.path, self.headers))
            self.server.answer(self)

        def do_HEAD(self):
            self.do_GET()

        def say(self, code, content=b"", **headers):
            self.send_response(code)
            headers = {"Content_Length": len(content)} | headers
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), str(value))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *_):
            """Say nothing."""

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.daemon_threads = True
    found.asked = []
    threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True).start()
    found.site = f"http://127.0.0.1:{found.server_port}"
    found.url = f"{found.site}/data/trips.bin"
    yield found
    found.shutdown()
    found.server_close()


def _any(path):
    """What is sent is believed."""


def _whole(path):
    if path.read_bytes() != CONTENT:
        raise ValueError("not the file")


OUTSIDE = [
    "http://host/../../x",
    "http://host/a/../../../x",
    "http://host/..",
    "http://../x",
    "http://host//etc/x",
    "http://host//../x",
    "http://host/a\\..\\..\\x",
    "http://host/C:\\x",
    "http://host/C:/x",
    "http://host/nul",
    "http://host/a/COM1.parquet",
    "http://host/x.",
    "http://host/x ",
    "http://host/a:stream",
    "http://host/x\x00.parquet",
    "http://host/" + "x" * 300,
    "http://host",
    "http://host/",
    "http://host/x.json",
    "http://host/x.parquet.lock",
    "http://host/x.PARTIAL",
    "http://me:hush@host/x",
    "http://host/x?token=hush",
    "http://host/x#y",
    "http://host:port/x",
    "http://[bad/x",
    "file:///etc/passwd",
    "/etc/passwd",
    "",
]


@pytest.mark.parametrize("url", OUTSIDE)
def test_an_address_names_no_file_outside_the_downloads(url, tmp_path):
    """Neither by .., nor by names that are special on some system, nor what stands beside one."""
    folder = tmp_path / "home" / "downloads"
    folder.mkdir(parents=True)
    for ask in (download.describe, lambda *given: download.download(*given, _any)):
        with pytest.raises(InputError) as refused:
            ask(url, folder)
        assert "hush" not in str(refused.value)
    assert [path.name for path in tmp_path.rglob("*")] == ["home", "downloads"]


@pytest.mark.parametrize("name", ["trips.parquet", "a/b/c~1_2+3.bin", "%2e%2e/x", "données/x", "…"])
def test_ordinary_names_are_kept_as_they_are(name, tmp_path):
    """A person finds the file by its address."""
    assert download.place_of(f"https://host:8080/{name}", tmp_path) == tmp_path / "host_8080" / name


def test_links_in_the_downloads_are_not_written_through(server, tmp_path):
    """Neither one in place of a folder, nor one in place of what is received."""
    server.answer = lambda request: request.say(200, CONTENT)
    folder, outside = tmp_path / "downloads", tmp_path / "outside"
    place = download.place_of(server.url, folder)
    place.parent.mkdir(parents=True)
    outside.mkdir()
    (outside / "precious").write_text("precious")
    place.with_name("trips.bin.partial").symlink_to(outside / "precious")
    place.with_name("trips.bin.partial.json").symlink_to(outside / "precious")
    place.symlink_to(outside / "gone")
    assert download.download(server.url, folder, _whole).read_bytes() == CONTENT
    place.parent.rename(outside / "data")
    place.parent.symlink_to(outside / "data")
    with pytest.raises(InputError, match="leads out of"):
        download.download(f"{server.url}2", folder, _whole)
    assert (outside / "precious").read_text() == "precious"
    assert not (outside / "gone").exists()


def test_a_name_that_the_server_gives_is_not_used(server, tmp_path):
    """Neither that of Content-Disposition, nor that of a redirect, decides where a file is."""

    def answer(request):
        if request.path == "/data/trips.bin":
            return request.say(302, Location="/x/..%2f..%2fy/../../../z.py")
        return request.say(200, CONTENT, Content_Disposition='attachment; filename="../../z.py"')

    server.answer = answer
    place = download.download(server.url, tmp_path / "downloads", _whole)
    assert place == download.place_of(server.url, tmp_path / "downloads")
    kept = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert kept == {"trips.bin", "trips.bin.json", "trips.bin.lock"}


def test_a_server_that_packs_what_it_sends_breaks_nothing(server, tmp_path):
    """Asked for the file as it is, it sends gzip with the length of that, and breaks off once."""
    packed = gzip.compress(CONTENT)
    server.breaks = 1

    def answer(request):
        facts = {"Content_Encoding": "gzip", "ETag": '"one"'}
        if request.command == "GET" and server.breaks:
            server.breaks -= 1
            request.close_connection = True
            return request.say(200, packed[:500], Content_Length=len(packed), **facts)
        return request.say(200, packed, **facts)

    server.answer = answer
    before = download.describe(server.url, tmp_path)
    with pytest.raises(ConnectionError, match="broke off"):
        download.download(server.url, tmp_path, _whole)
    assert download.download(server.url, tmp_path, _whole).read_bytes() == CONTENT
    assert download.describe(server.url, tmp_path) == before
    assert {headers["Accept-Encoding"] for _, _, headers in server.asked} == {"identity"}
    assert not [headers for _, _, headers in server.asked if "Range" in headers]


def test_what_unpacks_to_a_multiple_is_given_up(server, tmp_path):
    """A server's 200 kB do not fill the disk."""
    bomb = gzip.compress(bytes(200_000_000), 9)
    server.answer = lambda request: request.say(200, bomb, Content_Encoding="gzip")
    with pytest.raises(InputError, match="unpacks to more than 100 times"):
        download.download(server.url, tmp_path, _any)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 1e8


def _short(request):
    request.close_connection = True
    request.say(200, CONTENT[:1000], Content_Length=len(CONTENT))


BROKEN = {
    "short": _short,
    "no packing at all": lambda r: r.say(200, b"plain", Content_Encoding="gzip"),
    "a length that is none": lambda r: r.say(200, CONTENT, Content_Length="many"),
    "a part of it": lambda r: r.say(206, CONTENT[:99], Content_Range="bytes 0-98/256000"),
    "busy": lambda r: r.say(503),
    "too many questions": lambda r: r.say(429),
    "nothing": lambda r: setattr(r, "close_connection", True),
    "no HTTP": lambda r: r.wfile.write(b"SSH-2.0\r\n\r\n") and r.wfile.flush(),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_may_pass_is_a_connection_error(name, server, tmp_path):
    """And nothing is kept as if it were whole; a repeat gets the file."""

    def answer(request):
        request.close_connection = True
        BROKEN[name](request)

    server.answer = answer
    with pytest.raises(ConnectionError):
        download.download(server.url, tmp_path, _whole)
    server.answer = lambda request: request.say(200, CONTENT)
    assert download.download(server.url, tmp_path, _whole).read_bytes() == CONTENT


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 406, 410, 422, 451])
def test_what_asking_again_does_not_mend_is_bad_input(code, server, tmp_path):
    """One request each, so no retry waits 42 seconds for the same answer."""
    server.answer = lambda request: request.say(code)
    for ask in (download.describe, lambda *given: download.download(*given, _any)):
        with pytest.raises(InputError, match=str(code)):
            ask(server.url, tmp_path)
    assert len(server.asked) == 2


@pytest.mark.parametrize("target", ["/data/trips.bin", "file:///etc/passwd", "gopher://x/", "//"])
def test_a_redirect_that_leads_nowhere_is_bad_input(target, server, tmp_path):
    """A circle of them, and one to what is no web address: no local file is read."""
    server.answer = lambda request: request.say(302, Location=target)
    for ask in (download.describe, lambda *given: download.download(*given, _any)):
        with pytest.raises(InputError, match="leads nowhere"):
            ask(server.url, tmp_path)
    assert not list(tmp_path.rglob("trips.bin"))


def test_a_server_that_sends_drop_by_drop_is_given_up(server, tmp_path, monkeypatch):
    """It is never silent for long, and never done."""
    monkeypatch.setattr(download, "_TIMEOUT_SECONDS", 0.5)

    def answer(request):
        request.say(200, b"x", Content_Length=len(CONTENT))
        with suppress(OSError):
            while True:
                request.wfile.write(b"x")
                time.sleep(0.05)

    server.answer = answer
    began = time.monotonic()
    with pytest.raises(ConnectionError, match="too slowly"):
        download.download(server.url, tmp_path, _any)
    assert time.monotonic() - began < 20


def test_a_part_that_is_longer_than_the_file_is_begun_again(server, tmp_path):
    """A server that has a shorter file now would refuse each repeat."""
    place = download.place_of(server.url, tmp_path)
    place.parent.mkdir(parents=True)
    partial = place.with_name("trips.bin.partial")
    partial.write_bytes(CONTENT + b"more")
    known = {"url": server.url, "size": len(CONTENT) * 2, "etag": '"one"'}
    partial.with_name("trips.bin.partial.json").write_text(json.dumps(known))
    server.answer = lambda r: r.say(416) if "Range" in r.headers else r.say(200, CONTENT)
    with pytest.raises(ConnectionError, match="begins anew"):
        download.download(server.url, tmp_path, _whole)
    assert download.download(server.url, tmp_path, _whole).read_bytes() == CONTENT


def test_another_part_than_was_asked_for_is_refused(server, tmp_path):
    """Two halves of different places are no file, though they have its size."""
    half = len(CONTENT) // 2
    place = download.place_of(server.url, tmp_path)
    place.parent.mkdir(parents=True)
    place.with_name("trips.bin.partial").write_bytes(CONTENT[:half])
    known = {"url": server.url, "size": len(CONTENT), "etag": '"one"'}
    place.with_name("trips.bin.partial.json").write_text(json.dumps(known))
    for said in ("bytes 0-127999/256000", "bytes 5-128004/256000", "pages 1-2", ""):
        server.answer = lambda request, said=said: request.say(
            206, CONTENT[:half], Content_Range=said, ETag='"one"'
        )
        with pytest.raises(ConnectionError, match="sent other ones"):
            download.download(server.url, tmp_path, _any)
    assert not place.exists()


@pytest.mark.parametrize(
    "ledger", [b"", b"null", b"[]", b"{}", b'{"url": 1, "size": "x", "etag": []}', b"\xff\x80\x04."]
)
def test_a_ledger_that_is_none_counts_as_no_copy(ledger, server, tmp_path):
    """The file is received anew, and described by its server."""
    server.answer = lambda request: request.say(200, CONTENT)
    place = download.download(server.url, tmp_path, _whole)
    said = download.describe(server.url, tmp_path)
    place.with_name("trips.bin.json").write_bytes(ledger)
    assert download.describe(server.url, tmp_path) == said
    assert download.download(server.url, tmp_path, _whole) == place
    assert download.describe(server.url, tmp_path) == said
