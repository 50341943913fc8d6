"""Running a blocking task beside the event loop, so that subflows go at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


async def in_thread(task: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what a task does in a thread of its own, as part of the flow run that awaits it."""
    return await asyncio.to_thread(task, *args, **kwargs)
