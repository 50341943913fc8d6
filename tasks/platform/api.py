"""The one client of the Prefect API that is Baton's own: HTTP, asked again where a server is busy.

The command asks by it before Prefect is imported, and events are delivered by it, so that their
retries depend on nobody's exception classes: it imports httpx and no Prefect. What is asked
belongs to those who ask.
"""

from __future__ import annotations

import base64
import logging
import math
import ssl
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Self

import httpx

from baton.errors import InputError
from baton.settings import Settings

WAITS = (0.25, 0.5, 1.0, 2.0)
"""Seconds between attempts at a server whose database is busy."""

_SECONDS = 30.0
_SECONDS_TO_CONNECT = 5.0
_LEAST_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 60.0
_PASSING = {408, 429, 500, 502, 503, 504}
"""Status codes of a server that may answer when it is asked again."""

log = logging.getLogger(__name__)


class ApiError(RuntimeError):
    """The Prefect server did not do what it was asked, in one line."""


class RefusedError(ApiError):
    """It said no: asking again is of no use."""


class UnauthorizedError(RefusedError):
    """It does not know whoever asks: one that was started anew has another secret."""


class UnavailableError(ApiError):
    """It did not answer, or was busy, as often as it was asked."""


@dataclass(frozen=True)
class Access:
    """Where a Prefect API is, and what lets one in."""

    address: str
    auth_string: str = field(default="", repr=False)
    """``user:password``; it comes before the key, as with Prefect's own client."""
    key: str = field(default="", repr=False)
    certificates: str = ""
    """File of the certificates that are trusted; httpx's own when empty."""
    is_verified: bool = True
    """Whether the certificate of an https address is looked at."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, settings: Settings, address: str) -> Self:
        """Access to this address by what the environment says."""
        return cls(
            address,
            auth_string=settings.prefect_auth_string.get_secret_value(),
            key=settings.prefect_api_key.get_secret_value(),
            certificates=settings.prefect_certificates,
            is_verified=not settings.prefect_unverified,
        )

    @property
    def all_headers(self) -> dict[str, str]:
        """Headers of every request."""
        if self.auth_string:
            token = base64.b64encode(self.auth_string.encode()).decode()
            return {**self.headers, "Authorization": f"Basic {token}"}
        return {**self.headers, **({"Authorization": f"Bearer {self.key}"} if self.key else {})}

    @property
    def verify(self) -> ssl.SSLContext | bool:
        """How httpx is to verify: without TLS, reading certificates takes a tenth of a second."""
        if not self.address.startswith("https:") or not self.is_verified:
            return False
        return ssl.create_default_context(cafile=self.certificates) if self.certificates else True


@dataclass
class Client:
    """A Prefect API, asked over HTTP.

    Parameters
    ----------
    access : Access
    waits : sequence of float
        Seconds to wait after each failed attempt but the last; a server that names a longer
        time, by ``Retry-After``, is given it.
    transport : httpx.BaseTransport, optional
        What carries the requests; the network if not given.
    until : float, optional
        When nobody waits for an answer any more, by the clock that never goes back: a server
        that hangs keeps who asks until then.
    """

    access: Access
    waits: Sequence[float] = WAITS
    transport: httpx.BaseTransport | None = None
    until: float = math.inf
    _http: httpx.Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            self._http = httpx.Client(
                base_url=self.access.address.rstrip("/") + "/",
                headers=self.access.all_headers,
                timeout=_SECONDS,
                verify=self.access.verify,
                transport=self.transport,
            )
        except (httpx.InvalidURL, OSError, ValueError) as error:
            reason = "a key or password is not ASCII" if isinstance(error, UnicodeError) else error
            raise InputError(
                f"the Prefect API cannot be asked: {reason}; see PREFECT_API_URL,"
                " PREFECT_API_KEY and PREFECT_API_SSL_CERT_FILE"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def is_healthy(self, seconds: float = 2.0) -> bool:
        """Tell whether a server answers, asked once; one that is there may take so many seconds."""
        patience = httpx.Timeout(seconds, connect=min(seconds, _SECONDS_TO_CONNECT))
        try:
            return self._http.get("health", timeout=patience).is_success
        except httpx.RequestError:
            return False

    def ahead(self) -> timedelta | None:
        """By how much the server's clock is ahead of the one here; None where it does not tell.

        An answer says the time to the second, so that less than two is no difference.
        """
        began = datetime.now(UTC)
        try:
            told = self._once("GET", "health", None).headers.get("Date", "")
            there = parsedate_to_datetime(told).astimezone(UTC)
        except (httpx.RequestError, ValueError):
            return None
        here = began + (datetime.now(UTC) - began) / 2
        found = there + timedelta(seconds=0.5) - here
        return timedelta() if abs(found) < timedelta(seconds=2) else found

    def find(self, path: str) -> Any:
        """Get what is there; None if there is nothing.

        Raises
        ------
        ApiError
        """
        response = self._patiently("GET", path)
        return None if response.status_code == httpx.codes.NOT_FOUND else _content(response)

    def post(self, path: str, content: Any) -> Any:
        """Post JSON and return the answer's; None if it has no content.

        It may be delivered twice, so what it asks for must be the same thing then.

        Raises
        ------
        RefusedError
            If the server will not, whoever asks again.
        UnavailableError
            If it did not answer or was busy in all attempts.
        """
        return _content(self._patiently("POST", path, content))

    def patch(self, path: str, content: Any) -> None:
        """Change what is there, as :meth:`post` asks for something."""
        self._patiently("PATCH", path, content)

    def put(self, path: str, content: Any) -> None:
        """Have what is there be another, as :meth:`post` asks for something."""
        _content(self._patiently("PUT", path, content))

    def change(self, path: str, content: Any) -> None:
        """Change what is there, and see that it was changed.

        Raises
        ------
        ApiError
        """
        _content(self._patiently("PATCH", path, content))

    def delete(self, path: str) -> None:
        """Delete what is there; it is well if somebody else was quicker.

        Raises
        ------
        ApiError
        """
        response = self._patiently("DELETE", path)
        if response.status_code != httpx.codes.NOT_FOUND:
            _content(response)

    def _patiently(self, method: str, path: str, content: Any = None) -> httpx.Response:
        for wait in (*self.waits, None):
            least = 0.0
            try:
                response = self._once(method, path, content)
            except httpx.RequestError as error:
                reason = f"{type(error).__name__}: {error}"
            else:
                if response.status_code not in _PASSING:
                    return response
                reason, least = _reason(response), _asked_to_wait(response)
            if wait is not None:
                log.info("%s %s: %s; asked again", method, path, reason)
                time.sleep(max(wait, least))
        raise UnavailableError(f"{method} {path}: {reason}")

    def _once(self, method: str, path: str, content: Any) -> httpx.Response:
        response = self._http.request(method, path, json=content, timeout=self._seconds)
        if response.status_code == httpx.codes.FORBIDDEN and self._takes_token():
            return self._http.request(method, path, json=content, timeout=self._seconds)
        return response

    @property
    def _seconds(self) -> float:
        """How long an answer is waited for."""
        return min(max(self.until - time.monotonic(), _LEAST_SECONDS), _SECONDS)

    def _takes_token(self) -> bool:
        """Fetch the token that a server with CSRF protection asks for; tell whether it has any."""
        name = str(uuid.uuid4())
        answer = self._http.get("csrf-token", params={"client": name})
        if not answer.is_success:
            return False
        token = str(_content(answer)["token"])
        self._http.headers.update({"Prefect-Csrf-Client": name, "Prefect-Csrf-Token": token})
        return True


def is_out_of_reach(error: BaseException, address: str) -> bool:
    """Tell whether an error, or what led to it, is that this server did not answer, or could not.

    Parameters
    ----------
    error : BaseException
        Of this client, or of another one that is made of httpx: Prefect's.
    address : str
        Of the API; another server's silence is another matter.
    """
    led: BaseException | None = error
    while led is not None:
        if isinstance(led, UnavailableError) or _asked(led).startswith(address.rstrip("/")):
            return True
        led = led.__cause__ or led.__context__
    return False


def _asked(error: BaseException) -> str:
    """Address of a request without an answer, or answered by 5xx; empty if it is no such error."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    try:  # by name: Prefect is about to leave httpx for its successor
        is_away = "TransportError" in kinds or (
            "HTTPStatusError" in kinds and error.response.is_server_error  # type: ignore[attr-defined]
        )
        return str(error.request.url) if is_away else ""  # type: ignore[attr-defined]
    except (AttributeError, RuntimeError):  # it was not said
        return ""


