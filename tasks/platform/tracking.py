"""MLflow: runs, the registry, and its database. The one module that imports mlflow.

mlflow is imported inside the functions: it takes longer to import than most stages to run.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock
from prefect import task
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from baton import disk, distribution, models, tuning
from baton.chain.events import DatasetReady, ModelEvaluated, ModelRef, TableRef, registered_name
from baton.chain.stored import digest_of_folder, model_folder
from baton.errors import InputError, NoModelError
from baton.lineage import digest_of, lineage_of
from baton.mlflow_internals import compare_versions_by_name
from baton.models.answers import serving_example
from baton.problems import Problem
from baton.relational.database import Database
from baton.settings import settings
from baton.words.text import did_you_mean, listed
from tasks.platform import mlflow_store, results
from tasks.platform import pages as own_pages

log = logging.getLogger(__name__)

_KEY_TAG = "baton.key"
_DIGEST_TAG = "baton.digest"
_PROBLEM_TAG = "baton.problem"
_TARGET_TAG = "baton.target"
_CHAIN_TAG = "baton.chain"
_PAGE_TAG = "baton.page"
"""Of a model version: address of its chain's page."""

_FILES_TAG = "baton.files"
"""Of a model version or a run: digest of the files that were logged."""

_GONE_TAG = "baton.gone"
"""Of a run whose version is being deleted."""

CHAMPION = "champion"
"""Alias of the version that answers."""

_MOST_VERSIONS = 1000
"""Of a model that are listed."""

PREVIOUS = "previous"
"""Alias of the version that was the champion before."""

_PASSING = {"TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "DEADLINE_EXCEEDED"}
"""What MLflow's errors are called that are of the moment."""

_DATABASES = ("sqlite", "postgresql", "mysql", "mariadb", "mssql")
"""What the addresses of stores begin with that keep no artifacts."""

_PROFILE = "profile"
"""Folder of a run's artifacts: what is known of the training rows."""

_NOTE_TAG = "mlflow.note.content"
"""What MLflow's pages show as a run's description."""

_PARENT_TAG = "mlflow.parentRunId"
_REQUIREMENTS = (
    distribution.NAME,
    "lightgbm",
    "numpy",
    "pandas",
    "pydantic",
    "scikit-learn",
    "scipy",
    "skops",
    "xgboost",
)

_EXTRAS = ("catboost",)
"""Families whose library is an extra of that name."""


def pages() -> Callable[..., Awaitable[None]]:
    """MLflow's pages and API, an ASGI application; ``mlflow server`` says of which store."""
    from mlflow.server.fastapi_app import app

    found: Callable[..., Awaitable[None]] = app
    return found


def ensure_store() -> None:
    """Create MLflow's SQLite schema, once and by one process.

    Every process that opens an empty database would create the schema, and they would get in
    each other's way.
    """
    if is_store_ready():
        _require_reachable(settings().mlflow_tracking_uri)
        return
    with mlflow_store.making() as is_to_do:
        if is_to_do:
            is_new = not mlflow_store.database().exists()
            _client().search_experiments(max_results=1)
            mlflow_store.made(is_new=is_new)


@cache
def _require_reachable(uri: str) -> None:
    """Ask a database that was given once: MLflow would ask it for an hour, and take no answer.

    Raises
    ------
    InputError
        If it refuses; without the password.
    ConnectionError
        If it does not answer, asked again for some seconds.
    """
    if not uri.startswith(("postgresql", "mysql", "mariadb")):
        return
    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        raise InputError("setting BATON_MLFLOW_TRACKING_URI: it is no SQLAlchemy URL") from None
    database = Database(url.render_as_string())
    for wait in (*results.RETRY_SECONDS, None):
        try:
            with database.connect(password=url.password or ""):
                return
        except ConnectionError:
            if wait is None:
                raise
            time.sleep(wait)
        except InputError as error:
            said = str(error).replace(" (BATON_DATABASE_PASSWORD or secret)", " in it")
            raise InputError(f"setting BATON_MLFLOW_TRACKING_URI: {said}") from None


def is_store_ready() -> bool:
    """Tell whether there is no schema left to create."""
    return bool(settings().mlflow_tracking_uri) or mlflow_store.is_made()


def _client() -> Any:
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    mlflow.environment_variables.MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)  # type: ignore[no-untyped-call]
    mlflow.set_tracking_uri(_without_login(settings().tracking_uri))
    return mlflow.MlflowClient()


