"""What surrounds the code: pins, wheel, image, workflows, and what no file may say."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from baton import distribution
from baton.cli import app, main
from baton.settings import Settings
from tests import services

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent


def tool(name: str) -> str:
    """Path of a development tool: beside this interpreter, else on the PATH."""
    found = shutil.which(name, path=str(BIN)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; `make setup` installs it")
    return found


def of_the_system(name: str) -> str:
    """Path of a tool that no package of ours brings."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"there is no {name} here")
    return found


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*map(str, command)], check=False, cwd=cwd, capture_output=True, text=True
    )


def passes(*command: str | Path) -> None:
    result = run(*command)
    assert result.returncode == 0, result.stdout + result.stderr


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def declared() -> list[Requirement]:
    """Every requirement of pyproject.toml: to run, to serve, to develop, to build."""
    config = project()
    lines = [
        *config["project"]["dependencies"],
        *(
            line
            for extra in config["project"].get("optional-dependencies", {}).values()
            for line in extra
        ),
        *(line for group in config["dependency-groups"].values() for line in group),
        *config["build-system"]["requires"],
    ]
    return [Requirement(line) for line in lines]


def constraint_lines() -> list[str]:
    return (ROOT / "constraints.txt").read_text().splitlines()


def pins() -> dict[str, list[Requirement]]:
    """Pins of constraints.txt by package; one per environment where they differ."""
    table: dict[str, list[Requirement]] = {}
    for pin in map(Requirement, constraint_lines()):
        table.setdefault(canonicalize_name(pin.name), []).append(pin)
    return table


def workflow(name: str) -> dict[str, Any]:
    # YAML 1.1 reads the key `on` as true.
    content = yaml.safe_load((ROOT / ".github/workflows" / name).read_text())
    return {"on" if key is True else key: value for key, value in content.items()}


def repository_files() -> list[Path]:
    """Files that git tracks or would track; in an unpacked archive, those no cache holds."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    if listed.returncode == 0:
        names = [Path(name) for name in listed.stdout.split("\0") if name]
    else:
        hidden = {".venv", ".baton", ".git", "__pycache__", "dist", "build"}
        names = [
            path.relative_to(ROOT)
            for path in ROOT.rglob("*")
            if not hidden & set(path.relative_to(ROOT).parts) and "cache" not in str(path)
        ]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


# --- pins


@pytest.mark.parametrize("requirement", declared(), ids=lambda r: str(r.name))
def test_every_dependency_is_pinned_within_its_range(requirement: Requirement) -> None:
    """constraints.txt pins every dependency that pyproject.toml declares, inside its range."""
    found = pins().get(canonicalize_name(requirement.name), [])
    assert found, f"{requirement.name} has no pin; run `make constraints`"
    for pin in found:
        (version,) = [s.version for s in pin.specifier]
        assert requirement.specifier.contains(version), f"{pin} is outside {requirement}"


def test_constraints_are_plain_pins() -> None:
    """Each line of constraints.txt is `name==version`, so that pip and uv both take the file."""
    for line in constraint_lines():
        pin = Requirement(line)
        assert [s.operator for s in pin.specifier] == ["=="], line
        assert pin.url is None, line
        assert not pin.extras, line


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_pins_agree_within_one_environment(python: str, platform: str) -> None:
    """In any one supported environment no package has two pins."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": platform,
        "platform_machine": "x86_64",
    }
    for name, found in pins().items():
        active = [p for p in found if p.marker is None or p.marker.evaluate(environment)]
        assert len(active) <= 1, f"{name}: {active}"


def test_the_server_can_start_on_the_pins() -> None:
    """FastAPI stays below the version that Prefect 3.8's server does not start with."""
    (fastapi,) = pins()["fastapi"]
    (version,) = [s.version for s in fastapi.specifier]
    assert Requirement("fastapi<0.149").specifier.contains(version)


# --- what no file may say


