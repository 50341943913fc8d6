"""Secrets from Prefect's Secret blocks, for ``baton.sources.secrets``."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from pydantic import SecretStr

from baton.errors import InputError
from baton.sources import secrets


def use_blocks() -> None:
    """Let named secrets be Prefect Secret blocks, in this process."""
    secrets.use(load_block)


def load_block(name: str) -> SecretStr:
    """Return the value of a Secret block.

    Raises
    ------
    InputError
        If there is no such block.
    """
    from prefect.blocks.system import Secret

    try:
        with ThreadPoolExecutor(1) as beside:  # the caller may stand in an event loop
            block: Any = beside.submit(copy_context().run, asyncio.run, Secret.aload(name)).result()
    except ValueError:
        raise InputError(
            f"there is no Prefect Secret block {name!r}: create it in the UI under Blocks, or"
            " leave secret out and set BATON_DATABASE_PASSWORD"
        ) from None
    return SecretStr(str(block.get()))