def _without_login(uri: str) -> str:
    """Address of a tracking server whose login MLflow is told apart: it prints the address."""
    parts = urlsplit(uri)
    if not uri.startswith("http") or "@" not in parts.netloc:
        return uri
    from mlflow.environment_variables import MLFLOW_TRACKING_PASSWORD, MLFLOW_TRACKING_USERNAME

    MLFLOW_TRACKING_USERNAME.set(unquote(parts.username or ""))  # type: ignore[no-untyped-call]
    MLFLOW_TRACKING_PASSWORD.set(unquote(parts.password or ""))  # type: ignore[no-untyped-call]
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


@dataclass(frozen=True)
class Registered:
    """What is registered of a problem under one name."""

    name: str
    """In MLflow's registry."""
    problem: str
    target: str
    """Column that is predicted; empty where an earlier version of Baton registered it."""
    version: int
    """The newest."""
    champion: int | None
    """Version that carries the alias ``champion``."""
    updated: datetime

    @property
    def short(self) -> str:
        """Name among the problem's models; empty for its only one."""
        return self.name.removeprefix(registered_name(self.problem)).removeprefix("-")


def registered_models(problem: str = "") -> list[Registered]:
    """What is registered of a problem, or of all, by name; nothing where nothing ever was."""
    if not is_store_ready():
        return []
    ensure_store()
    found: list[Registered] = []
    token = None
    while True:
        page = _client().search_registered_models("name LIKE 'baton-%'", page_token=token)
        found += [one for each in page for one in _registered(each)]
        token = page.token
        if not token:
            break
    return [one for one in found if problem in {"", one.problem}]


def _registered(found: Any) -> Iterator[Registered]:
    """What MLflow says of a registered model, if it has a version of ours."""
    if newest := max((int(one.version) for one in found.latest_versions or []), default=0):
        champion = (found.aliases or {}).get(CHAMPION)
        yield Registered(
            name=found.name,
            problem=found.tags.get(_PROBLEM_TAG, found.name.removeprefix("baton-")),
            target=found.tags.get(_TARGET_TAG, ""),
            version=newest,
            champion=int(champion) if champion else None,
            updated=_time(found.last_updated_timestamp),
        )


@dataclass(frozen=True)
class Version:
    """A version of a registered model, as one that may be removed."""

    name: str
    """Of the registered model."""
    number: int
    problem: str
    run_id: str
    aliases: tuple[str, ...]
    """That it carries, whoever gave them."""
    is_newest: bool
    """Whether it is the last one: what answers where there is no champion."""
    made: datetime


def versions() -> list[Version]:
    """Every version of Baton's registered models; none where nothing ever was registered.

    Raises
    ------
    ConnectionError
        If MLflow cannot be asked.
    """
    if not is_store_ready() and not (settings().mlflow / "mlflow.db").exists():
        return []
    ensure_store()
    client, token = _client(), None
    found: list[Version] = []
    with _reached():
        while True:
            page = client.search_registered_models("name LIKE 'baton-%'", page_token=token)
            found += [one for each in page for one in _versions_of(client, each)]
            token = page.token
            if not token:
                return found


@contextmanager
def _reached() -> Iterator[None]:
    """Say in one line that MLflow does not answer, or not as expected."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise ConnectionError(" ".join(str(error).split())[:300]) from None


def _versions_of(client: Any, model: Any) -> Iterator[Version]:
    aliases = model.aliases or {}
    every = client.search_model_versions(f"name='{model.name}'")
    newest = max((int(one.version) for one in every), default=0)
    for one in every:
        if _DIGEST_TAG in one.tags:  # Baton's own
            number = int(one.version)
            yield Version(
                name=model.name,
                number=number,
                problem=model.tags.get(_PROBLEM_TAG, model.name.removeprefix("baton-")),
                run_id=one.run_id,
                aliases=tuple(sorted(a for a, of in aliases.items() if int(of) == number)),
                is_newest=number == newest,
                made=datetime.fromtimestamp(one.creation_timestamp / 1000, UTC),
            )


def bytes_of(version: Version) -> int:
    """Bytes of a version's files, and of what was logged with it, on this machine."""
    return sum(map(_size, _places(_client(), version.run_id)))


