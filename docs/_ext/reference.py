"""The reference, as Markdown made from the code: what the code does not describe is an error.

Each function gives one part of a page. Where the parts stand is decided by the pages, how they
get there by ``baton_site.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

import docstring_parser
from fastapi.routing import APIRoute
from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo
from typenames import code, default, label, limits, type_name

from baton import problems
from baton.chain import manifest
from baton.chain.events import Announcement, DataArrived, Event, EventName, kind_of
from baton.cli import app
from baton.evaluation import metrics
from baton.models import FAMILIES, Explain
from baton.models.space import Categorical, Float, Int
from baton.relational.primitives import AGGREGATIONS, TRANSFORMS
from baton.settings import Settings
from baton.terms import Options
from serving.pages.application import PAGES
from tasks.platform.places import MANIFEST

_FEW, _MANY = 1_000, 100_000
"""Numbers of rows for which a model's defaults are shown, where they differ."""

_EXPLAINED = {
    Explain.TREE: "exactly, by TreeSHAP",
    Explain.LINEAR: "exactly, from its coefficients",
    Explain.ANY: "by Shapley's formula over a background sample; drawn where columns are many",
}


class UndescribedError(LookupError):
    """Something that a user can write has no description in the code."""


def described(text: str | None, what: str) -> str:
    """Return a description in one line.

    Raises
    ------
    UndescribedError
        If there is none.
    """
    line = " ".join((text or "").split())
    if not line:
        raise UndescribedError(f"{what} has no description")
    return line


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Markdown table."""
    cells = [list(header)]
    cells += [["---"] * len(cells[0])]
    cells += [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


# --- models of pydantic ---------------------------------------------------------------------------


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo, str]]:
    for name, field in model.model_fields.items():
        yield field.alias or name, field, described(field.description, f"{model.__name__}.{name}")


def fields(model: type[BaseModel], column: str = "name") -> str:
    """Table of a model's fields: type, limits, default, description."""
    rows = [
        [
            code(name),
            ", ".join(filter(None, [type_name(field.annotation), limits(field.metadata)])),
            "needed" if field.is_required() else default(field.get_default()),
            text,
        ]
        for name, field, text in _fields(model)
    ]
    return table([column, "type", "default", "what it is"], rows)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _below(model: type[BaseModel]) -> list[type[BaseModel]]:
    """Models in a model's fields, and in theirs, each once."""
    found = [model]
    for one in found:
        inside = [m for f in one.model_fields.values() for m in _models_in(f.annotation)]
        found += [m for m in dict.fromkeys(inside) if m not in found]
    return found[1:]


def _section(model: type[BaseModel], title: str = "", column: str = "name") -> str:
    head = f"({label(model)})=\n\n## {title or model.__name__}"
    text = described(model.__doc__, model.__name__).replace("``", "`")
    return "\n\n".join([head, text, fields(model, column)])


# --- what a page can ask for ----------------------------------------------------------------------


def commands() -> str:
    """Every command with its usage, arguments and examples."""
    return "\n\n".join(_command(name) for name in sorted(app) if not name.startswith("-"))


def _command(name: str) -> str:
    said = docstring_parser.parse(app[name].default_command.__doc__ or "")
    text = "\n\n".join(filter(None, [said.short_description, said.long_description]))
    described(text, f"command {name}")
    arguments = list(app[name].assemble_argument_collection(parse_docstring=True))
    usage = " ".join(["baton", name, *map(_usage, arguments)])
    parts = [f"## baton {name}", f"```text\n{usage}\n```", text.replace("``", "`")]
    if arguments:
        rows = [_argument(name, argument, text) for argument in arguments]
        parts.append(table(["argument", "type", "default", "what it is"], rows))
    parts += [example.description or "" for example in said.examples]
    return "\n\n".join(parts)


def _usage(argument: Any) -> str:
    word = argument.name
    if argument.index is None and argument.hint is not bool:
        is_list = argument.hint == list[str]
        word += " KEY=VALUE …" if is_list else f" {argument.name.strip('-').upper()}"
    return word if argument.field_info.required else f"[{word}]"


def _argument(command: str, argument: Any, text: str) -> list[str]:
    """Row of an argument; one that the command's text names in capitals is described there."""
    help_text = argument.parameter.help or ("See above." if argument.name in text else "")
    field = argument.field_info
    return [
        ", ".join(code(name) for name in argument.names),
        type_name(argument.hint),
        "needed" if field.required else default(field.default),
        described(help_text, f"argument {argument.name} of command {command}"),
    ]


def events() -> str:
    """Every event: who announces it, who is started by it, and its payload."""
    chain = manifest.read(MANIFEST)
    kinds = [kind for kind in map(kind_of, EventName) if kind]
    parts = [_event(kind, chain) for kind in kinds]
    nested: list[type[BaseModel]] = []
    for kind in kinds:
        nested += [m for m in _below(kind) if m not in nested and m not in kinds]
    return "\n\n".join([*parts, *(_section(model, column="field") for model in nested)])


def _event(kind: type[Announcement], chain: manifest.Manifest) -> str:
    emitter = manifest.EMITTED_BY.get(kind.event)
    is_of_chain = issubclass(kind, Event)
    who = f"the stage {code(emitter.value)}" if emitter else "any stage"
    who = who if is_of_chain else "the serve process, or `reconcile`"
    who = "whoever has data" if kind is DataArrived else who
    about = f"baton.{kind.subject}.<{'problem' if is_of_chain else 'deployment'}>"
    started = [
        f"{code(d.name)} ({', '.join(map(code, t.parameters))})"
        for d in chain.deployments
        for t in d.triggers
        if kind.event in t.expect
    ]
    head = f"({label(kind)})=\n\n## {kind.event.value}"
    facts = (
        f"Payload {code(kind.__name__)}. Announced by {who}, about the "
        f"resource {code(about)}. "
        f"Starts: {', '.join(started) or 'nothing in `prefect.yaml`'}."
    )
    text = described(kind.__doc__, kind.__name__)
    return "\n\n".join([head, text, facts, fields(kind, "field")])


