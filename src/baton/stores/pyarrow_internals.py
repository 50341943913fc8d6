"""What pyarrow says of a store that does not give: told by its words, which it does not promise.

Its errors are all of one type and have no code. Where the words are others, an error is taken for
one that may be gone the next time: it is tried again, and said as pyarrow says it.
"""

from __future__ import annotations

import re
from enum import Enum

from baton.settings import settings


class Refusal(Enum):
    """Why a store does not give, where asking again does not help."""

    DENIED = re.compile(
        r"(ACCESS_DENIED|INVALID_ACCESS_KEY_ID|INVALID_CLIENT_TOKEN_ID|SIGNATURE_DOES_NOT_MATCH"
        r"|EXPIRED_TOKEN|INVALID_TOKEN|UNRECOGNIZED_CLIENT|REQUEST_TIME_TOO_SKEWED"
        r"|HTTP status 40[13]|PERMISSION_DENIED|UNAUTHENTICATED|OAuth2 access token"
        r"|AuthenticationException|AuthenticationFailed|AuthorizationFailure"
        r"|AuthorizationPermissionMismatch|NoAuthenticationInformation)"
    )
    NO_BUCKET = re.compile(
        r"(NO_SUCH_BUCKET|ContainerNotFound|Bucket '[^']*' not found"
        r"|specified bucket does not exist)"
    )
    ELSEWHERE = re.compile(r"(HTTP status 301|PERMANENT_REDIRECT)")


_BEFORE = re.compile(r"^When [^:]*: (?=AWS Error )|AWS Error (?=[A-Z_]+)| during \w+ operation")
_NO_USE = re.compile(
    r"NETWORK_CONNECTION: curlCode: \d+, [^;]*; (?=Details)|Details: | after \d+ ms"
    r"| \(Request ID: [^)]*\)"
    r"|: No response body\.?"
)


def refusal(error: Exception) -> Refusal | None:
    """Why a store does not give, if trying again does not help.

    Needed since all errors of a store are one type to pyarrow. Without: each of them is tried
    again, and fails later.
    """
    if not settings().internals:
        return None
    return next((one for one in Refusal if one.value.search(str(error))), None)


def is_missing(error: Exception) -> bool:
    """Tell whether nothing stands at what was asked for.

    Google's store says so without the system's code. Without: it is asked for again.
    """
    words = "No such file or directory"
    return isinstance(error, FileNotFoundError) or (settings().internals and words in str(error))


def said(error: Exception) -> str:
    """What pyarrow says, in one line, without what differs each time."""
    text = " ".join(str(error).split())
    for taken_out in (_BEFORE, _NO_USE):
        text = taken_out.sub("", text)
    return text[:200]
