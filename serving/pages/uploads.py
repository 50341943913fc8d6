"""A file that a browser sends: taken apart as it comes, and kept in the home by its digest.

What is made of it belongs in ``table``.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from baton.errors import InputError
from baton.settings import Settings
from baton.sources.taken import Taken, taking

FIELD = "file"
"""Name of the form's field."""

FOLDER = "uploads"
"""Folder of the home that files are kept in."""

_AROUND = 1 << 16
"""Bytes that a form may have beside its file."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f/\\?#]+")
_LONGEST_NAME = 100


class TooLargeError(InputError):
    """A file of more bytes than are taken."""


class _Form:
    """The parts of a form, of which the file goes to its place as it comes."""

    def __init__(self, new: Taken) -> None:
        self.new = new
        self.name = ""
        """The file's, as the browser says it; empty until it comes."""
        self.is_whole = False
        self._is_file = False
        self._header = [b"", b""]
        self._headers: dict[bytes, bytes] = {}

    def begin(self) -> None:
        self._headers, self._is_file = {}, False

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def header_end(self) -> None:
        name, value = self._header
        self._headers[name.lower()], self._header = value, [b"", b""]

    def headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"filename", b"").decode("utf-8", "replace")
        if options.get(b"name") == FIELD.encode() and name and not self.name:
            self.name, self._is_file = name, True

    def end(self) -> None:
        self.is_whole = True

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self.new.write(data[start:end])

    @property
    def callbacks(self) -> Any:
        """What a parser calls."""
        return {
            "on_part_begin": self.begin,
            "on_header_field": self.header_field,
            "on_header_value": self.header_value,
            "on_header_end": self.header_end,
            "on_headers_finished": self.headers_finished,
            "on_part_data": self.data,
            "on_end": self.end,
        }


async def keep(request: Request, settings: Settings) -> Path:
    """Keep the file that a form sends.

    Raises
    ------
    TooLargeError
        If it has more bytes than are taken; where it says so, none of them is read.
    InputError
        If there is none, or it is empty.
    StorageError
        If the disk does not take it.
    """
    most = settings.pages_bytes + _AROUND
    if int(request.headers.get("content-length") or 0) > most:
        raise too_large(settings)
    _, options = parse_options_header(request.headers.get("content-type"))
    with taking(settings.home / FOLDER) as new:
        form, size = _Form(new), 0
        try:
            parser = MultipartParser(options.get(b"boundary", b""), form.callbacks)
            async for chunk in request.stream():
                size += len(chunk)
                if size > most:
                    raise too_large(settings)
                parser.write(chunk)
        except (FormParserError, ClientDisconnect):
            form.is_whole = False
        return _kept(form)


def _kept(form: _Form) -> Path:
    if not form.is_whole:
        raise InputError("the file did not come whole: send it again")
    if not form.name:
        raise InputError("choose a file first")
    if not form.new.size:
        raise InputError(f"{name_of(form.name)} is empty: give a file with a header and rows")
    return form.new.keep(name_of(form.name))


def too_large(settings: Settings) -> TooLargeError:
    """Error for a file that is not taken, with what to do."""
    most = f"{settings.pages_bytes / 2**30:.3g} GB"
    return TooLargeError(
        f"the file has more than {most} (BATON_PAGES_BYTES): give its path below in place of it,"
        " which sends nothing"
    )


def name_of(said: str) -> str:
    r"""Name that a file is kept under, by what a browser says: no path, nothing hidden, not long.

    Examples
    --------
    >>> name_of("wine.csv"), name_of("../../etc/passwd"), name_of("C:\\data\\a.csv")
    ('wine.csv', 'passwd', 'a.csv')
    >>> name_of(".."), name_of("")
    ('table', 'table')
    """
    last = PurePosixPath(said.replace("\\", "/")).name
    plain = _CONTROL.sub(" ", last).strip().lstrip("._ ")
    stem, dot, endings = plain.partition(".")
    return f"{stem[: _LONGEST_NAME - len(endings)]}{dot}{endings}"[:_LONGEST_NAME] or "table"
