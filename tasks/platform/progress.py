"""How far a stage is, as an artifact of its run: a bar with words, which the command shows too."""

from __future__ import annotations

from uuid import UUID

from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact

from baton.chain.events import Stage, progress_key


async def begin_progress(stage: Stage, chain: str, said: str) -> UUID:
    """Show that nothing is done yet."""
    key = progress_key(stage, chain)
    return await acreate_progress_artifact(0.0, key=key, description=said)


async def show_progress(artifact: UUID, percent: float, said: str) -> None:
    """Bring the artifact up to date."""
    await aupdate_progress_artifact(artifact, percent, description=said)
