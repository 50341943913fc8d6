"""Downloads: kept, resumed where they broke off, and never half a file."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from baton.errors import InputError
from baton.sources import download

CONTENT = bytes(range(256)) * 1000


class _Handler(BaseHTTPRequestHandler):
    """A server of one file, which can break off."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self._head(0)

    def do_GET(self):
        begin = self._begin()
        if not self._head(begin):
            return
        rest = CONTENT[begin:]
        self.server.sent.append(begin)
        if self.server.breaks > 0:
            self.server.breaks -= 1
            self.wfile.write(rest[: len(rest) // 2])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(rest)

    def _begin(self):
        wanted = self.headers.get("Range")
        is_same = self.headers.get("If-Range") == self.server.etag
        return int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and is_same else 0

    def _head(self, begin):
        if self.path != "/data/trips.bin":
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return False
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(CONTENT) - begin))
        self.send_header("ETag", self.server.etag)
        if begin:
            last = len(CONTENT) - 1
            self.send_header("Content-Range", f"bytes {begin}-{last}/{len(CONTENT)}")
        self.end_headers()
        return True

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server():
    found = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    found.sent, found.breaks, found.etag = [], 0, '"one"'
    threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True).start()
    found.url = f"http://127.0.0.1:{found.server_port}/data/trips.bin"
    yield found
    found.shutdown()
    found.server_close()


def _whole(path):
    if path.stat().st_size != len(CONTENT):
        raise ValueError("too short")


def _digest(path):
    return hashlib.sha256(path.read_bytes()).digest()


def test_a_file_is_downloaded_once_and_kept(server, tmp_path):
    """The second time nobody is asked, not even for the description."""
    first = download.download(server.url, tmp_path, _whole)
    assert first.read_bytes() == CONTENT
    said = download.describe(server.url, tmp_path)
    server.shutdown()
    assert download.download(server.url, tmp_path, _whole) == first
    assert download.describe(server.url, tmp_path) == said
    assert server.sent == [0]


def test_what_is_described_before_and_after_is_the_same(server, tmp_path):
    """So that a cached chain stays cached once the file is here."""
    before = download.describe(server.url, tmp_path)
    download.download(server.url, tmp_path, _whole)
    assert download.describe(server.url, tmp_path) == before


def test_a_download_goes_on_where_it_broke_off(server, tmp_path):
    """Twice broken, then whole; no byte of the beginning is sent again."""
    server.breaks = 2
    for _ in range(2):
        with pytest.raises(ConnectionError, match="broke off"):
            download.download(server.url, tmp_path, _whole)
    path = download.download(server.url, tmp_path, _whole)
    assert path.read_bytes() == CONTENT
    assert server.sent == [0, len(CONTENT) // 2, len(CONTENT) * 3 // 4]


def test_a_file_that_changed_meanwhile_is_begun_again(server, tmp_path):
    """Halves of two versions are no file."""
    server.breaks = 1
    with pytest.raises(ConnectionError):
        download.download(server.url, tmp_path, _whole)
    server.etag = '"two"'
    assert download.download(server.url, tmp_path, _whole).read_bytes() == CONTENT
    assert server.sent == [0, 0]


def test_a_file_that_is_not_what_it_should_be_is_not_kept(server, tmp_path):
    """The next attempt begins with nothing."""

    def refuse(path):
        raise ValueError("no footer")

    with pytest.raises(ConnectionError, match="no footer"):
        download.download(server.url, tmp_path, refuse)
    assert not [path for path in tmp_path.rglob("trips.bin*") if path.suffix in {"", ".partial"}]
    assert _digest(download.download(server.url, tmp_path, _whole))


def test_a_file_that_is_not_there_is_bad_input(server, tmp_path):
    """Trying again would not help."""
    for ask in (download.describe, lambda *given: download.download(*given, _whole)):
        with pytest.raises(InputError, match="there is no"):
            ask(server.url + "x", tmp_path)


def test_a_server_that_does_not_answer_may_answer_later(tmp_path):
    """A passing failure is a ConnectionError."""
    for ask in (download.describe, lambda *given: download.download(*given, _whole)):
        with pytest.raises(ConnectionError):
            ask("http://127.0.0.1:9/x", tmp_path)


@pytest.mark.parametrize("damaged", ["copy", "ledger"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: bytes([content[0] ^ 1]) + content[1:],
        lambda content: b"[]",
    ],
)
def test_a_damaged_copy_is_put_aside_and_downloaded_again(server, tmp_path, damaged, damage):
    """And one whose ledger is damaged, since nobody knows whether it is whole."""
    copy = download.download(server.url, tmp_path, _whole)
    place = copy if damaged == "copy" else copy.with_name(f"{copy.name}.json")
    place.write_bytes(damage(place.read_bytes()))
    was = copy.read_bytes()
    assert download.describe(server.url, tmp_path).size == len(CONTENT)
    assert download.download(server.url, tmp_path, _whole).read_bytes() == CONTENT
    assert copy.with_name(f"{copy.name}.aside").read_bytes() == was
    assert server.sent == [0, 0]


def test_a_copy_is_forgotten_only_if_the_server_has_another_version(server, tmp_path):
    """It is put aside, and what is described from then on is the new one."""
    copy = download.download(server.url, tmp_path, _whole)
    download.forget(server.url, tmp_path)
    assert copy.exists()
    server.etag = '"two"'
    assert download.describe(server.url, tmp_path).etag == '"one"'
    download.forget(server.url, tmp_path)
    assert not copy.exists()
    assert copy.with_name(f"{copy.name}.aside").read_bytes() == CONTENT
    assert download.describe(server.url, tmp_path).etag == '"two"'
