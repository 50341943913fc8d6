"""deploy/kubernetes: every resource is one that a cluster takes, and says what compose.yaml says.

No cluster is asked: resources are checked file by file, by the schemas of Kubernetes.
"""

import json
import re
import shutil
import subprocess

import kubernetes_validate
import pytest
import yaml

from tests import services
from tests.conftest import ROOT
from tests.unit.test_compose import KNOWN, VALUES

FOLDER = ROOT / "deploy/kubernetes"
KUSTOMIZATIONS = {
    name: yaml.safe_load((FOLDER / name / "kustomization.yaml").read_text("utf-8"))
    for name in ("base", "workers")
}
FILES = sorted(one for one in FOLDER.glob("*/*.yaml") if one.name != "kustomization.yaml")
RESOURCES = [
    pytest.param(found, id=f"{one.parent.name}/{one.name} {found['kind']}")
    for one in FILES
    for found in yaml.safe_load_all(one.read_text("utf-8"))
]
DEPLOYMENTS = [one for one in RESOURCES if one.values[0]["kind"] == "Deployment"]
VERSIONS = ["1.28", "1.31", "1.34"]
BY_NAME = {
    (found["kind"], found["metadata"]["name"]): found for (found,) in (r.values for r in RESOURCES)
}


def _pod(deployment):
    return deployment["spec"]["template"]["spec"]


def _container(deployment):
    (found,) = _pod(deployment)["containers"]
    return found


def _told(deployment):
    """Variables of a pod, as a cluster resolves them, with the secret that .env makes."""
    container, told = _container(deployment), {}
    if container.get("envFrom"):
        told |= BY_NAME["ConfigMap", "baton"]["data"]
    for one in container["env"]:
        value = one.get("value")
        if value is None:
            reference = one["valueFrom"]["secretKeyRef"]
            assert reference["name"] == "baton"
            value = VALUES.get(reference["key"], "" if reference.get("optional") else None)
        told[one["name"]] = re.sub(r"\$\((\w+)\)", lambda name: told[name[1]], value)
    return told


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("resource", RESOURCES)
def test_a_cluster_takes_it(resource, version):
    """By the schemas of an old, a usual and a new version, without a field that is none."""
    kubernetes_validate.validate(resource, version, strict=True)


@pytest.mark.parametrize(
    ("right", "wrong"), [("startupProbe", "startProbe"), ('"replicas": 1', '"replicas": "1"')]
)
def test_a_resource_that_is_wrong_would_be_seen(right, wrong):
    """A misspelt field, and a number that is none."""
    text = json.dumps(BY_NAME["Deployment", "prefect"])
    assert right in text
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(json.loads(text.replace(right, wrong)), "1.31", strict=True)


@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_a_kustomization_names_every_file_beside_it(name):
    """And none that is missing."""
    named = {one for one in KUSTOMIZATIONS[name]["resources"] if one.endswith(".yaml")}
    assert named == {one.name for one in FILES if one.parent.name == name}
    assert (FOLDER / "workers" / "../base/kustomization.yaml").exists()