def test_no_lock_file_with_addresses() -> None:
    """No lock file that records download addresses is in the repository."""
    banned = {"uv.lock", "poetry.lock", "pylock.toml", "pdm.lock", "Pipfile.lock"}
    assert not [path for path in repository_files() if path.name in banned]


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is the machine's business: no file names an index or its host."""
    # Put together from parts, or this file would be the one that says it.
    hosts = [
        r"py" + r"pi\.org",
        r"python" + r"hosted\.org",
        r"anaconda" + r"\.org",
        r"/simple" + r"/",
    ]
    options = [
        r"index" + r"-url\s*[=:\s]\s*\S*//",
        r"--extra" + r"-index",
        r"find" + r"-links\s*[=:\s]\s*\S*[/.]",
    ]
    pattern = re.compile("|".join(hosts + options).encode())
    guilty = {
        str(path.relative_to(ROOT)): match.group().decode()
        for path in repository_files()
        if (match := pattern.search(path.read_bytes()))
    }
    assert not guilty


def test_no_file_names_a_private_path() -> None:
    """No file names a home directory, which is one machine's alone."""
    pattern = re.compile(rb"(?<![\w.:/~-])/(?:home|Users|ro" + rb"ot)/")
    guilty = [
        str(p.relative_to(ROOT)) for p in repository_files() if pattern.search(p.read_bytes())
    ]
    assert not guilty


# --- make


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run(tool("make"), "--no-print-directory", *arguments)


def test_make_alone_lists_every_target() -> None:
    """`make` alone prints each target with what it does, and does nothing else."""
    listed = set(re.findall(r"^  make (\w+)", make().stdout, re.MULTILINE))
    assert listed == {
        "help",
        "setup",
        "run",
        "test",
        "long",
        "services",
        "coverage",
        "lint",
        "dist",
        "sbom",
        "audit",
        "image",
        "bench",
        "docs",
        "screenshots",
        "constraints",
        "environment",
        "clean",
    }


@pytest.mark.parametrize(
    "target",
    [
        "run",
        "test",
        "long",
        "services",
        "coverage",
        "lint",
        "dist",
        "sbom",
        "audit",
        "bench",
        "docs",
        "screenshots",
        "environment",
    ],
)
def test_targets_stand_on_setup(target: str, tmp_path: Path) -> None:
    """Each working target first builds the environment where there is none."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    plan = run(tool("make"), "--dry-run", target, cwd=tmp_path)
    assert plan.returncode == 0, plan.stderr
    assert "-m venv" in plan.stdout
    assert "--constraints constraints.txt" in plan.stdout


def test_an_unsuitable_python_is_named(tmp_path: Path) -> None:
    """Without a supported Python, make says so in plain words and leaves nothing behind."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    result = run(tool("make"), "setup", "PYTHON=no-such-python", cwd=tmp_path)
    assert result.returncode != 0
    assert "error: Baton needs Python 3.11" in result.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_complete_environment_is_not_installed_again(tmp_path: Path) -> None:
    """With its stamp in place make installs nothing; without, or once moved, it starts afresh."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    stamp = tmp_path / ".venv/.installed"
    setup = [tool("make"), "--dry-run", "setup"]

    stamp.write_text(f"{tmp_path.resolve()}\n")
    assert "uv pip install" not in run(*setup, cwd=tmp_path).stdout

    os.utime(stamp, (0, 0))
    assert "uv pip install" in run(*setup, cwd=tmp_path).stdout, "older than pyproject.toml"

    stamp.write_text("/elsewhere\n")
    assert "uv pip install" in run(*setup, cwd=tmp_path).stdout, "the checkout was moved"

    stamp.unlink()
    assert "uv pip install" in run(*setup, cwd=tmp_path).stdout, "interrupted"


def test_ci_runs_the_test_command_and_nothing_else() -> None:
    """.ci/run is executable and calls `make test`, as the README says, and nothing more."""
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    lines = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "set -euo pipefail"
    assert lines[1].startswith("cd ")
    assert lines[2:] == ["make test"]
    passes("bash", "-n", script)


# --- other ways to get it


def test_the_distribution_is_called_as_the_code_says() -> None:
    """What pip installs, what an error says to install, and what the pages of MLflow are told."""
    assert project()["project"]["name"] == distribution.NAME
    assert set(project()["project"]["scripts"]) == {"baton"}
    assert distribution.version() == project()["project"]["version"]


def test_the_command_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    """That of the distribution, whatever its package is called."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out.strip()) == (0, distribution.version())


