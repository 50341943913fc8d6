"""Beginning a chain by a form: the fields of a problem, what is checked, and the order.

What is checked of an order is in ``tasks/platform/orders.py``, the same as for the command.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from baton.errors import InputError
from baton.problems import Problem
from baton.sources import local
from baton.terms import Options
from serving.pages import forms
from serving.pages.desk import Desk
from serving.pages.forms import Form
from tasks.platform import orders
from tasks.platform.api import ApiError
from tasks.platform.orders import Asked
from tasks.platform.server import Order


class RefusedError(Exception):
    """A form that begins nothing: with what is wrong."""

    def __init__(self, form: Form, status: int = 422) -> None:
        super().__init__(form.error or ", ".join(one.error for one in form.wrong))
        self.form = form
        self.status = status


def form_of(problem: Problem[Any]) -> Form:
    """Fields of a problem's parameters, and of the options of any chain."""
    own = forms.form_of(problem.params)
    return forms.joined(own, forms.form_of(Options, but=problem.params.model_fields))


def begun(desk: Desk, problem: Problem[Any], typed: Mapping[str, str]) -> str:
    """Begin a chain by what was typed.

    Returns
    -------
    str
        Its id.

    Raises
    ------
    RefusedError
        If what was typed is refused, or the server does not answer.
    """
    form = form_of(problem).filled(typed)
    if said := forms.unknown(typed, form):
        raise RefusedError(form.refused({}, said))
    with local.meant_from(desk.folder):
        asked = _checked(problem, form)
    try:
        return desk.server.begin(Order.of(asked), desk.manifest).chain_id
    except ApiError as error:
        raise RefusedError(form.refused({}, f"nothing has begun: {error}"), 503) from None


def _checked(problem: Problem[Any], form: Form) -> Asked:
    given = form.given
    own = {name: value for name, value in given.items() if name in problem.params.model_fields}
    others = {name: value for name, value in given.items() if name not in own}
    errors = forms.errors_of(problem.params, own) | forms.errors_of(Options, others)
    if errors:
        raise RefusedError(form.refused(errors, errors.get("", "")))
    try:
        asked = orders.data_set(problem.name, given)
        orders.look_at(asked)
    except InputError as error:
        raise RefusedError(form.refused_by(error)) from None
    except OSError as error:
        raise RefusedError(form.refused({}, f"{error}; try it again")) from None
    return asked
