"""How a process of its own ends: a mistake is one line and a code, Ctrl-C is no fault.

What a process does belongs in its own module; how the command ends in ``baton.cli.entry``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from baton.errors import InputError, StorageError


@contextmanager
def ending_in_a_line() -> Iterator[None]:
    """End the process with one line: code 2 where its input is at fault, 1 a disk; 0 at Ctrl-C."""
    try:
        yield
    except InputError as error:
        print(f"baton: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
    except StorageError as error:
        print(f"baton: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(0) from None