def delete_version(version: Version) -> bool:
    """Delete a version, its run and their files, unless it carries an alias by now.

    It is marked, and leaves the registry first: whoever is killed meanwhile leaves files that no
    version has, which :func:`delete_marked` removes.

    Returns
    -------
    bool
        Whether it is gone.
    """
    client = _client()
    if version.number in aliases_of(version.name).values():
        return False
    client.set_tag(version.run_id, _GONE_TAG, "yes")
    client.delete_model_version(version.name, str(version.number))
    _delete_run(client, version.run_id)
    return True


def delete_marked() -> int:
    """Delete what was being deleted when somebody was killed; how many runs that was of."""
    if not is_store_ready():
        return 0
    ensure_store()
    client = _client()
    experiments = [
        one.experiment_id for one in client.search_experiments(filter_string="name LIKE 'baton-%'")
    ]
    from mlflow.entities import ViewType

    marked = f"tags.`{_GONE_TAG}`='yes'"
    found = client.search_runs(experiments, marked, ViewType.ALL) if experiments else []
    left = [one.info.run_id for one in found if _is_left(client, one)]
    for run_id in left:
        _delete_run(client, run_id)
    return len(left)


def _is_left(client: Any, run: Any) -> bool:
    """Tell whether a run that was marked is there still, though no version is of it."""
    run_id, is_active = run.info.run_id, run.info.lifecycle_stage == "active"
    is_there = is_active or any(map(_size, _places(client, run_id)))
    return is_there and not client.search_model_versions(f"run_id='{run_id}'")


def _delete_run(client: Any, run_id: str) -> None:
    """Empty the folders of a run and of the models that it logged, and delete them all."""
    run = client.get_run(run_id)
    for place in _places(client, run_id):  # the folder itself stays: MLflow's own `gc` looks for it
        for inner in place.iterdir():
            shutil.rmtree(inner) if inner.is_dir() and not inner.is_symlink() else inner.unlink()
    for one in _logged_models(run):
        with _unless_gone():
            client.delete_logged_model(one)
    if run.info.lifecycle_stage == "active":
        client.delete_run(run_id)


def _places(client: Any, run_id: str) -> list[Path]:
    """Folders of this machine in which files of a run and of its models are."""
    run = client.get_run(run_id)
    uris = [run.info.artifact_uri]
    for one in _logged_models(run):
        with _unless_gone():
            uris.append(client.get_logged_model(one).artifact_location)
    own = (settings().mlflow / "artifacts").resolve()
    places = [Path(url2pathname(urlsplit(uri).path)) for uri in uris if uri.startswith("file:")]
    return [one for one in places if one.is_dir() and one.resolve() == one and own in one.parents]


def _logged_models(run: Any) -> list[str]:
    outputs = run.outputs.model_outputs if run.outputs else []
    return [one.model_id for one in outputs]


