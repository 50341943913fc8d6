"""The errors that a user can mend.

Anything else that is raised is a defect and keeps its own type.
"""

import re
import sys
from collections.abc import Mapping
from typing import Any

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class InputError(ValueError):
    r"""Bad input: one line that names the fact and the fix, shown without a traceback.

    What it names may come from a file: line breaks and a terminal's control codes are taken out.

    Examples
    --------
    >>> print(InputError("column 'a\n\x1b[2Jb' is empty"))
    column 'a [2Jb' is empty
    """

    def __init__(self, said: object = "") -> None:
        super().__init__(_CONTROL.sub(" ", str(said)))


def fault_of(breach: Mapping[str, Any]) -> str:
    """What pydantic says of one breach, without its word for an error of a validator of ours.

    Examples
    --------
    >>> fault_of({"type": "value_error", "msg": "Value error, say it as 90s, 10m or 1h"})
    'say it as 90s, 10m or 1h'
    """
    return str(breach["msg"]).removeprefix("Value error, ")


def import_fault(error: BaseException) -> str:
    """Say in one line why a module cannot be imported; what to install, if a package is missing.

    Examples
    --------
    >>> import_fault(ModuleNotFoundError("No module named 'mars.sun'", name="mars.sun"))
    "it needs the package 'mars', which is not installed: pip install mars"
    """
    package = (getattr(error, "name", None) or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and package not in sys.modules:
        return f"it needs the package {package!r}, which is not installed: pip install {package}"
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


class NoModelError(InputError):
    """There is no model yet: a person is told, a schedule waits for its next turn."""


class StorageError(Exception):
    """The disk does not take what is made, or gives it back otherwise: one line, with the fix."""