def test_no_file_has_pip_install_what_is_another_project() -> None:
    """`baton` is somebody else's distribution: nowhere is a person told to install that."""
    told = re.compile(r"(?:install|inject|--from)\W+(?:--?[\w-]+ )*baton(?:\[|\W*$)", re.MULTILINE)
    assert told.search("pip install 'baton[dask]'") and told.search("pipx install baton\n")
    guilty = {
        str(path.relative_to(ROOT)): found.group()
        for path in repository_files()
        if path.suffix in {".py", ".md", ".jinja", ".yaml", ".toml", ".yml"}
        and path != Path(__file__)
        and (found := told.search(path.read_text("utf-8")))
    }
    assert not guilty


def environment() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "environment.yml").read_text())
    return content


def test_condas_environment_is_made_from_the_one_list() -> None:
    """environment.yml is what `make environment` makes of pyproject.toml as it is now."""
    made = run(sys.executable, ROOT / ".ci/environment.py")
    said = "environment.yml is stale; run `make environment`"
    assert made.stdout == (ROOT / "environment.yml").read_text(), said
    assert ".ci/environment.py" in make("--dry-run", "environment", "WHOLE=:").stdout


def test_condas_environment_has_a_supported_python_and_every_dependency() -> None:
    """Python is conda's, and pip there; the rest is the package's own list, on the pins."""
    python, pip, rest = environment()["dependencies"]
    assert pip == "pip"
    supported = SpecifierSet(project()["project"]["requires-python"])
    assert supported.contains(f"{python.partition('=')[2]}.0")
    assert rest["pip"][0] == "-c constraints.txt"
    assert rest["pip"][1:-1] == project()["project"]["dependencies"]
    assert rest["pip"][-1] == "-e ."


