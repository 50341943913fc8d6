"""Data that arrives: checked, entered in the ledger once, and told to the server.

The ledger is ``baton.chain.arrivals``, telling ``tasks/platform/arrivals.py``; who watches and who
listens is in ``serving/arriving.py``.
"""

from __future__ import annotations

import json
import logging
import re
from functools import lru_cache
from typing import Any

from baton import models
from baton.chain import arrivals
from baton.chain.arrivals import Arrival, Arriving, State
from baton.chain.events import ModelRef, Stage
from baton.errors import InputError
from baton.problems import Params
from baton.settings import settings
from baton.sources import places
from baton.stores.objects import NoAccessError
from tasks.platform import api, orders
from tasks.platform.arrivals import tell_kept
from tasks.platform.orders import Asked
from tasks.platform.tracking import champion_of, load_model, model_for, newest_version
from tasks.prediction import params_of

log = logging.getLogger(__name__)

_KEY = re.compile(r"[\w.:/+-]{1,64}")
_MODELS_HELD = 4


class AgainError(InputError):
    """What arrived cannot be looked at now: it is not in the ledger, and is announced again."""


class DamagedError(InputError):
    """What arrived cannot be read: it is in the ledger, and counts anew when it is mended."""


def arrive(
    asked: Asked, there: api.Access | None, *, key: str = "", source: str = ""
) -> tuple[Arrival, bool]:
    """Take what arrived: enter it, once, and tell the server.

    Parameters
    ----------
    asked : Asked
        The chain that it begins, by parameters that were checked.
    there : Access or None
        Server that is told; None if none stands: then it is kept, and told by the next look.
    key : str
        Period that it is of, or whatever else makes it one thing.
    source : str
        What it is, for people; by default as the problem has it.

    Returns
    -------
    Arrival, bool
        As it stands in the ledger, and whether it had arrived before.

    Raises
    ------
    DamagedError
        If it cannot be read.
    NoModelError
        If there is no model to predict it; it is not entered.
    AgainError
        If trying again may help; it is not entered.
    InputError
        If the key is none, or several models could predict it; it is not entered.
    """
    if key and not _KEY.fullmatch(key):
        raise InputError(f"key {key!r} is none: up to 64 letters, digits and any of . : / + - _")
    arrival, was_known = arrivals.entered(settings(), _looked_at(asked, key, source))
    if arrival.state is State.DAMAGED:
        raise DamagedError(arrival.reason)
    if there is not None and arrival.state is State.KEPT:
        _tell(arrival, there)
    return arrivals.current(settings(), arrival), was_known


def _tell(arrival: Arrival, there: api.Access) -> None:
    try:
        tell_kept(there, arrival.number)
    except api.ApiError as error:
        log.warning("arrival %d is kept, and told again: %s", arrival.number, error)


def _looked_at(asked: Asked, key: str, source: str) -> Arriving:
    """What arrived with the digest of its content, or with what is wrong with it."""
    said = {name: asked.parameters.get(name) for name in asked.problem.names_models}
    predicting = _predicting(asked) if asked.stage is Stage.PREDICT else None
    content, reason = None, ""
    try:
        content = _new_rows(asked, *predicting) if predicting else orders.look_at(asked)
    except (NoAccessError, OSError) as error:
        raise AgainError(f"{error}; announce it again") from None
    except InputError as error:
        reason = str(error)
    return Arriving(
        problem=asked.problem.name,
        begins=asked.stage,
        parameters=asked.parameters,
        options=asked.options,
        source=source or _source(asked),
        content=content,
        key=key,
        series=json.dumps(said, sort_keys=True),
        reason=reason,
    )


def _source(asked: Asked) -> str:
    """What the rows are from, for people: the file that a parameter names, else the problem."""
    named = (asked.parameters.get(name) for name in asked.problem.piped)
    place = next(filter(None, named), None)
    return places.title_of(str(place)) if place else asked.problem.name


def _new_rows(asked: Asked, params: Params, schema: dict[str, Any]) -> str | None:
    """Digest of the rows that a model is to predict; None if only reading tells."""
    found: str | None = asked.problem.unseen_fingerprint(params)
    asked.problem.require_new(params, schema)
    return found


def _predicting(asked: Asked) -> tuple[Params, dict[str, Any]]:
    """How the model that will predict, as far as is known now, has its rows read."""
    problem, given = asked.problem, asked.parameters
    try:
        name = model_for(problem, {one: given.get(one) for one in problem.names_models})
        reference = champion_of(name) or newest_version(name, problem.name)
        model = _loaded(reference)
    except InputError:
        raise
    except Exception as error:  # whatever MLflow says that is away
        reason = " ".join(str(error).split())[:300]
        raise AgainError(f"the model cannot be looked at: {reason}; announce it again") from error
    other = {one: value for one, value in given.items() if one not in problem.names_models}
    return params_of(problem, reference, model, other), model.origin["schema"]


@lru_cache(maxsize=_MODELS_HELD)
def _loaded(reference: ModelRef) -> models.FittedModel:
    return load_model.fn(reference)