@contextmanager
def _unless_gone() -> Iterator[None]:
    """Pass over what MLflow does not have any more."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise


def _size(folder: Path) -> int:
    return sum(one.lstat().st_size for one in folder.rglob("*") if not one.is_dir())


def model_for(problem: Problem[Any], asked: Mapping[str, Any]) -> str:
    """Name in the registry of the model that is asked for.

    Parameters
    ----------
    problem : Problem
    asked : mapping
        Its name or its target, where the problem has several models; else nothing is looked at.

    Raises
    ------
    NoModelError
        If there is none, or none such.
    InputError
        If there are several such; with their names.
    """
    if not problem.names_models:
        return registered_name(problem.name)
    every = registered_models(problem.name)
    name, target = asked.get("name"), asked.get("target")
    fit = [one for one in every if name in {one.short, one.name}] if name else every
    if target and not name:
        fit = [one for one in every if one.target == target]
    if len(fit) == 1:
        return fit[0].name
    raise _not_one(problem.name, name, target, fit or every, is_none=not fit)


def _not_one(
    problem: str, name: str | None, target: str | None, every: list[Registered], *, is_none: bool
) -> InputError:
    if not every:
        return NoModelError(f"there is no model of {problem}; `baton run {problem}` trains one")
    names = [one.short or one.name for one in every]
    if not is_none:
        return InputError(
            f"{problem} has {len(every)} models: say which by -p name=…; there are:"
            f" {listed(names, 20, last=', ')}"
        )
    asked = f"called {name!r}" if name else f"of target {target!r}"
    hint = did_you_mean(name, names) if name else ""
    there = f"there are: {listed(names, 20, last=', ')}"
    return NoModelError(f"there is no model of {problem} {asked}; {hint}{there}")


def find_version(name: str, key: str) -> ModelRef | None:
    """Model version that is registered under this key, if there is one whose files are whole."""
    ensure_store()
    found = _client().search_model_versions(f"name='{name}' and tags.`{_KEY_TAG}`='{key}'")
    for one in sorted(found, key=lambda v: int(v.version)):
        if reason := _damage(one):
            log.warning("%s", reason)
        else:
            return _reference(one)
    return None


def _digest(folder: Path) -> str:
    """Digest of a version's files, without what MLflow adds when it loads them by their name."""
    return digest_of_folder(folder, without="registered_model_meta")


def _damage(found: Any) -> str:
    """What is wrong with a version's files; empty if they are those that were logged."""
    reference = _reference(found)
    try:
        with _files(reference) as folder:
            _checked(folder, reference)
            if found.tags.get(_FILES_TAG) not in {None, _digest(folder)}:
                return f"model {reference.uri}: its files are not those that were logged"
    except InputError as error:
        return str(error)
    return ""


def newest_version(name: str, problem: str, version: int | None = None) -> ModelRef:
    """Newest version of a registered model of a problem, or the one asked for.

    Raises
    ------
    InputError
        If there is none.
    """
    ensure_store()
    found = _client().search_model_versions(
        f"name='{name}'", order_by=["version_number DESC"], max_results=_MOST_VERSIONS
    )
    ours = [one for one in found if _DIGEST_TAG in one.tags]
    if version is not None:
        ours = [one for one in ours if int(one.version) == version]
    if not ours:
        what = f"version {version} of model {name}" if version else f"model {name}"
        raise NoModelError(f"there is no {what}; `baton run {problem}` trains one")
    return _reference(ours[0])


def versions_of(name: str) -> list[tuple[ModelRef, datetime]]:
    """Versions of a registered model, with when each was registered, the newest first."""
    if not is_store_ready():
        return []
    ensure_store()
    found = _client().search_model_versions(
        f"name='{name}'", order_by=["version_number DESC"], max_results=_MOST_VERSIONS
    )
    ours = [one for one in found if _DIGEST_TAG in one.tags]
    return [(_reference(one), _time(one.creation_timestamp)) for one in ours]


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def champion_of(name: str) -> ModelRef | None:
    """Version of a registered model that carries the alias ``champion``; None if none does."""
    found = aliases_of(name).get(CHAMPION)
    return None if found is None else version_of(name, found)


def aliases_of(name: str) -> dict[str, int]:
    """Version of each alias of a registered model; empty where nothing is registered."""
    from mlflow.exceptions import MlflowException

    ensure_store()
    try:
        found = _client().get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {}
    return {alias: int(version) for alias, version in found.items()}


def version_of(name: str, number: int) -> ModelRef | None:
    """Version of a registered model by its number; None if it is gone, or none of Baton's."""
    from mlflow.exceptions import MlflowException

    try:
        found = _client().get_model_version(name, str(number))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return _reference(found) if _DIGEST_TAG in found.tags else None


def move_aliases(name: str, wanted: Mapping[str, int | None]) -> None:
    """Give each alias to a version, or to none; what is so already is left."""
    client, there = _client(), aliases_of(name)
    for alias, number in wanted.items():
        if number is None and alias in there:
            client.delete_registered_model_alias(name, alias)
        elif number is not None and there.get(alias) != number:
            client.set_registered_model_alias(name, alias, str(number))