def test_condas_list_is_one_that_pip_takes(tmp_path: Path) -> None:
    """As conda hands it over, a file of requirements beside it: all of it is here as it says."""
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    listed = environment()["dependencies"][-1]["pip"]
    (tmp_path / "condaenv.txt").write_text("\n".join(listed[:-1]))
    pip = [tool("uv"), "pip", "install", "--offline", "--dry-run", "--python", sys.executable]
    done = run(*pip, "--requirements", "condaenv.txt", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Would make no changes" in done.stderr


def test_the_dev_container_makes_the_environment_and_forwards_the_ports() -> None:
    """Plain JSON: a Python that is supported, a target of make, the ports of the settings."""
    found = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    version = re.search(r"/python:(\d+\.\d+)-", found["image"])
    assert version and SpecifierSet(project()["project"]["requires-python"]).contains(
        f"{version[1]}.0"
    )
    command, target = found["postCreateCommand"].split()
    assert command == "make" and make("--dry-run", target, "WHOLE=:").returncode == 0
    fields = Settings.model_fields
    ports = [fields[f"{name}_port"].default for name in ("prefect", "mlflow", "pages")]
    assert found["forwardPorts"] == ports
    # Each answers to its own address alone: under another number it would refuse the browser.
    assert {int(port) for port in found["portsAttributes"]} == set(ports)
    assert all(one["requireLocalPort"] for one in found["portsAttributes"].values())


# --- image and services


def test_dockerfile_passes_hadolint() -> None:
    """hadolint finds nothing to say about the Dockerfile."""
    passes(tool("hadolint"), "--no-color", "Dockerfile")


def test_image_is_locked_and_not_root() -> None:
    """The image installs by constraints.txt before it copies the source, and is not root."""
    text = (ROOT / "Dockerfile").read_text()
    assert text.index("--constraints constraints.txt") < text.index("COPY src")
    user = re.findall(r"^USER (\S+)$", text, re.MULTILINE)[-1]
    assert user.split(":")[0] not in {"0", "root"}
    assert "HEALTHCHECK" in text
    assert "PYTHONDONTWRITEBYTECODE" not in text


OF_THE_BASE = {"c", "m", "dl", "rt", "pthread", "resolv", "gcc_s", "stdc++", "z"}
"""Libraries of every Debian with Python, by the names that a linker has for them."""

OPTIONAL = {"tbb"}
"""Numba's other way to run in threads, of which it has three."""


def test_image_installs_every_library_that_wheels_want() -> None:
    """Wheels bring most of what they are linked with; LightGBM's wants OpenMP of the system."""
    found = [one for one in Path(sys.prefix).rglob("*.so*") if one.is_file()]
    said = subprocess.run(
        [of_the_system("readelf"), "--dynamic", *map(str, found)],
        check=False,
        capture_output=True,
        text=True,
    )
    needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", said.stdout))
    assert "libgomp.so.1" in needed, "this test reads nothing"
    of_system = needed - {one.name for one in found}
    names = {re.sub(r"^lib|\.so.*", "", one) for one in of_system if not one.startswith("ld-")}
    text = (ROOT / "Dockerfile").read_text()
    (packages,) = re.findall(r"--no-install-recommends (.+) \\$", text, re.MULTILINE)
    installed = {re.sub(r"^lib|\d+=.*", "", one) for one in packages.split()}
    assert names - OF_THE_BASE - OPTIONAL == installed == {"gomp"}


def test_image_leaves_out_what_no_stage_needs() -> None:
    """XGBoost asks for NVIDIA's library of several GPUs, 470 MB, and does without it."""
    text = (ROOT / "Dockerfile").read_text()
    code = (
        "import sys; sys.modules['nvidia'] = None;"
        "import numpy as np, xgboost;"
        "print(xgboost.XGBRegressor(n_estimators=2).fit(np.eye(4), np.arange(4)).n_features_in_)"
    )
    assert "uv pip uninstall nvidia-nccl-cu12" in text
    assert run(sys.executable, "-c", code).stdout.strip() == "4"


def test_image_is_built_by_whatever_builds() -> None:
    """`make image` by Docker, by another, and by a script of ours where there is no engine."""
    docker, podman, none = (
        make("--dry-run", "image", *more).stdout.strip()
        for more in ([], ["ENGINE=podman"], ["ENGINE=buildah"])
    )
    assert docker == "docker build --tag baton:local ."
    assert podman == "podman build --tag baton:local ."
    assert none == "deploy/image/engine-free build"


def test_image_without_an_engine_says_what_it_wants(tmp_path: Path) -> None:
    """To be root, and in one line; what it does then is in tests/e2e/test_image.py."""
    script = ROOT / "deploy/image/engine-free"
    passes("bash", "-n", script)
    assert os.access(script, os.X_OK)
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    said = subprocess.run(
        [script, "build"], env=environment, check=False, capture_output=True, text=True
    )
    assert (said.returncode, said.stdout) == (2, "")
    assert "root alone may" in said.stderr
    assert len(said.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "started"),
    [
        ([], "python -m serving"),
        (["--help"], "python -m serving --help"),
        (["python", "-m", "prefect.engine"], "python -m prefect.engine"),
    ],
)
def test_image_serves_unless_told_otherwise(
    arguments: list[str], started: str, tmp_path: Path
) -> None:
    """The image's entry point serves; a command, like that of Prefect's worker, is run instead."""
    (entry,) = re.findall(r"^ENTRYPOINT (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    fake = tmp_path / "python"
    fake.write_text('#!/bin/sh\necho "python $*"\n')
    fake.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = [*json.loads(entry), *arguments]
    said = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
    assert said.stdout.strip() == started


def test_image_gets_every_file_it_copies() -> None:
    """What the Dockerfile copies exists, and .dockerignore lets it through."""
    text = (ROOT / "Dockerfile").read_text()
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
        for name in line.split()
    }
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    assert copied == allowed
    assert not [name for name in copied if not (ROOT / name).exists()]


def test_compose_is_valid() -> None:
    """compose.yaml follows the Compose specification."""
    passes(
        tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", ROOT / "compose.yaml"
    )


