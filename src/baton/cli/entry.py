"""The command's way in and out: its modules are registered, every failure is one line."""

from __future__ import annotations

import os
import sys

from cyclopts import CycloptsError
from pydantic import ValidationError

from baton.cli import (
    announcing,
    backfilling,
    beginning,
    cleaning,
    deciding,
    demonstrating,
    deploying,
    examining,
    interrupts,
    labelling,
    looking,
    opening,
    reading,
    replaying,
    running,
    standing,
    tracing,
    why,
    working,
)
from baton.cli.app import app, complain
from baton.errors import InputError, StorageError, fault_of
from serving.child import ProcessError
from tasks.platform.api import ApiError

COMMANDS = (
    running,
    replaying,
    backfilling,
    looking,
    opening,
    reading,
    why,
    tracing,
    deciding,
    standing,
    deploying,
    working,
    examining,
    cleaning,
    announcing,
    labelling,
    demonstrating,
    beginning,
)
"""Modules whose import registers the commands."""

_FAILURES = (ProcessError, ApiError, StorageError)
"""What is nobody's mistake in the input."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit: 0 done, 1 failed, 2 bad usage or input, 130 or 143 interrupted."""
    try:
        interrupts.catch()
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except (CycloptsError, InputError, ValidationError, *_FAILURES) as error:
        complain(_said(error))
        code = 1 if isinstance(error, _FAILURES) else 2
    except KeyboardInterrupt:
        complain("interrupted")
        code = interrupts.exit_code()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    raise SystemExit(code or 0)


def _said(error: Exception) -> str:
    if isinstance(error, CycloptsError):
        return f"{' '.join(str(error).split())} See `baton --help`."
    if isinstance(error, ApiError):
        return f"the Prefect server did not answer as expected: {error}"
    return _setting(error) if isinstance(error, ValidationError) else str(error)


def _setting(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "a setting"
    variable = name if name.isupper() else f"BATON_{name.upper()}"  # Prefect's have their own name
    return f"setting {variable}: {fault_of(first)}, got {first.get('input')!r}"
