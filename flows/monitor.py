"""The stage that compares new rows with those that their model knows."""

from typing import Any

from prefect import flow
from prefect.client.schemas import State

from baton.chain.events import PredictionsReady, Stage
from tasks.monitoring import (
    compare_rows,
    looked,
    monitored,
    of_one_log,
    plan_monitoring,
    show_drift,
)
from tasks.platform.events import announce
from tasks.platform.stage import stage
from tasks.platform.threads import in_thread


@flow(name=Stage.MONITOR.value)
async def monitor(ready: PredictionsReady, watch: dict[str, Any] | None = None) -> State[Any]:
    """Compare predicted rows with the training rows' histograms, and announce what was found.

    `watch` says what drift is: level, psi, least_rows; and cool_down, the seconds between two
    announcements of it.
    """
    with stage(Stage.MONITOR, ready.problem, ready.chain):
        plan = plan_monitoring(ready, watch or {})
        with plan.lock:
            cached = plan.is_done
            if plan.profile and not cached:
                await in_thread(compare_rows, plan)
        with of_one_log(plan):
            look = looked(plan)
        page = show_drift(plan, look)
        return announce(monitored(plan, look, page), cached=cached)