def test_compose_publishes_only_on_loopback() -> None:
    """No port of the services can be reached from another machine."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_compose_has_no_secret_of_its_own() -> None:
    """Every secret comes from .env, which git ignores and whose example is empty."""
    example = (ROOT / ".env.example").read_text()
    settings = dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE))
    wanted = set(re.findall(r"\$\{(\w+)(?:\}|:\?)", (ROOT / "compose.yaml").read_text()))
    assert wanted <= settings.keys()
    assert not any(settings[name] for name in wanted)
    assert run("git", "check-ignore", ".env").returncode != 1, ".env is not in .gitignore"


# --- workflows

WORKFLOWS = ["ci.yaml", "deploy.yaml", "nightly.yaml", "release.yaml"]


def test_workflows_are_valid() -> None:
    """The GitHub workflows follow their schema."""
    files = sorted((ROOT / ".github/workflows").glob("*.yaml"))
    assert [path.name for path in files] == WORKFLOWS
    passes(tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *files)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_are_modest(name: str) -> None:
    """A workflow may read the code and no more unless a job says so, and pins what it uses."""
    content = workflow(name)
    assert content["permissions"] == {"contents": "read"}
    assert content["concurrency"]
    for job in content["jobs"].values():
        for step in job.get("steps", []):
            if "uses" in step:
                assert re.search(r"@[0-9a-f]{40}$", step["uses"]), step["uses"]
        for service in job.get("services", {}).values():
            assert re.search(r":\S+@sha256:[0-9a-f]{64}$", service["image"]), service["image"]


def test_one_digest_stands_for_one_version() -> None:
    """Beside each action's digest stands its version, the same in every workflow."""
    pin = re.compile(r"uses: ([\w-]+/[\w-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)\n")
    seen: dict[str, set[tuple[str, str]]] = {}
    for name in WORKFLOWS:
        text = (ROOT / ".github/workflows" / name).read_text()
        found = pin.findall(text)
        assert len(found) == len(re.findall(r"uses: (?!\./)", text)), name
        for action, digest, version in found:
            seen.setdefault(action, set()).add((digest, version))
    assert {action: len(pins) for action, pins in seen.items()} == dict.fromkeys(seen, 1)


def test_dependabot_moves_what_is_pinned() -> None:
    """Dependabot looks after the actions, the pins and the image's base."""
    file = ROOT / ".github/dependabot.yml"
    passes(tool("check-jsonschema"), "--builtin-schema", "vendor.dependabot", file)
    kinds = {update["package-ecosystem"] for update in yaml.safe_load(file.read_text())["updates"]}
    assert kinds == {"github-actions", "pip", "docker"}


def test_issue_forms_are_valid() -> None:
    """A bug's form asks for version, command and log."""
    folder = ROOT / ".github/ISSUE_TEMPLATE"
    check = [tool("check-jsonschema"), "--builtin-schema"]
    passes(*check, "vendor.github-issue-forms", folder / "bug.yml", folder / "feature.yml")
    passes(*check, "vendor.github-issue-config", folder / "config.yml")
    fields = {field.get("id") for field in yaml.safe_load((folder / "bug.yml").read_text())["body"]}
    assert {"version", "command", "log"} <= fields


def test_citation_is_valid_and_of_this_version() -> None:
    """CITATION.cff follows its schema and names the version and the licence of pyproject.toml."""
    check = [tool("check-jsonschema"), "--builtin-schema", "vendor.citation-file-format"]
    passes(*check, "--default-filetype", "yaml", ROOT / "CITATION.cff")
    cited, own = yaml.safe_load((ROOT / "CITATION.cff").read_text()), project()["project"]
    assert str(cited["version"]) == own["version"]
    assert cited["license"] == own["license"]


def test_nightly_takes_the_newest_before_it_tests() -> None:
    """The nightly run pins the newest of everything, installs that and runs the suite on it."""
    content = workflow("nightly.yaml")
    assert content["on"]["schedule"]
    script = "\n".join(step.get("run", "") for step in content["jobs"]["newest"]["steps"])
    order = ["make constraints UPGRADE=1", "make setup", "make test"]
    assert sorted(order, key=script.index) == order