@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_kustomize_builds_what_a_cluster_takes(name):
    """All in one namespace; where there are workers, nothing serves beside them."""
    tool = shutil.which("kustomize") or shutil.which("kubectl")
    if tool is None:
        pytest.skip("there is neither kustomize nor kubectl here; the files are checked one by one")
    command = [tool, "build"] if tool.endswith("kustomize") else [tool, "kustomize"]
    done = subprocess.run([*command, FOLDER / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = list(yaml.safe_load_all(done.stdout))
    for one in built:
        kubernetes_validate.validate(one, "1.31", strict=True)
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == "baton"
    running = {one["metadata"]["name"] for one in built if one["kind"] == "Deployment"}
    roles = {"prefect", "mlflow", "pages", "arriving", "answers"}
    assert running == roles | {"serve" if name == "base" else "worker"}


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_a_pod_is_nobody_and_can_change_nothing(deployment):
    """What the namespace's policy `restricted` asks for, and a read-only root file system."""
    pod, container = _pod(deployment), _container(deployment)
    user = re.findall(r"^USER (\d+):(\d+)$", services.DOCKERFILE, re.MULTILINE)[-1]
    context = pod["securityContext"]
    assert (str(context["runAsUser"]), str(context["runAsGroup"])) == user
    assert context["runAsNonRoot"]
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    kinds = {key for one in pod["volumes"] for key in one} - {"name"}
    assert kinds <= {"emptyDir", "persistentVolumeClaim"}
    assert _told(deployment)["HOME"] == "/tmp"
    policy = BY_NAME["Namespace", "baton"]["metadata"]["labels"]
    assert policy["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_a_pod_asks_for_what_it_takes_and_is_looked_at(deployment):
    """Resources, probes, an account; services of the namespace are no settings of its."""
    container = _container(deployment)
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]
    assert "startupProbe" in container
    assert {"livenessProbe", "readinessProbe"} & container.keys()
    assert _pod(deployment)["enableServiceLinks"] is False, "MLflow would read MLFLOW_PORT"
    account = BY_NAME["ServiceAccount", _pod(deployment)["serviceAccountName"]]
    may_ask = deployment["metadata"]["name"] == "worker"
    assert _pod(deployment)["automountServiceAccountToken"] is may_ask
    assert account


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_a_probe_asks_by_a_name_that_is_answered(deployment):
    """A pod's address is no name of what asks for one; ports are those that it listens on."""
    container, told = _container(deployment), _told(deployment)
    asked = [
        container[one]["httpGet"]
        for one in container
        if one.endswith("Probe")
        if "httpGet" in container[one]
    ]
    port = str(container["ports"][0]["containerPort"]) if asked else ""
    for one in asked:
        assert one["port"] == container["ports"][0]["name"]
        if "BATON_ALLOWED_HOSTS" in told:
            assert one["httpHeaders"] == [{"name": "Host", "value": f"localhost:{port}"}]
    for name in ("BATON_SERVE_PORT", "BATON_ANNOUNCE_PORT", "BATON_PAGES_PORT"):
        assert told.get(name, port) == port
    if "BATON_ALLOWED_HOSTS" in told:
        name = deployment["metadata"]["name"]
        service = BY_NAME["Service", name]["spec"]["ports"][0]
        assert told["BATON_ALLOWED_HOSTS"] == f"{name}:{service['port']}"


@pytest.mark.parametrize("service", ["prefect", "mlflow", "serve", "pages", "arriving", "answers"])
def test_a_pod_is_told_what_compose_tells_its_service(service):
    """The same command and the same variables, each by the same value."""
    deployment = BY_NAME["Deployment", service]
    told, there = _told(deployment), services.variables(service, VALUES)
    both = told.keys() & there.keys()
    assert {name: told[name] for name in both} == {name: there[name] for name in both}
    assert there.keys() - told.keys() <= {"BATON_NOTIFY"}
    shared = BY_NAME["ConfigMap", "baton"]["data"]
    assert told.keys() - there.keys() <= {"BATON_ALLOWED_HOSTS", "POSTGRES_PASSWORD", *shared}
    command = services.command(service, VALUES)
    serves = {"serve": ["--ready", "/tmp/ready"]}
    assert _container(deployment)["args"] == serves.get(service, command)


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_variables_are_known_and_secrets_are_referred_to(deployment):
    """No value that is one stands in a file."""
    for one in _container(deployment)["env"]:
        prefix = next((known for known in KNOWN if one["name"].startswith(known)), "")
        if prefix and not one["name"].startswith("PREFECT_INTEGRATIONS_"):
            assert one["name"] in KNOWN[prefix], one["name"]
        if re.search("PASSWORD|TOKEN|AUTH_STRING$|ENCRYPTION_KEY|NOTIFY", one["name"]):
            assert "secretKeyRef" in one["valueFrom"], one["name"]
    assert not [found for kind, found in BY_NAME if kind == "Secret"]


def test_keys_of_the_secret_are_the_names_in_the_example():
    """`kubectl create secret generic baton --from-env-file=.env` makes it."""
    example = (ROOT / ".env.example").read_text("utf-8")
    named = set(re.findall(r"^(\w+)=", example, re.MULTILINE))
    used = set(re.findall(r"key: (\w+)", "".join(one.read_text("utf-8") for one in FILES)))
    assert used <= named
    pool = (ROOT / "deploy/pools/kubernetes.json").read_text("utf-8")
    assert set(re.findall(r'"key": "(\w+)"', pool)) <= named | {"DATABASE_PASSWORD"}


def test_a_worker_keeps_the_login_out_of_its_jobs():
    """Prefect's own settings of its worker, which name the key that the servers use."""
    from prefect_kubernetes.settings import KubernetesSettings

    told = _told(BY_NAME["Deployment", "worker"])
    with pytest.MonkeyPatch.context() as patch:
        for name, value in told.items():
            patch.setenv(name, value)
        found = KubernetesSettings()
    named = found.worker.api_auth_string_secret_name, found.worker.api_auth_string_secret_key
    assert named == ("baton", "PREFECT_AUTH")
    assert found.observer.namespaces == {"baton"}
    rules = BY_NAME["Role", "baton-worker"]["rules"]
    assert {one for rule in rules for one in rule["resources"]} >= {"jobs", "pods", "pods/log"}
    assert "secrets" not in json.dumps(rules)
