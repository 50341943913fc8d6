"""Compile a loop to machine code that is kept on disk, where there is a place for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def compiled(loop: Callable[..., Any]) -> Any:
    """Loop as machine code; where none can be kept, each process compiles its own.

    Parameters
    ----------
    loop : function of arrays and numbers
    """
    import numba

    try:
        return numba.njit(cache=True, nogil=True)(loop)
    except RuntimeError:  # neither beside the source nor in the user's cache may be written
        return numba.njit(nogil=True)(loop)
