"""Every command of the README, the tutorial and the other pages works."""

import re
import shlex
import subprocess

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.e2e

PAGES = [ROOT / "README.md", ROOT / "docs/tutorial.md", *sorted(ROOT.glob("docs/*/**/*.md"))]
BLOCKS = [
    block
    for page in PAGES
    for block in re.findall(
        r"^ *```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
]
COMMANDS = list(
    dict.fromkeys(
        line.partition("  #")[0].strip()
        for block in BLOCKS
        for line in block.splitlines()
        if line.strip()
    )
)
"""Each once, in the order of the pages: a page may show again what another one has run."""

SERVED, CHAMPION = (command for command in COMMANDS if "mlflow models serve" in command)

CURLS = [command for command in COMMANDS if command.startswith("curl")]

ELSEWHERE = {
    "make test": "it is what runs this",
    ".venv/bin/python benchmarks/chaos.py --faults 100 --seed 1": "test_chaos.py, fewer",
    ".venv/bin/python benchmarks/chaos.py --faults 100 --seed 1 --database postgresql": "the same",
    ".venv/bin/python benchmarks/burst.py --chains 200": "test_soak.py, fewer",
    ".venv/bin/python benchmarks/soak.py --minutes 60": "test_soak.py, three minutes",
    SERVED: "test_run.py, at another port",
    ".venv/bin/baton up": "the fixture starts it, and test_processes.py",
    ".venv/bin/prefect work-pool create baton --type process": "test_deploy.py",
    ".venv/bin/baton deploy": "test_deploy.py",
    ".venv/bin/baton deploy --check": "test_deploy.py",
    ".venv/bin/baton worker --pool baton": "test_worker.py",
    ".venv/bin/python benchmarks/workers.py": "test_benchmarks.py, one chain",
    ".venv/bin/python benchmarks/bench.py --write docs/explanation/performance.md": (
        "test_benchmarks.py has one subject"
    ),
    ".venv/bin/baton prune": "test_deploy.py",
    ".venv/bin/baton run taxi -p train=2021-01 -p test=2021-02": "test_problems.py, offline",
    ".venv/bin/baton predict taxi -p month=2021-03": "test_problems.py, offline",
    ".venv/bin/baton run iris -p notebook=tour": "test_notebook.py",
    ".venv/bin/baton run iris -p tune=true -p n_trials=10": "test_tune.py",
    '.venv/bin/baton promote wine-target --version 2 --reason "agreed with the cellar"': (
        "test_promotion.py"
    ),
    '.venv/bin/baton rollback wine-target --reason "it misses the sweet ones"': "the same",
    ".venv/bin/python -m pytest -m long tests/unit/test_gate.py": "make long",
    ".venv/bin/baton demo drift": "test_loop.py",
    ".venv/bin/baton labels wine-target -p path=labels.csv --id wine": "test_periods.py",
    ".venv/bin/python benchmarks/drift.py --power --tables 30": "test_benchmarks.py, fewer",
    ".venv/bin/baton predict taxi -p 'month={period}' --period 2021-03": "test_monitoring.py",
    ".venv/bin/baton backfill predict taxi -p 'month={period}' --start 2021-01 --end 2021-03"
    " --parallel 2": "test_periods.py",
    ".venv/bin/baton backfill train taxi -p 'train={period}' --start 2021-01 --end 2021-03"
    " --parallel 1": "test_periods.py, of a table",
    **dict.fromkeys(
        (
            ".venv/bin/baton logs 3f9c1a",
            ".venv/bin/baton logs 3f9c1a --follow --stage train",
            ".venv/bin/baton logs 3f9c1a --level warning --json",
            ".venv/bin/baton replay 3f9c1a --from evaluate -p folds=5",
            ".venv/bin/baton replay 3f9c1a --from promote",
            ".venv/bin/baton report --open",
        ),
        "test_operate.py",
    ),
    ".venv/bin/baton clean --older-than 7d --models --yes": "test_clean.py",
    ".venv/bin/baton run iris -p approve=true": "test_operate.py",
    '.venv/bin/baton approve 3f9c1a --reason "agreed with the clinic"': "the same",
    ".venv/bin/baton serve wine-target": "test_answers.py",
    ".venv/bin/python -m serving.pages": "test_pages.py, at another port",
    "make image ENGINE=buildah": "test_image.py",
    ".venv/bin/python benchmarks/image.py": "the same",
    CHAMPION: "the same, at another port",
    "make setup": "it made what runs this",
    "make dist": "test_packaging.py",
    "make environment": "test_packaging.py, what it prints",
    "pipx install dist/*.whl": "test_packaging.py, by make dist",
    "uv tool install dist/*.whl": "the same",
    "baton run table -p path=wine.csv -p target=target": "the same, in an empty folder",
    "uvx --from dist/baton_pipelines-0.1.0-py3-none-any.whl baton problems": "the same, installed",
    "conda env create --file environment.yml": "its list is read by uv in test_packaging.py",
    "conda run --name baton baton problems": "the same",
    **dict.fromkeys(CURLS, "test_answers.py and test_arriving.py, at other ports"),
    ".venv/bin/python benchmarks/serving.py": "test_benchmarks.py",
    ".venv/bin/baton why 3f9c1a": "test_run.py",
    ".venv/bin/baton status 3f9c1a": "test_walk.py",
    ".venv/bin/baton why be1c9609-346c": "the same",
    ".venv/bin/baton why-not promote --chain 3f9c1a": "test_why.py, here and in tests/integration",
    ".venv/bin/prefect flow-run retry be1c9609-346c-400e-9521-df6446f669e9": "test_why.py",
    ".venv/bin/baton run churn -p url=adventureworks.sqlite": "test_problems.py",
}

LONG = {
    ".venv/bin/baton run table -p path=wine.csv -p target=alcohol -p drop=target,hue -p seed=7",
    ".venv/bin/baton run spheres -p rows=2000 -p dims=2 -p features=both --json",
    ".venv/bin/baton run table -p path=wine.csv -p target=target -p folds=5 -p explain_rows=20",
    ".venv/bin/baton train -p compare=xgboost,decision_tree",
    ".venv/bin/baton run iris",
    ".venv/bin/baton run spheres -p fresh=true",
    "make run",
    ".venv/bin/baton announce table -p path=wine.csv -p name=wine-target --predict",
    ".venv/bin/baton run table -p path=wine.csv -p target=alcohol"
    """ -p 'predict={"path": "wine.csv"}' -p 'retrain={}'""",
    ".venv/bin/baton predict table -p path=wine.csv -p name=wine-target --out answers.csv",
}
"""Chains that others on the same pages, in test_problems.py, test_run.py (`make run`) or
test_arrivals.py (`--predict`) are much like; what `predict` and `retrain` begin: test_loop.py."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, up):
    """A folder as a reader has it: with a .venv, a Makefile and a home."""
    path = tmp_path_factory.mktemp("reader")
    (path / ".baton").symlink_to(up.path)
    for name in (".venv", "Makefile", "pyproject.toml", "constraints.txt"):
        (path / name).symlink_to(ROOT / name)
    return path


def test_commands_that_run_elsewhere_are_still_on_a_page():
    """The list of exceptions does not outlive what it excepts."""
    assert set(ELSEWHERE) | LONG <= set(COMMANDS)
    assert (ROOT / ".venv/bin/baton").exists()


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(one, marks=pytest.mark.long if one in LONG else ())
        for one in COMMANDS
        if one not in ELSEWHERE
    ],
)
def test_a_command_of_a_page_does_what_it_says(up, folder, command):
    """In the order of the pages, each ends with exit code 0."""
    if command.startswith("make"):
        shown = subprocess.run(
            ["make", "-n", "--no-print-directory", *shlex.split(command)[1:]],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        # What make would run; the set-up before it is this very environment.
        command = shown.strip().splitlines()[-1]
        assert command.endswith("baton run spheres")
    done = subprocess.run(
        shlex.split(command),
        cwd=folder,
        env=up.environment(),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout or "to_csv" in command
