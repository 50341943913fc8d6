"""Stages as tests run them, by themselves and in this process; and what they leave behind."""

import asyncio


def run(flow, *arguments):
    """Run a stage; return the name of its state."""

    async def made():
        return (await flow(*arguments, return_state=True)).name

    return asyncio.run(made())


def forget_runs(client):
    """Delete the runs that other tests have left on the server, fifty at a time."""
    while client.request("POST", "/flow_runs/bulk_delete", json={}).json()["deleted"]:
        pass