def tag_version(reference: ModelRef, tags: Mapping[str, str]) -> None:
    """Say something of a version in tags of it."""
    client = _client()
    for tag, value in tags.items():
        client.set_model_version_tag(reference.name, str(reference.version), tag, value)


def facts_of_version(reference: ModelRef) -> dict[str, str]:
    """Chain, problem and target of a version.

    Raises
    ------
    InputError
        If MLflow does not say them: an early version of Baton registered it.
    """
    client = _client()
    of_run, of_model = (
        client.get_run(reference.run_id).data.tags,
        client.get_registered_model(reference.name).tags,
    )
    found = {
        "chain": of_run.get(_CHAIN_TAG),
        "problem": of_model.get(_PROBLEM_TAG),
        "target": of_model.get(_TARGET_TAG),
    }
    if missing := [name for name, value in found.items() if not value]:
        raise InputError(
            f"model {reference.uri} does not say its {listed(missing)}: an early version of Baton"
            " registered it; run its chain again, which registers it anew"
        )
    return found


def _reference(found: Any) -> ModelRef:
    return ModelRef(
        name=found.name,
        version=int(found.version),
        run_id=found.run_id,
        digest=found.tags[_DIGEST_TAG],
    )


@task(name="register model", persist_result=False)
def register(
    fitted: models.FittedModel,
    data: DatasetReady,
    key: str,
    params: dict[str, Any],
    example: Any,
) -> ModelRef:
    """Log the model with its parameters and register it as a version, once for each key.

    Parameters
    ----------
    fitted : FittedModel
    data : DatasetReady
    key : str
        Key of the version; one that is registered under it already is left as it is.
    params : dict
    example : DataFrame
        A few rows of features, kept with the model as its input example.

    Raises
    ------
    InputError
        If the model's file cannot be loaded again, or then predicts otherwise.
    """
    if found := find_version(data.model_name, key):
        return found
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        fitted.save(path)
        models.check_file(fitted, path, example)
        return _register(fitted, data, key, params, example, path)


def _register(
    fitted: models.FittedModel,
    data: DatasetReady,
    key: str,
    params: dict[str, Any],
    example: Any,
    path: Path,
) -> ModelRef:
    with _run(data, key) as run_id:
        client = _client()
        _log_params(client, run_id, params)
        digest = digest_of_folder(path)
        logged = _log_model(fitted, path, example, run_id)
        name = data.model_name
        _ensure_registered(client, name, data)
        made = client.create_model_version(
            name,
            logged.model_uri,
            run_id=run_id,
            tags={_KEY_TAG: key, _DIGEST_TAG: digest},
            model_id=logged.model_id,  # a server takes no model of another run's
        )
        reference = ModelRef(name=name, version=int(made.version), run_id=run_id, digest=digest)
        with _files(reference) as files:
            client.set_model_version_tag(name, made.version, _FILES_TAG, _digest(files))
    log.info("registered %s version %s", name, made.version)
    return reference


@contextmanager
def _run(data: DatasetReady, key: str, what: str = "", *, is_once: bool = False) -> Iterator[str]:
    """MLflow run of this key: the one that a killed attempt left open, or a new one.

    What is there once is logged into the run that is there, also if that has ended.
    """
    from mlflow.exceptions import MlflowException

    client = _client()
    experiment = _experiment(client, data.problem)
    of_key = f"tags.`{_KEY_TAG}`='{key}'"
    left = client.search_runs(
        [experiment], of_key if is_once else f"{of_key} and attributes.status != 'FINISHED'"
    )
    tags = {_KEY_TAG: key, _CHAIN_TAG: data.chain, _PROBLEM_TAG: data.problem}
    name = f"{what} {data.problem} {data.chain[:6]}".strip()
    run_id = (
        left[0].info.run_id
        if left
        else client.create_run(experiment, tags=tags, run_name=name).info.run_id
    )
    try:
        yield run_id
    except MlflowException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id, "FINISHED")


def _experiment(client: Any, problem: str) -> str:
    name = registered_name(problem)
    with FileLock(settings().locks / "experiment.lock"):
        found = client.get_experiment_by_name(name)
        if found:
            return str(found.experiment_id)
        place = None  # where its server says
        if settings().tracking_uri.startswith(_DATABASES):  # which says: in the working folder
            place = (settings().mlflow / "artifacts" / problem).as_uri()
        return str(client.create_experiment(name, artifact_location=place))