def test_what_takes_hours_is_run_overnight() -> None:
    """By a job that may take hours, with the databases that a push is tested on; not by a push."""
    job, pushed = workflow("nightly.yaml")["jobs"]["long"], workflow("ci.yaml")["jobs"]["test"]
    assert [step["run"] for step in job["steps"] if "run" in step][-1] == "make long"
    assert "make long" not in [step.get("run") for step in pushed["steps"]]
    assert job["timeout-minutes"] > 300 > pushed["timeout-minutes"]
    assert (job["services"], job["env"]) == (pushed["services"], pushed["env"])


def test_release_is_built_checked_and_only_then_published() -> None:
    """A tag is released after CI and `make dist`; only the job that publishes may write."""
    content = workflow("release.yaml")
    assert content["on"] == {"push": {"tags": ["v*"]}}
    assert content["jobs"]["release"]["needs"] == ["ci", "build"]
    writers = [
        n for n, j in content["jobs"].items() if "write" in j.get("permissions", {}).values()
    ]
    assert writers == ["release"]
    assert "make dist PYTHON=python" in [s.get("run") for s in content["jobs"]["build"]["steps"]]


def test_a_release_has_a_bill_of_materials() -> None:
    """The release workflow makes it after the archives, which begin with an empty folder."""
    steps = workflow("release.yaml")["jobs"]["build"]["steps"]
    scripts = [step.get("run") for step in steps]
    assert scripts.index("make dist PYTHON=python") < scripts.index("make sbom PYTHON=python")
    assert "dist/*.cdx.json" in steps[-1]["with"]["path"].split()
    published = workflow("release.yaml")["jobs"]["release"]["steps"][-1]["run"]
    assert published.endswith("dist/*")


