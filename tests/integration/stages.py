"""Stages as tests run them: by themselves, in this process."""

import asyncio


def run(flow, *arguments):
    """Run a stage; return the name of its state."""

    async def made():
        return (await flow(*arguments, return_state=True)).name

    return asyncio.run(made())
