"""Running a blocking task beside the event loop, so that subflows go at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


async def aside(task: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a task in a thread of its own, as part of the flow run that awaits it."""
    return await asyncio.to_thread(task, *args, **kwargs)
