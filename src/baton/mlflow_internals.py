"""MLflow's internals: where it puts its files, and what it does that a run need not wait for.

Baton chooses the folder of all artifacts; what stands where below it is MLflow's own affair, and
who looks at it does not import MLflow. Where nothing is at the place that is known, the folder is
searched through: slower, and otherwise the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Any

from baton.internals import reach, warn
from baton.settings import Settings


def model_cards(settings: Settings, run_id: str) -> list[Path]:
    """Files ``MLmodel`` of the models that a run logged.

    MLflow tells their place by its client, whose import takes longer than the look. Without: each
    file of that name is read, wherever it stands.
    """

    def is_of_run(card: Path) -> bool:
        return run_id.encode() in card.read_bytes()

    known = "*/models/*/artifacts/MLmodel"
    return _found(settings, "models", known, "**/MLmodel", is_of_run)


def pictures(settings: Settings, run_id: str) -> list[Path]:
    """Pictures that were logged to a run.

    Needed as :func:`model_cards` is. Without: each picture below a folder of the run's name.
    """
    known = f"*/{run_id}/artifacts/pictures/*.png"
    return _found(settings, "pictures", known, f"**/{run_id}/**/pictures/*.png")


def _found(
    settings: Settings,
    what: str,
    known: str,
    anywhere: str,
    is_wanted: Callable[[Path], bool] = Path.is_file,
) -> list[Path]:
    artifacts = settings.mlflow / "artifacts"
    if settings.internals:
        found = sorted(filter(is_wanted, artifacts.glob(known)))
        if found:
            return found
    found = sorted(filter(is_wanted, artifacts.glob(anywhere)))
    if found and settings.internals:
        warn(__name__, f"MLflow keeps {what} at another place: {artifacts} is searched through")
    return found


@reach("MLflow keeps its migrations elsewhere: whether a database is migrated is not said")
def migrations() -> Path:
    """Folder of the migrations of MLflow's database.

    MLflow says whether one is migrated only to who imports it, for seconds, and opens the database
    by it. Without: it is not said.
    """
    place = Path(find_spec("mlflow").origin).parent  # type: ignore[union-attr,arg-type]
    folder = place / "store" / "db_migrations" / "versions"
    if not folder.is_dir():
        raise ImportError(f"there is no {folder}")
    return folder


@cache
@reach("MLflow compares versions otherwise: logging a model reads what all distributions hold")
def compare_versions_by_name() -> bool:
    """Let MLflow find a requirement's version by the name of its distribution alone.

    It compares a model's requirements with what is installed, and first lists the modules of all
    distributions, most of a second, once in each process: for requirements that have no
    distribution of their name. Those that Baton writes down are named as they are installed.
    Without: just that.
    """
    requirements: Any = import_module("mlflow.utils.requirements_utils")
    signature(requirements._init_packages_to_modules_map).bind()
    requirements._PACKAGES_TO_MODULES = requirements._PACKAGES_TO_MODULES or {}
    requirements._init_packages_to_modules_map = _nothing
    return True


def _nothing() -> None:
    """List no modules."""