@pytest.mark.long
def test_the_bill_of_materials_is_what_a_user_installs(tmp_path: Path) -> None:
    """`make sbom` names each dependency at its pinned version, and no tool of development.

    pytest is one of the extra `testing`, which the tests of a plug-in want.
    """
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    made = run(tool("make"), "sbom", "WHOLE=:", "--old-file=.venv/.installed", cwd=tmp_path)
    assert made.returncode == 0, made.stdout + made.stderr
    bill = json.loads((tmp_path / "dist/baton.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["version"] == project()["project"]["version"]
    parts = {(canonicalize_name(one["name"]), one["version"]) for one in bill["components"]}
    pinned = {(name, pin.specifier) for name, found in pins().items() for pin in found}
    assert {(name, SpecifierSet(f"=={version}")) for name, version in parts} <= pinned
    names = {name for name, _ in parts}
    wanted = map(Requirement, project()["project"]["dependencies"])
    assert {canonicalize_name(requirement.name) for requirement in wanted} <= names
    assert not {"mypy", "ruff", "sphinx"} & names


def test_no_tool_of_development_slows_every_start() -> None:
    """rfc3987-syntax, where it is installed, is imported by Prefect in every process: 1.3 s."""
    code = "import sys, prefect.serializers; print('rfc3987_syntax' in sys.modules)"
    assert run(sys.executable, "-c", code, cwd=ROOT).stdout.strip() == "False"


def test_nightly_asks_for_known_vulnerabilities_of_every_pin() -> None:
    """The nightly run has every pin looked up; here all is done but the asking."""
    scripts = [step.get("run") for step in workflow("nightly.yaml")["jobs"]["audit"]["steps"]]
    assert scripts[-1] == "make audit PYTHON=python"
    tried = make("audit", "AUDIT=--dry-run", "WHOLE=:", "--old-file=.venv/.installed")
    assert tried.returncode == 0, tried.stdout + tried.stderr
    found = re.search(r"would have audited (\d+) packages", tried.stdout + tried.stderr)
    assert found
    assert int(found[1]) > 200


def test_coverage_has_a_floor() -> None:
    """`make coverage` fails below a floor, branches counted, and CI runs it."""
    config = project()["tool"]["coverage"]
    assert config["report"]["fail_under"] >= 76
    assert config["run"]["branch"]
    assert "--cov" in make("--dry-run", "coverage").stdout
    steps = workflow("ci.yaml")["jobs"]["coverage"]["steps"]
    assert steps[-1]["run"] == "make coverage PYTHON=python"


def test_ci_covers_the_supported_pythons() -> None:
    """The tests run on every supported Python."""
    job = workflow("ci.yaml")["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert project()["project"]["requires-python"] == ">=3.11,<3.14"


def test_ci_has_the_services_that_tests_look_for() -> None:
    """The tests find PostgreSQL, MariaDB and Redis on GitHub, at the addresses they are given."""
    job = workflow("ci.yaml")["jobs"]["test"]
    assert set(job["env"]) == set(services.STANDARD)
    ports = {port.split(":")[0] for one in job["services"].values() for port in one["ports"]}
    assert ports == set(re.findall(r"127\.0\.0\.1:(\d+)", " ".join(job["env"].values())))
    assert [step["run"] for step in job["steps"] if "run" in step][-1] == "make services"


def test_deploy_follows_the_tests_and_needs_a_target() -> None:
    """A push to main deploys after CI has passed, and only where an API's address is a secret."""
    content = workflow("deploy.yaml")
    assert content["on"]["push"] == {"branches": ["main"]}
    image, job = (content["jobs"][name] for name in ("image", "deploy"))
    assert image["needs"] == ["ci", "target"]
    assert image["if"] == "needs.target.outputs.is_set == 'true'"
    assert job["needs"] == ["image"]
    chain = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    assert {d["work_pool"]["name"] for d in chain["deployments"]} == {job["env"]["POOL"]}
    script = "\n".join(step.get("run", "") for step in job["steps"])
    order = ["work-pool create", "baton deploy\n", "baton deploy --check", "baton run iris"]
    assert sorted(order, key=script.index) == order
    # What waits for a worker that nobody has started does not wait for ever.
    assert job["steps"][-1]["timeout-minutes"] < job["timeout-minutes"]


def test_the_commands_of_a_deploy_are_those_that_there_are() -> None:
    """Each `baton …` of the workflow is parsed by the command itself, each image by its script."""
    steps = workflow("deploy.yaml")["jobs"]["deploy"]["steps"]
    scripts = "\n".join(step.get("run", "") for step in steps)
    commands = re.findall(r"in-image baton (.*)", scripts)
    assert [command.split()[0] for command in commands] == ["deploy", "deploy", "run"]
    for command in commands:
        app.parse_args(shlex.split(command), exit_on_error=False, print_error=False)


def test_what_runs_in_the_image_is_told_where_the_server_is(tmp_path: Path) -> None:
    """And nothing that is not set; values are in no command line."""
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\necho "$@"\n')
    docker.chmod(0o755)
    given = {"IMAGE": "an/image:1", "PREFECT_API_URL": "http://a", "PREFECT_API_AUTH_STRING": "b:c"}
    script, path = ROOT / ".ci/in-image", f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        [script, "baton", "deploy"], env={"PATH": path} | given, capture_output=True, check=True
    )
    assert done.stdout.decode() == (
        "run --rm --interactive --env PREFECT_API_URL --env PREFECT_API_AUTH_STRING an/image:1"
        " baton deploy\n"
    )


@pytest.mark.parametrize("mlflow", ["", "http://mlflow:5000"])
def test_deploy_names_its_image_in_the_pools_template(mlflow: str) -> None:
    """The workflow's jq, as it stands: the image is the push's, MLflow the worker's or another."""
    steps = workflow("deploy.yaml")["jobs"]["deploy"]["steps"]
    (script,) = [step["run"] for step in steps if "jq " in step.get("run", "")]
    ((program, file),) = re.findall(r"jq .*?'(.+?)' (\S+\.json) >", script, re.DOTALL)
    told = ["--arg", "image", "ghcr.io/a/b:1", "--arg", "mlflow", mlflow]
    made = run(of_the_system("jq"), *told, program, file)
    assert made.returncode == 0, made.stderr
    before = json.loads((ROOT / file).read_text())["variables"]["properties"]
    after = json.loads(made.stdout)["variables"]["properties"]
    assert after["image"]["default"] == "ghcr.io/a/b:1"
    own = before["env"]["default"]["BATON_MLFLOW_TRACKING_URI"]
    assert after["env"]["default"].pop("BATON_MLFLOW_TRACKING_URI") == (mlflow or own)
    del after["image"], before["image"], before["env"]["default"]["BATON_MLFLOW_TRACKING_URI"]
    assert after == before


def test_workflow_scripts_are_bash() -> None:
    """Every script in the workflows parses as bash."""
    for name in WORKFLOWS:
        for job in workflow(name)["jobs"].values():
            for step in job.get("steps", []):
                if "run" in step:
                    result = run(tool("bash"), "-n", "-c", step["run"])
                    assert result.returncode == 0, result.stderr


def test_pre_commit_uses_the_pinned_tools() -> None:
    """Each hook is local and runs a tool of .venv: no second set of versions, nothing to fetch."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    passes(tool("pre-commit"), "validate-config", ROOT / ".pre-commit-config.yaml")
    for repo in config["repos"]:
        assert repo["repo"] == "local"
        for hook in repo["hooks"]:
            assert hook["entry"].startswith(".venv/bin/"), hook["id"]
            assert hook["language"] in {"system", "unsupported"}, hook["id"]


# --- the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names inside the wheel of a copy of the tree, so that no build litters the checkout."""
    pytest.importorskip("poetry.core", reason="poetry-core is not installed; `make setup` does it")
    tree = tmp_path_factory.mktemp("tree")
    for path in repository_files():
        target = tree / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    command = "from poetry.core.masonry.api import build_wheel as b; print(b('.'))"
    built = run(sys.executable, "-c", command, cwd=tree)
    assert built.returncode == 0, built.stdout + built.stderr
    with zipfile.ZipFile(tree / built.stdout.split()[-1]) as archive:
        return set(archive.namelist())


def test_wheel_holds_the_rooms_and_the_chain(wheel: set[str]) -> None:
    """The wheel holds the four rooms, the chain's table and the licence, and no tests."""
    assert {"notebooks/tour.py", "prefect.yaml"} <= wheel
    assert "baton/showing/templates/notebook/index.html.j2" in wheel
    rooms = {"baton/__init__.py", "tasks/__init__.py", "flows/__init__.py", "serving/__main__.py"}
    assert rooms <= wheel
    assert [name for name in wheel if name.endswith("/LICENSE")]
    assert not [name for name in wheel if name.startswith(("tests/", "benchmarks/", ".venv/"))]


def test_wheel_says_that_it_is_typed(wheel: set[str]) -> None:
    """The wheel carries PEP 561's marker, so that type checkers read Baton's annotations."""
    assert "baton/py.typed" in wheel


@pytest.mark.long
@pytest.mark.timeout(1800)  # it installs everything twice, once by pip itself
def test_archives_are_checked_and_the_wheel_runs_a_chain(tmp_path: Path) -> None:
    """`make dist` builds both archives; by uv and by pipx the wheel runs a chain anywhere."""
    for path in repository_files():
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    built = run(tool("make"), "dist", "WHOLE=:", "--old-file=.venv/.installed", cwd=tmp_path)
    assert built.returncode == 0, built.stdout + built.stderr
    for one in ("uv", "pipx"):
        assert f"the wheel that {one} installs runs a chain from an empty folder" in built.stdout
    assert {path.suffix for path in (tmp_path / "dist").iterdir()} >= {".gz", ".whl"}


def test_wheel_holds_every_module(wheel: set[str]) -> None:
    """No module of the source is left out of the wheel."""
    source = [path.relative_to(ROOT) for path in repository_files() if path.suffix == ".py"]
    rooms = [p.relative_to("src") if p.parts[0] == "src" else p for p in source]
    wanted = {p.as_posix() for p in rooms if p.parts[0] in {"baton", "tasks", "flows", "serving"}}
    assert wanted <= wheel