def _ensure_registered(client: Any, name: str, data: DatasetReady) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(
            name,
            tags={_PROBLEM_TAG: data.problem, _TARGET_TAG: data.target},
            description=f"Models of Baton's problem {data.problem}",
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _log_params(client: Any, run_id: str, params: dict[str, Any]) -> None:
    from mlflow.entities import Param

    client.log_batch(run_id, params=[Param(name, str(value)) for name, value in params.items()])


def _log_model(fitted: models.FittedModel, path: Path, example: Any, run_id: str) -> Any:
    """Keep the model; what MLflow says of it."""
    import mlflow

    compare_versions_by_name()
    with mlflow.start_run(run_id=run_id, log_system_metrics=False):
        return mlflow.pyfunc.log_model(
            name="model",
            loader_module="baton.models",
            data_path=str(path),
            signature=signature_of(fitted, example),
            input_example=serving_example(example),
            pip_requirements=_required(fitted),
        )


def _required(fitted: models.FittedModel) -> list[str]:
    """Distributions that answering takes; an extra's, or a plug-in's, only where it is used."""
    names = [*_REQUIREMENTS, *sorted(set(fitted.families) & set(_EXTRAS))]
    brought = filter(None, map(models.package_of, fitted.families))
    return [f"{name}=={of}" for name, of in [*((one, _installed(one)) for one in names), *brought]]


@cache
def _installed(distribution: str) -> str:
    """Version of a distribution: finding it means to read all that the distribution says."""
    return version(distribution)


def signature_of(fitted: models.FittedModel, example: Any) -> Any:
    """Signature in which every column may be missing a value."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    from baton.terms import ColumnType

    types = {
        ColumnType.NUMBER: DataType.double,
        ColumnType.FLAG: DataType.boolean,
        ColumnType.CATEGORY: DataType.string,
        ColumnType.TEXT: DataType.string,
        ColumnType.DATETIME: DataType.datetime,
    }
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(types[column.role], column.name, required=False)
        for column in fitted.encoder.columns
    ]
    from mlflow.models import infer_signature

    outputs = infer_signature(model_output=fitted.predict(example)).outputs
    return ModelSignature(inputs=Schema(inputs), outputs=outputs)


@task(name="log search", persist_result=False)
def log_search(data: DatasetReady, key: str, trials: Any, pictures: Mapping[str, bytes]) -> None:
    """Log a search: a run with its best hyperparameters and pictures, a nested run per trial.

    Parameters
    ----------
    data : DatasetReady
    key : str
        Place of the table of trials: a search that is logged already is not logged again.
    trials : Table
        Made by :func:`baton.tuning.as_table`, with its lineage.
    pictures : mapping of file name to bytes of a PNG
    """
    ensure_store()
    facts, lines = lineage_of(trials.schema), trials.to_pylist()
    best = next(line for line in lines if line["trial"] == facts["best"])
    with _run(data, digest_of(key)[:32], "tune", is_once=True) as run_id:
        client = _client()
        found = {"study": facts["study"], "metric": facts["metric"], "best_trial": facts["best"]}
        _log_params(client, run_id, found | facts["params"])
        _log_values(client, run_id, {facts["metric"]: best["value"], "n_trials": len(lines)})
        for line in lines[_logged_trials(client, run_id) :]:
            _log_trial(client, run_id, line, facts["metric"])
        _log_pictures(client, run_id, pictures)


def _logged_trials(client: Any, run_id: str) -> int:
    experiment = client.get_run(run_id).info.experiment_id
    nested = f"tags.`{_PARENT_TAG}`='{run_id}' and attributes.status != 'RUNNING'"
    found, token = 0, None
    while True:
        page = client.search_runs([experiment], nested, max_results=1000, page_token=token)
        found, token = found + len(page), page.token
        if not token:
            return found


def _log_trial(client: Any, parent: str, line: dict[str, Any], metric: str) -> None:
    """Log one trial as a run below the search's, at the time when it ran."""
    experiment = client.get_run(parent).info.experiment_id
    began, ended = (int(line[end].timestamp() * 1000) for end in ("began", "ended"))
    tags = {_PARENT_TAG: parent, "baton.trial": str(line["trial"]), "state": line["state"]}
    run = client.create_run(
        experiment, start_time=began, tags=tags, run_name=f"trial {line['trial']}"
    )
    params = {
        name.removeprefix(tuning.PREFIX): value
        for name, value in line.items()
        if name.startswith(tuning.PREFIX) and value is not None
    }
    _log_params(client, run.info.run_id, params)
    if line["value"] is not None:
        _log_values(client, run.info.run_id, {metric: line["value"]})
    status = "FAILED" if line["state"] == "fail" else "FINISHED"
    client.set_terminated(run.info.run_id, status, end_time=ended)


@task(name="load model", persist_result=False)
def load_model(reference: ModelRef) -> models.FittedModel:
    """Load a registered model after checking that it is the one that was announced.

    Raises
    ------
    InputError
        If the version is gone or its files were altered.
    """
    ensure_store()
    with _files(reference) as folder:
        return models.load(_checked(folder, reference))


@contextmanager
def _files(reference: ModelRef) -> Iterator[Path]:
    """Copy of what MLflow keeps of a version."""
    import mlflow

    client = _client()
    with tempfile.TemporaryDirectory() as folder:
        with _fetched(f"model {reference.uri} cannot be loaded", "trains it anew"):
            uri = client.get_model_version_download_uri(reference.name, str(reference.version))
            copy = mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder)
        yield Path(copy)


