"""The pages of models: the list of them, and one with its champions, decisions and versions."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Request
from starlette.responses import HTMLResponse

from baton.chain.events import ModelRef
from serving.pages import layout, registry
from serving.pages.desk import Desk, TheDesk
from serving.pages.layout import Link
from serving.pages.registry import Known
from tasks.platform.api import ApiError

ROUTER = APIRouter()
LINK = Link("Models", "/models")

ModelName = Annotated[str, Path(pattern=r"^baton-[a-z][a-z0-9_-]{0,63}$")]


@ROUTER.get("/models")
def every(request: Request, desk: TheDesk) -> HTMLResponse:
    """List the registered models."""
    found = registry.every(desk)
    return layout.page(request, "models.html.jinja", models=found, drift_page=_drift_page(desk))


@ROUTER.get("/models/{name}")
def model(request: Request, name: ModelName, desk: TheDesk) -> HTMLResponse:
    """Show a model: its champion, what was decided about it, its versions."""
    known = found(desk, name)
    return layout.page(
        request,
        "model.html.jinja",
        known=known,
        waiting=registry.waiting(desk, name),
        drift_page=_drift_page(desk),
        mlflow=_mlflow(desk),
    )


def found(desk: Desk, name: str) -> Known:
    """What is known of a model, else that there is no such page."""
    known = registry.find(desk, name)
    if known is None:
        raise HTTPException(404, f"There is no model {name} here.")
    return known


def _drift_page(desk: Desk) -> Any:
    return lambda look: registry.drift_page(desk.settings, look)


def _mlflow(desk: Desk) -> Any:
    """What gives the address of MLflow's page of a version; empty where there is none."""

    def page(reference: ModelRef) -> str:
        with suppress(ApiError):
            return desk.model_page(reference)
        return ""

    return page
