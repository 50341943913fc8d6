"""Chains that ended, to look at from Python: their tables, model, pictures and pages.

All of it is read from the home's files; neither Prefect nor MLflow need run. Only :func:`run`
starts something: the command ``baton run``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from baton import mlflow_internals, models
from baton.bonds import bonds_of
from baton.chain import records, stored
from baton.errors import InputError
from baton.evaluation import shapley
from baton.evaluation.importance import Importance
from baton.evaluation.intervals import differences
from baton.evaluation.metrics import Scores
from baton.settings import Settings, settings
from baton.showing.compared import ChainFacts, Compared, compared
from baton.terms import ROW, SPLIT, Kind, Options, Quality, Split, visible
from baton.warning import DataWarning, of_table
from baton.words import display

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from baton.chain.events import ModelEvaluated

_COMPLAINT = "baton: "
"""How the command begins the line that says why it fails."""

_PAGE = "notebook_"
_COLOURED = {"CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}


@dataclass(frozen=True, repr=False)
class Chain:
    """A chain that ended, its tables read when they are asked for.

    A table that was altered since it was announced is refused when it is read.
    """

    evaluated: ModelEvaluated
    """What its evaluation announced."""
    settings: Settings

    @property
    def id(self) -> str:
        """Id, twelve hexadecimal digits."""
        return self.evaluated.chain

    @property
    def problem(self) -> str:
        """Name of its problem."""
        return self.evaluated.problem

    @property
    def kind(self) -> Kind:
        """Classification or regression."""
        return self.evaluated.data.kind

    @property
    def target(self) -> str:
        """Column that is predicted."""
        return self.evaluated.data.target

    @property
    def headline(self) -> str:
        """Name of the metric that decides."""
        return self.evaluated.data.headline

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of its tables, for :meth:`table`."""
        return tuple(self.evaluated.tables)

    def table(self, name: str) -> pd.DataFrame:
        """Return one of its tables.

        Raises
        ------
        InputError
            If it has none of that name, or the file is gone or altered.
        """
        frame: pd.DataFrame = self._arrow(name).to_pandas()
        return frame

    def _arrow(self, name: str, **options: Any) -> pa.Table:
        reference = self.evaluated.tables.get(name)
        if reference is None:
            raise InputError(f"there is no table {name!r}; there are: {', '.join(self.tables)}")
        return stored.read_table(self.settings.results, reference, **options)

    @cached_property
    def raw(self) -> pd.DataFrame:
        """Table as it came."""
        return self.table("raw")

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """Held-out rows by id: what was, what was predicted, the probability of each class."""
        return self.table("predictions").set_index(ROW)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Metrics by name: value, interval, baseline, and of a cross-validation if there was."""
        return self.table("metrics").set_index("metric").dropna(axis="columns", how="all")

    @property
    def scores(self) -> Scores:
        """Value of each metric on the rows held out."""
        return Scores(self.evaluated.scores)

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % interval of each metric that has one."""
        return self.evaluated.intervals

    @property
    def baseline(self) -> dict[str, float]:
        """Value of each metric for a model that ignores every column."""
        return {str(name): float(v) for name, v in self.metrics["baseline"].dropna().items()}

    @cached_property
    def warnings(self) -> tuple[DataWarning, ...]:
        """What a colleague would warn of, what matters most first."""
        return of_table(self._arrow("warnings")) if "warnings" in self.tables else ()

    @cached_property
    def importance(self) -> Importance:
        """Permutation importance on held-out rows, ready to be drawn."""
        return Importance.of_table(self._arrow("permutation_importance"))

    @cached_property
    def shap(self) -> shapley.ShapValues:
        """Shapley values of the rows of :attr:`explained`, ready to be drawn."""
        return shapley.ShapValues.of_table(self._arrow("shap_local"))

    @cached_property
    def explained(self) -> pd.DataFrame:
        """Features of the held-out rows that have Shapley values, by row id."""
        ids = self._arrow("shap_local", columns=[ROW])[ROW].to_pandas().drop_duplicates()
        rows: pd.DataFrame = self.rows(Split.TEST).loc[ids]
        return rows.drop(columns=self.target)

    def rows(self, side: Split | str = Split.TEST) -> pd.DataFrame:
        """Features and target of the rows to train on or of those held out, by row id."""
        table = self._arrow("features", filters=[(SPLIT, "==", Split(side).value)])
        shown = table.select(visible(table.column_names))
        frame: pd.DataFrame = shown.to_pandas().set_index(ROW)
        return frame

    @cached_property
    def units(self) -> Any:
        """Number of the unit that each held-out row is of; None where each is by itself."""
        table = self._arrow("features", filters=[(SPLIT, "==", Split.TEST.value)])
        return bonds_of(table.to_pandas()).units()

    @cached_property
    def model(self) -> models.FittedModel:
        """The model, from MLflow's files in this home.

        Raises
        ------
        InputError
            If it is not there, or was altered.
        """
        return models.load(self._model_folder())

    def _model_folder(self) -> Path:
        wanted = self.evaluated.model
        for card in mlflow_internals.model_cards(self.settings, wanted.run_id):
            folder = stored.model_folder(card)
            if stored.digest_of_folder(folder) == wanted.digest:
                return folder
        raise InputError(
            f"model {wanted.uri} is not in {self.settings.mlflow}, or not as it was announced:"
            f" load it by MLflow, mlflow.pyfunc.load_model({wanted.uri!r})"
        )

    @cached_property
    def choices(self) -> dict[str, dict[str, Any]]:
        """What was chosen for the chain: ``parameters``, ``options`` and the ``model``'s settings.

        Of a model whose files are not in this home, only the settings that were asked for.
        """
        data = self.evaluated.data
        reference = data.features
        given = stored.lineage(self.settings.results, reference).get("parameters", {})
        options = data.options.model_dump(mode="json", exclude={"model", "model_params"})
        try:
            family, settings = models.settings_of(self._model_folder())
        except InputError:
            family, settings = data.options.model or "", data.options.model_params
        return {"parameters": given, "options": options, "model": {"family": family} | settings}

    @property
    def title(self) -> str:
        """What it is about: the target, and the file or the problem."""
        return self.evaluated.data.title

    @property
    def summary(self) -> str:
        """What was learnt, in one paragraph of plain words; empty of an earlier Baton's chain."""
        return self.evaluated.summary

    @cached_property
    def columns(self) -> pd.DataFrame:
        """What each column was taken for, and what was done with it."""
        return self.table("columns").set_index("name")

    @property
    def report(self) -> Path:
        """File of its report, one HTML page."""
        return stored.brought(self.settings.results, self.evaluated.report)

    @property
    def notebooks(self) -> dict[str, Path]:
        """Pages of the notebooks that ran on it, by name."""
        pages = sorted(self.report.parent.glob(f"{_PAGE}*.html"))
        return {page.stem.removeprefix(_PAGE): page for page in pages}

    @property
    def pictures(self) -> dict[str, Path]:
        """Files of the report's pictures by name, from MLflow's files in this home."""
        found = mlflow_internals.pictures(self.settings, self.evaluated.model.run_id)
        return {path.stem: path for path in found}

    def __repr__(self) -> str:
        value = self.evaluated.scores.get(self.headline)
        score = "" if value is None else f", {self.headline} {value:.4g}"
        return f"Chain({self.id}: {self.problem}, {self.evaluated.model.uri}{score})"

    def _repr_html_(self) -> str:
        data = self.evaluated.data
        facts = {
            "predicts": f"{self.target} ({self.kind.value})",
            "model": f"{self.evaluated.model.uri}, {_family(data.options)}",
            "rows": f"{data.n_train} to train on, {data.n_test} held out",
            "tables": ", ".join(self.tables),
            "report": self.report,
        }
        rows = [
            [name, value, _range(self.evaluated.intervals.get(name))]
            for name, value in self.evaluated.scores.items()
        ]
        headings = ("metric on held-out rows", "value", "95 % interval")
        warned = [[one.kind.value, one.message] for one in self.warnings]
        title = f"{self.problem}, chain {self.id}"
        beware = [display.table(("warning", ""), warned)] if warned else []
        return display.card(title, facts, *beware, display.table(headings, rows))