def _content(response: httpx.Response) -> Any:
    """Content of an answer; one that is no answer of an API's is refused."""
    request = f"{response.request.method} {response.request.url}"
    if not response.is_success:
        is_unknown = response.status_code == httpx.codes.UNAUTHORIZED
        kind = UnauthorizedError if is_unknown else RefusedError
        raise kind(f"{request}: {_reason(response)}{_advice(response)}")
    try:
        return response.json() if response.content else None
    except ValueError:
        raise RefusedError(
            f"{request}: the answer is not JSON; is PREFECT_API_URL right?"
        ) from None


def _reason(response: httpx.Response) -> str:
    said = " ".join(response.text.split())[:200]
    return f"{response.status_code} {response.reason_phrase}{f': {said}' if said else ''}"


def _advice(response: httpx.Response) -> str:
    if response.status_code not in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return ""
    return "; set PREFECT_API_AUTH_STRING or PREFECT_API_KEY"


def _asked_to_wait(response: httpx.Response) -> float:
    """Seconds that the server asks to be left alone, by a number or by a date."""
    asked = response.headers.get("Retry-After", "")
    try:
        seconds = float(asked) if asked.isdecimal() else _seconds_until(asked)
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT_SECONDS)


def _seconds_until(date: str) -> float:
    when = parsedate_to_datetime(date)
    return ((when if when.tzinfo else when.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
