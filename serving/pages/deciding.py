"""A person's word on champions: promoting, rolling back, approving; asked first, then done.

What is done is what ``baton promote``, ``rollback`` and ``approve`` do: a promotion by the clerk,
an answer to a chain that waits by the server. Who says it, and why, stands in the history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from baton import identity
from baton.chain import decisions
from baton.chain.events import Stage
from baton.errors import InputError
from baton.words.text import quoted
from serving.pages import forms, layout, models, watching
from serving.pages.chains import ChainId
from serving.pages.clerk import ClerkError
from serving.pages.desk import Desk, TheDesk
from serving.pages.forms import Field, Form
from serving.pages.models import ModelName
from serving.pages.registry import Known
from tasks.platform.api import ApiError

ROUTER = APIRouter()

_BY = Field("by", "who says so; it stands in the history")
_REASON = Field("reason", "why, in a line; it stands in the history", is_needed=True)
_LONGEST_NAME = 100


@dataclass(frozen=True)
class Question:
    """What a person is asked before it is done."""

    title: str
    said: str
    """What will be so."""
    path: str
    """Where the answer goes."""
    answers: tuple[tuple[str, str], ...]
    """Value and text of each button, the first one the one that does it."""
    back: str
    """Path of the page that leads here."""
    reason: Field = _REASON

    @property
    def form(self) -> Form:
        """What is to be filled in."""
        return Form((self.reason, _BY)).filled({"by": identity.of_person()})


Version = Annotated[int, Query(ge=1)]
Do = Callable[[Mapping[str, str]], str]
"""What does what was typed; returns the path of the page that shows it."""


@ROUTER.get("/models/{name}/promotion")
def ask_promotion(
    request: Request, name: ModelName, desk: TheDesk, version: Version
) -> HTMLResponse:
    """Ask before a version is promoted."""
    return _page(request, _promotion(models.found(desk, name), version))


@ROUTER.post("/models/{name}/promotion")
async def promote(request: Request, name: ModelName, desk: TheDesk, version: Version) -> Response:
    """Promote a version, or say why not."""

    def done(said: Mapping[str, str]) -> str:
        return _moved(desk, name, "promote", version=version, **said)

    known = await run_in_threadpool(models.found, desk, name)
    return await _answered(request, _promotion(known, version), done)


def _promotion(known: Known, version: int) -> Question:
    if known.version(version) is None:
        raise HTTPException(404, f"There is no version {version} of {known.model.name}.")
    name, champion = known.model.name, known.model.champion
    then = f"version {champion} is the one before it then" if champion else "there is none now"
    return Question(
        f"Promote version {version} of {known.model.short}?",
        f"Version {version} becomes the champion, whatever the gate says of it; {then}.",
        f"/models/{name}/promotion?version={version}",
        (("yes", f"Promote version {version}"),),
        f"/models/{name}",
    )


@ROUTER.get("/models/{name}/rollback")
def ask_rollback(request: Request, name: ModelName, desk: TheDesk) -> HTMLResponse:
    """Ask before the champion is taken back."""
    return _page(request, _rollback(models.found(desk, name)))


@ROUTER.post("/models/{name}/rollback")
async def roll_back(request: Request, name: ModelName, desk: TheDesk) -> Response:
    """Make the champion before the champion again, or say why not."""

    def done(said: Mapping[str, str]) -> str:
        return _moved(desk, name, "roll_back", **said)

    known = await run_in_threadpool(models.found, desk, name)
    return await _answered(request, _rollback(known), done)


def _rollback(known: Known) -> Question:
    name, champion, before = known.model.name, known.model.champion, known.previous
    now = f"Version {champion} is taken back" if champion else "There is no champion"
    then = f"version {before} is the champion again" if before else "no other was one before it"
    return Question(
        f"Roll {known.model.short} back?",
        f"{now}; {then}. The gate does not bring back what was taken back.",
        f"/models/{name}/rollback",
        (("yes", "Roll back"),),
        f"/models/{name}",
    )


def _moved(desk: Desk, name: str, what: str, **given: Any) -> str:
    """Have the champion moved."""
    found = desk.clerk.ask(what, name=name, **given)
    if found["untold"]:
        raise InputError(f"the champion is moved, but nobody was told: {found['untold']}")
    return f"/models/{name}"


@ROUTER.get("/chains/{chain_id}/approval")
def ask_approval(request: Request, chain_id: ChainId, desk: TheDesk) -> HTMLResponse:
    """Ask a person what the chain asks."""
    return _page(request, _approval(desk, chain_id))


@ROUTER.post("/chains/{chain_id}/approval")
async def approve(request: Request, chain_id: ChainId, desk: TheDesk) -> Response:
    """Answer a chain that waits, or say why not."""

    def done(said: Mapping[str, str]) -> str:
        begun = desk.server.asking(desk.manifest, chain_id)
        desk.server.resume(begun, Stage.PROMOTE, {**said, "approve": said["approve"] == "yes"})
        return f"/chains/{chain_id}"

    question = await run_in_threadpool(_approval, desk, chain_id)
    return await _answered(request, question, done, answer="approve")


def _approval(desk: Desk, chain_id: str) -> Question:
    desk.server.asking(desk.manifest, chain_id)
    record = watching.record_of(desk.settings, chain_id)
    what = f"version {record.model.version} of {record.model.name}" if record else "its version"
    return Question(
        f"Is {what} to be the champion?",
        f"Chain {chain_id} waits for an answer: the gate would promote {what}.",
        f"/chains/{chain_id}/approval",
        (("yes", "Approve"), ("no", "Reject")),
        f"/chains/{chain_id}",
        replace(_REASON, is_needed=False),
    )


async def _answered(request: Request, question: Question, done: Do, answer: str = "") -> Response:
    """Do what is asked for, and lead on to the page that shows it; or say why it is not done."""
    typed = await forms.typed(request)
    form = question.form.filled(typed)
    try:
        said = _said(question, form)
        if strange := forms.unknown({k: v for k, v in typed.items() if k != "answer"}, form):
            raise InputError(strange)
        if answer:
            said[answer] = _chosen(question, typed)
        place = await run_in_threadpool(done, said)
    except _MissingError as missing:
        return await run_in_threadpool(_page, request, question, missing.form, 422)
    except (InputError, ClerkError, ApiError) as error:
        refused = form.refused({}, str(error))
        status = 422 if isinstance(error, InputError) else 503
        return await run_in_threadpool(_page, request, question, refused, status)
    return RedirectResponse(place, 303)


def _chosen(question: Question, typed: Mapping[str, str]) -> str:
    """Which answer was given; what is no answer is not taken for a no."""
    given = typed.get("answer", "")
    if given not in dict(question.answers):
        known = " or ".join(text for _, text in question.answers)
        raise InputError(f"{quoted([given])} is no answer: press {known}")
    return given


class _MissingError(Exception):
    """A form in which something is missing."""

    def __init__(self, form: Form) -> None:
        super().__init__(form.error)
        self.form = form


def _said(question: Question, form: Form) -> dict[str, str]:
    """Who says so and why."""
    reason, by = decisions.said(form["reason"].value), " ".join(form["by"].value.split())
    missing = {"reason": "Say why, in a line."} if question.reason.is_needed and not reason else {}
    if len(by) > _LONGEST_NAME:
        missing["by"] = f"A name has at most {_LONGEST_NAME} characters."
    if missing:
        raise _MissingError(form.refused(missing))
    return {"by": by or identity.of_person(), "reason": reason}


def _page(
    request: Request, question: Question, form: Form | None = None, status: int = 200
) -> HTMLResponse:
    content = {"question": question, "form": form or question.form}
    return layout.page(request, "question.html.jinja", status, **content)
