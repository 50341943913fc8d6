"""Asking a person before the champion is another: the run is suspended, no process waits.

It is answered on Prefect's page of the run, or by ``baton approve``. What follows from the answer
is in ``tasks/promotion.py``.
"""

from __future__ import annotations

import logging

from prefect.flow_runs import asuspend_flow_run
from prefect.input import RunInput
from pydantic import Field

from baton.chain.events import ModelEvaluated
from baton.evaluation.gate import Verdict

log = logging.getLogger(__name__)


class Approval(RunInput):
    """What a person answers."""

    approve: bool = Field(default=True, description="Whether the version becomes the champion.")
    by: str = Field(default="a person", min_length=1, max_length=100, description="Who answers.")
    reason: str = Field(default="", max_length=500, description="Why, in one line.")


async def answer_of_person(evaluated: ModelEvaluated, verdict: Verdict) -> Approval:
    """Answer of a person; the run ends here, and begins again once there is one."""
    log.info(
        "version %d of %s waits for approval: `baton approve %s` (%s)",
        evaluated.model.version,
        evaluated.model.name,
        evaluated.chain,
        verdict.reason,
    )
    asked = Approval.with_initial_data(
        description=f"**Version {evaluated.model.version} of {evaluated.model.name}** would be the"
        f" champion: {verdict.reason}."
    )
    return await asuspend_flow_run(wait_for_input=asked, key="approval")
