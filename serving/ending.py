"""How a process of its own ends: a mistake is one line and code 2, Ctrl-C is no fault.

What a process does belongs in its own module; how the command ends in ``baton.cli.entry``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from baton.errors import InputError


@contextmanager
def ending_in_a_line() -> Iterator[None]:
    """End the process with code 2 and one line where its input is at fault, with 0 at Ctrl-C."""
    try:
        yield
    except InputError as error:
        print(f"baton: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(0) from None