@contextmanager
def _fetched(failure: str, mend: str) -> Iterator[None]:
    """Say in one line that MLflow's files are not to be had, unless it is of the moment.

    Parameters
    ----------
    failure : str
        What cannot be done.
    mend : str
        What running the chain again does.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError, pa.ArrowInvalid) as error:
        if disk.is_of_disk(error) or getattr(error, "error_code", "") in _PASSING:
            raise
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{failure}: {reason}; run its chain again, which {mend}") from None


def _checked(folder: Path, reference: ModelRef) -> Path:
    path = model_folder(folder / "MLmodel")
    if digest_of_folder(path) != reference.digest:
        raise InputError(
            f"model {reference.uri} is not the one that was announced (SHA-256 differs); run its"
            " chain again, which trains it anew"
        )
    return path


@task(name="log evaluation", persist_result=False)
def log_evaluation(
    evaluated: ModelEvaluated, pictures: Mapping[str, bytes], profile: Iterable[TableRef]
) -> None:
    """Log metrics, tables, pictures, profile, report and data set to the model's run.

    Parameters
    ----------
    evaluated : ModelEvaluated
    pictures : mapping of file name to bytes of a PNG
    profile : iterable of TableRef
        What is known of the training rows, for a look at new ones.
    """
    from mlflow.data.pandas_dataset import from_pandas

    client, run_id, data = _client(), evaluated.model.run_id, evaluated.data
    _log_metrics(client, run_id, evaluated)
    client.set_tag(run_id, _NOTE_TAG, f"**{data.title}**\n\n{evaluated.summary}{_link(data.chain)}")
    _link_version(client, evaluated)
    for name, value in evaluated.scores.items():
        client.set_model_version_tag(
            evaluated.model.name, str(evaluated.model.version), name, f"{value:.6g}"
        )
    _log_tables(client, run_id, evaluated)
    _log_pictures(client, run_id, pictures)
    for table in profile:
        client.log_artifact(run_id, str(results.checked(table)), _PROFILE)
    client.log_artifact(run_id, str(results.report_path(evaluated.report.key)))
    dataset = from_pandas(
        results.head(data.features, 100).to_pandas(),
        source=str(results.path_of(data.features.key)),
        name=data.problem,
        digest=data.features.digest[:8],
    )
    client.log_inputs(run_id, [_dataset_input(dataset)])
    if folder := _local_files(run_id):
        client.set_tag(run_id, _FILES_TAG, digest_of_folder(folder))


def _link(chain: str) -> str:
    """Link to the chain's page in Markdown, as a paragraph; empty if no pages stand."""
    page = own_pages.of_chain(chain)
    return f"\n\n[Chain {chain} on Baton's pages]({page})" if page else ""