def settings() -> str:
    """Every setting by its environment variable."""
    rows = [
        [code(variable(name, field)), type_name(field.annotation), default(field.default), text]
        for name, field, text in _fields(Settings)
    ]
    return table(["variable", "type", "default", "what it sets"], rows)


def variable(name: str, field: FieldInfo) -> str:
    """Environment variable of a setting."""
    if isinstance(field.validation_alias, AliasChoices):
        return str(field.validation_alias.choices[0])
    return f"{Settings.model_config['env_prefix']}{name}".upper()


def keys() -> str:
    """Every key of prefect.yaml."""
    models = [manifest.Manifest, *_below(manifest.Manifest)]
    return "\n\n".join(_section(model, column="key") for model in models)


def deployments() -> str:
    """What prefect.yaml declares now."""
    rows = [
        [code(d.name), code(d.entrypoint), _starts(d), described(d.description, d.name)]
        for d in manifest.read(MANIFEST).deployments
    ]
    return table(["deployment", "flow", "starts", "what it does"], rows)


def _starts(deployment: manifest.Deployment) -> str:
    by_event = [code(event.value) for t in deployment.triggers for event in t.expect]
    by_time = [
        code(s.cron) if s.cron else f"every {s.interval:g} s"
        for s in deployment.schedules
        if s.active
    ]
    return ", ".join([*by_event, *by_time]) or "by hand"


def options() -> str:
    """Options of any chain."""
    return fields(Options, "option")


def parameters(problem: str) -> str:
    """Parameters of one problem."""
    found = problems.get(problem)
    described(found.summary, f"problem {problem}")
    return fields(found.params, "parameter")


def models() -> str:
    """Every family of models."""
    return "\n\n".join(_family(name) for name in FAMILIES)


def _family(name: str) -> str:
    family = FAMILIES[name]
    facts = {
        "predicts": ", ".join(kind.value for kind in family.kinds),
        "encoding": ", ".join(code(one.value) for one in family.encodings),
        "missing values": "as they are" if family.takes_missing else "filled",
        "explained": _EXPLAINED[family.explain],
    }
    known = {key: type_ for kind in family.kinds for key, type_ in family.parameters(kind).items()}
    tuned = {key: space for kind in family.kinds for key, space in family.space(kind).items()}
    shown = dict.fromkeys([*family.defaults(family.kinds[0], _FEW), *tuned])
    rows = [
        [code(key), _kind_of(known.get(key, str)), _default_of(family, key), _space(tuned.get(key))]
        for key in shown
    ]
    others = [code(key) for key in known if key not in shown]
    return "\n\n".join(
        [
            f"## {name}",
            described(type(family).__doc__, f"model {name}").splitlines()[0],
            "\n".join(f"- {what}: {text}" for what, text in facts.items()),
            table(["hyperparameter", "type", "default", "searched"], rows),
            f"Also: {', '.join(others)}." if others else "",
        ]
    )


def _kind_of(annotation: Any) -> str:
    return "as in the library" if annotation is Any else type_name(annotation)


def _default_of(family: Any, key: str) -> str:
    """Value that is used where none is given; each of them where rows or kind decide."""
    found: dict[str, list[str]] = {}
    for kind in family.kinds:
        for rows in (_FEW, _MANY):
            defaults = family.defaults(kind, rows)
            if key in defaults:
                found.setdefault(default(defaults[key]), []).append(f"{rows:,} rows")
    if len(found) == 1:
        return next(iter(found))
    return "; ".join(f"{value} on {rows[0]}" for value, rows in found.items()) or "the library's"


def _space(space: Int | Float | Categorical | None) -> str:
    if space is None:
        return ""
    if isinstance(space, Categorical):
        return ", ".join(default(choice) for choice in space.choices)
    steps = f" by {space.step:g}" if space.step and space.step != 1 else ""
    return f"{space.low:g} to {space.high:g}{steps}{', by its logarithm' if space.log else ''}"


def metric_names() -> str:
    """Every metric."""
    rows = [
        [
            code(name.value),
            info.label,
            info.kind.value,
            "greater" if info.greater_is_better else "less",
            "the target's" if info.has_target_unit else "none",
            info.note,
        ]
        for name, info in metrics.INFO.items()
    ]
    return table(["name", "label", "of a", "better", "unit", "note"], rows)


def primitives() -> str:
    """Every primitive of relational features."""
    known = [("of a related table's rows", AGGREGATIONS), ("of one value", TRANSFORMS)]
    rows = [
        [code(one.name), made, " or ".join(one.takes) or "rows", one.gives.value]
        for made, group in known
        for one in group.values()
    ]
    return table(["primitive", "made", "from a", "gives a"], rows)


def pages() -> str:
    """Every address of Baton's own pages."""
    rows = [
        [code(f"{method} {route.path}"), described(route.description, f"page {route.path}")]
        for module in PAGES
        for route in module.ROUTER.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods)
    ]
    return table(["address", "what it does"], rows)


PARTS: Mapping[str, Any] = {
    "commands": commands,
    "events": events,
    "settings": settings,
    "keys": keys,
    "deployments": deployments,
    "options": options,
    "parameters": parameters,
    "models": models,
    "metrics": metric_names,
    "primitives": primitives,
    "pages": pages,
}
"""Parts by the name that a page asks for."""