def _family(options: Options) -> str:
    """What was trained, as far as the chain's options say it."""
    is_best = options.quality is Quality.BEST
    return "the best of several" if is_best or not options.model else options.model


def _range(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f"{ends[0]:.3g} to {ends[1]:.3g}"


def find(chain_id: str = "", problem: str = "", home: str | Path = "") -> Chain:
    """Find a chain that ended: the latest, or that of an id.

    Parameters
    ----------
    chain_id : str
        Id of a chain or its first digits; the latest one when empty.
    problem : str
        Name of its problem; any when empty.
    home : str or Path
        Folder of Baton's state. When empty, BATON_HOME, else the nearest ``.baton`` of the
        working folder and those above it.

    Raises
    ------
    InputError
        If there is none.
    """
    where = Settings(home=_home(home))
    return Chain(records.find(where, chain_id=chain_id, problem=problem), where)


def named(name: str, home: str | Path = "") -> Chain:
    """Find a chain as the command does: by id or first digits, else the latest of that name.

    Parameters
    ----------
    name : str
        Of a chain, of a problem, or of what is learnt where a problem has several models.
    home : str or Path
        As of :func:`find`.

    Raises
    ------
    InputError
        If there is none such.
    """
    where = Settings(home=_home(home))
    return Chain(records.named(where, name), where)


def compare(a: str | Chain, b: str | Chain, home: str | Path = "") -> Compared:
    """Set two chains side by side: what was chosen, and their scores.

    Parameters
    ----------
    a, b : str or Chain
        Chains, or what :func:`named` finds.
    home : str or Path
        As of :func:`find`.

    Raises
    ------
    InputError
        If one is not there, both are the same, or they predict different things.
    """
    first, second = (one if isinstance(one, Chain) else named(one, home) for one in (a, b))
    _require_comparable(first, second)
    apart = _why_apart(first, second)
    differ = {} if apart else _differences(first, second)
    return compared(_facts(first), _facts(second), differ, apart)


def _require_comparable(first: Chain, second: Chain) -> None:
    if first.id == second.id:
        raise InputError(f"both are chain {first.id}: give two chains")
    if first.kind is not second.kind:
        raise InputError(
            f"chain {first.id} is a {first.kind.value} and {second.id} a {second.kind.value}: they"
            " have no metric in common"
        )


def _facts(chain: Chain) -> ChainFacts:
    data = chain.evaluated.data
    return ChainFacts(
        id=chain.id,
        title=chain.title,
        headline=chain.headline,
        model=chain.evaluated.model.uri,
        choices=chain.choices,
        data={
            "rows to learn from": data.n_train,
            "rows held out": data.n_test,
            "raw table, SHA-256": data.raw.digest[:12],
            "features, SHA-256": data.features.digest[:12],
        },
        scores=dict(chain.scores),
        intervals=chain.intervals,
    )


def _why_apart(first: Chain, second: Chain) -> str:
    """Why rows held out are not the same; empty if they are."""
    if first.target != second.target:
        return "they predict different columns"
    one, other = first.predictions, second.predictions
    if not one.index.equals(other.index):
        both = len(one.index.intersection(other.index))
        return f"{both:,} of {len(one):,} and {len(other):,} held-out rows have the same place"
    if not one["actual"].equals(other["actual"]):
        return "the rows at these places have other targets"
    if first.evaluated.data.raw != second.evaluated.data.raw:
        rows = [chain.raw.iloc[one.index] for chain in (first, second)]
        common = [name for name in rows[0] if name in rows[1]]
        if not rows[0][common].equals(rows[1][common]):
            return "the rows at these places are others"
    return ""


def _differences(first: Chain, second: Chain) -> dict[str, tuple[float, float]]:
    """Interval of each metric's difference on the rows that both were scored on."""
    outputs, classes = zip(*(_answers(chain) for chain in (first, second)), strict=True)
    units = (chain.units for chain in (first, second))
    return differences(
        first.kind,
        first.predictions["actual"].to_numpy(),
        outputs,
        classes,
        units=next((one for one in units if one is not None), None),
        seed=first.evaluated.data.seed,
    )


def _answers(chain: Chain) -> tuple[Any, tuple[Any, ...]]:
    """Probabilities and their classes, or predicted numbers."""
    found = chain.predictions
    if chain.kind is Kind.REGRESSION:
        return found["predicted"].to_numpy(), ()
    shares = found.drop(columns=["actual", "predicted"])
    known = {f"p({label})": label for label in found["actual"].drop_duplicates()}
    known |= {f"p({label})": label for label in found["predicted"].drop_duplicates()}
    return shares.to_numpy(), tuple(known.get(str(name), name) for name in shares)


def run(problem: str, *, home: str | Path = "", **parameters: Any) -> Chain:
    """Run a chain to its end by the command ``baton run``, saying how far it is.

    Parameters
    ----------
    problem : str
    home : str or Path
        As of :func:`find`.
    **parameters
        Of the problem, and options of any chain, as ``-p`` takes them.

    Raises
    ------
    InputError
        If it did not complete; with the command's own line.

    Examples
    --------
    >>> chain = run("spheres", rows=2000, model="lightgbm")  # doctest: +SKIP
    """
    where = _home(home)
    arguments = ["run", problem, "--json", "--progress"]
    for name, value in parameters.items():
        arguments += ["-p", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    outcome = _commanded(arguments, where)
    if error := outcome.get("error"):
        raise InputError(error)
    return find(outcome["chain"], home=where)


def _commanded(arguments: list[str], home: Path) -> dict[str, Any]:
    """Run the command, pass on how far it is, and return the object that it printed."""
    with TemporaryFile() as answer:  # a pipe that nobody reads meanwhile could fill
        with subprocess.Popen(
            [sys.executable, "-c", "from baton.cli import main; main()", *arguments],
            env=_plain(os.environ) | {"BATON_HOME": str(home), "PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.DEVNULL,
            stdout=answer,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        ) as process:
            last = _passed_on(process)
        answer.seek(0)
        try:
            outcome: dict[str, Any] = json.load(answer)
        except ValueError:  # it ended before it had anything to say of a chain
            raise InputError(last or f"it ended with code {process.returncode}") from None
    return outcome


def _passed_on(process: subprocess.Popen[str]) -> str:
    """Pass on what the command says of its stages; return why it failed, if it did."""
    assert process.stderr is not None
    complaint = ""
    for line in process.stderr:
        if line.startswith(_COMPLAINT):
            complaint = line.removeprefix(_COMPLAINT).strip()
        else:
            sys.stdout.write(line)
    return complaint


def _plain(environment: Mapping[str, str]) -> dict[str, str]:
    """Environment in which the command prints plain lines: a kernel's asks for colours."""
    return {k: v for k, v in environment.items() if k not in _COLOURED} | {"NO_COLOR": "1"}


def _home(given: str | Path) -> Path:
    if given:
        return Path(given)
    own = settings().home
    here = Path.cwd()
    if own != here / ".baton" or own.exists():
        return own
    return next((one / ".baton" for one in here.parents if (one / ".baton").is_dir()), own)