def _link_version(client: Any, evaluated: ModelEvaluated) -> None:
    """Have a version lead to the page of its chain, if pages stand."""
    if not (page := own_pages.of_chain(evaluated.chain)):
        return
    name, number = evaluated.model.name, str(evaluated.model.version)
    client.set_model_version_tag(name, number, _PAGE_TAG, page)
    said = f"{evaluated.data.title}{_link(evaluated.chain)}"
    client.update_model_version(name, number, description=said)


def profile_of_version(reference: ModelRef) -> dict[str, pa.Table]:
    """Tables by name of what is known of a version's training rows; none if it keeps none.

    Raises
    ------
    InputError
        If one cannot be read.
    """
    import mlflow

    ensure_store()
    failure = f"the profile of {reference.uri} cannot be read"
    with tempfile.TemporaryDirectory() as folder, _fetched(failure, "makes it anew"):
        if not _client().list_artifacts(reference.run_id, _PROFILE):
            return {}
        place = mlflow.artifacts.download_artifacts(
            run_id=reference.run_id, artifact_path=_PROFILE, dst_path=folder
        )
        return {one.stem: pq.read_table(one) for one in Path(place).glob("*.parquet")}


def is_log_whole(run_id: str) -> bool:
    """Tell whether the files that were logged to a run are there, as they were logged.

    Where MLflow keeps them elsewhere than in files of this machine, that is not looked into.
    """
    ensure_store()
    folder = _local_files(run_id)
    if folder is None:
        return True
    found = _client().get_run(run_id).data.tags.get(_FILES_TAG)
    return found is not None and found == digest_of_folder(folder)


def _local_files(run_id: str) -> Path | None:
    uri = _client().get_run(run_id).info.artifact_uri
    return Path(url2pathname(urlsplit(uri).path)) if uri.startswith("file:") else None


def _log_tables(client: Any, run_id: str, evaluated: ModelEvaluated) -> None:
    tables = {
        "metrics": evaluated.metrics,
        "permutation_importance": evaluated.permutation_importance,
        "shap_global": evaluated.shap_global,
        **({"leaderboard": evaluated.leaderboard} if evaluated.leaderboard else {}),
    }
    with tempfile.TemporaryDirectory() as folder:  # log_table would append to an earlier one
        for name, table in tables.items():
            frame = results.read(table).to_pandas()
            frame.to_json(Path(folder) / f"{name}.json", orient="split", index=False)
        client.log_artifacts(run_id, folder)


def _log_pictures(client: Any, run_id: str, pictures: Mapping[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in pictures.items():
            (Path(folder) / name).write_bytes(content)
        client.log_artifacts(run_id, folder, "pictures")


def _log_metrics(client: Any, run_id: str, evaluated: ModelEvaluated) -> None:
    values = dict(evaluated.scores)
    for name, (low, high) in evaluated.intervals.items():
        values |= {f"{name}_low": low, f"{name}_high": high}
    _log_values(client, run_id, values)


def _log_values(client: Any, run_id: str, values: dict[str, float]) -> None:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    client.log_batch(run_id, metrics=[Metric(name, v, now, 0) for name, v in values.items()])


def _dataset_input(dataset: Any) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    facts = Dataset(**dataset.to_dict())
    return DatasetInput(facts, [InputTag("mlflow.data.context", "training")])


def champion_scores(data: DatasetReady) -> dict[str, float]:
    """Scores of the version that carries the alias ``champion``, if it was scored on these rows.

    Empty if none does, or if it learnt from other features or was scored on other rows.
    """
    from mlflow.exceptions import MlflowException

    try:
        champion = _client().get_model_version_by_alias(data.model_name, CHAMPION)
    except MlflowException:
        return {}
    found = _client().get_run(champion.run_id).data
    is_same = found.params.get("features_digest") == data.features.digest
    return dict(found.metrics) if is_same else {}


if __name__ == "__main__":
    try:
        ensure_store()
    except (InputError, ConnectionError) as unusable:
        raise SystemExit(str(unusable)) from None
