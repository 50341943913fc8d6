"""The templates of work pools, as Prefect's own workers make runs of them.

Workers that take them, and chains that run by them, are in ``tests/e2e/test_pools.py``.
"""

import asyncio
import json
from types import SimpleNamespace
from uuid import uuid4

import kubernetes_validate
import pytest
import yaml
from docker.models.containers import _create_container_args
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect_docker.worker import DockerWorker
from prefect_kubernetes.worker import KubernetesWorker

from tests.conftest import ROOT

WORKERS = {"docker": DockerWorker, "kubernetes": KubernetesWorker}
HELD = {
    "BATON_MLFLOW_TRACKING_URI": "http://mlflow:5000",
    "BATON_STUDY_PASSWORD": "held-by-the-worker-alone",
    "BATON_NOTIFY": "",
}


def template(kind):
    return json.loads((ROOT / f"deploy/pools/{kind}.json").read_text("utf-8"))


def _made(kind, monkeypatch, **variables):
    """What a worker of that kind makes of the template for a flow run."""
    for name, value in HELD.items():
        monkeypatch.setenv(name, value)
    run = FlowRun(id=uuid4(), flow_id=uuid4(), name="train iris 3f9c1a", state=_scheduled())
    told = {PREFECT_API_URL: "http://prefect:4200/api", PREFECT_API_AUTH_STRING: "team:secret"}
    with temporary_settings(told):
        made = asyncio.run(
            WORKERS[kind].job_configuration.from_template_and_values(
                template(kind), variables, client=SimpleNamespace()
            )
        )
        made.prepare_for_flow_run(run)
    return made, run


def _scheduled():
    return State(type=StateType.SCHEDULED)


@pytest.mark.parametrize("kind", WORKERS)
def test_a_template_is_that_of_its_worker_but_for_what_is_ours(kind):
    """Every variable that the worker knows is there, and no other; defaults alone differ."""
    theirs = WORKERS[kind].get_default_base_job_template()["variables"]
    ours = template(kind)["variables"]
    for one in (*theirs["properties"].values(), *ours["properties"].values()):
        one.pop("default", None)
    assert ours == theirs


def test_a_template_holds_no_secret():
    """Docker's names variables of its worker, that of Kubernetes keys of a Secret."""
    named = template("docker")["variables"]["properties"]["env"]["default"]
    assert named.pop("HOME") == "/tmp"
    assert named == {name: f"{{{{ ${name} }}}}" for name in named}
    (job,) = template("kubernetes")["job_configuration"]["job_manifest"]["spec"]["template"][
        "spec"
    ]["containers"]
    assert all(set(one) == {"name", "valueFrom"} for one in job["env"])
    assert {one["name"] for one in job["env"]} >= {"PREFECT_API_AUTH_STRING", "BATON_NOTIFY"}
    assert not template("kubernetes")["variables"]["properties"]["env"].get("default")


def test_docker_starts_the_engine_in_our_image(monkeypatch):
    """Once, in a container that can write to its volume and its /tmp, and is nobody."""
    made, run = _made("docker", monkeypatch)
    container = DockerWorker(work_pool_name="baton", test_mode=True)._build_container_settings(
        SimpleNamespace(version=lambda: {"Version": "25.0.0"}), made
    )
    asked = _create_container_args(container | {"version": "1.44"})
    assert (asked["image"], asked["command"]) == ("baton:local", "python -m prefect.engine")
    assert asked["environment"]["PREFECT__FLOW_RUN_ID"] == str(run.id)
    assert asked["environment"]["PREFECT_API_URL"] == "http://prefect:4200/api"
    assert asked["environment"]["HOME"] == "/tmp"
    assert {name: asked["environment"][name] for name in HELD} == HELD
    host = asked["host_config"]
    assert host["Binds"] == ["baton:/data"]
    assert (host["ReadonlyRootfs"], host["Init"], host["AutoRemove"]) == (True, True, True)
    assert (host["CapDrop"], host["Tmpfs"]) == (["ALL"], {"/tmp": "mode=1777"})
    assert host["SecurityOpt"] == ["no-new-privileges:true"]


def test_the_volume_of_docker_is_that_of_compose():
    """A run of the pool reads what the services of compose.yaml wrote, and the other way round."""
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    (mounted,) = template("docker")["variables"]["properties"]["volumes"]["default"]
    volume, place = mounted.split(":")
    assert compose["volumes"]["baton"]["name"] == volume
    assert f"baton:{place}" in compose["services"]["serve"]["volumes"]


def test_kubernetes_starts_the_engine_in_our_image(monkeypatch):
    """A Job that its cluster takes, whose pod is nobody and refers to the Secret."""
    made, run = _made("kubernetes", monkeypatch, image="registry.example/baton:1")
    pod = made.job_manifest["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == "registry.example/baton:1"
    assert container["args"] == ["python", "-m", "prefect.engine"]
    told = {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}
    assert told["PREFECT__FLOW_RUN_ID"] == str(run.id)
    secret = {"secretKeyRef": {"name": "baton", "key": "POSTGRES_PASSWORD"}}
    assert told["BATON_STUDY_PASSWORD"] == secret
    assert "held-by-the-worker-alone" not in json.dumps(made.job_manifest)
    assert made.namespace == made.job_manifest["metadata"]["namespace"] == "baton"
    check_job(made.job_manifest)


def check_job(job):
    """By the schema of a cluster: two fields that Prefect asks for in a pod are none of a pod's."""
    pod = job["spec"]["template"]["spec"]
    assert [pod.pop(name) for name in ("parallelism", "completions")] == [1, 1]
    kubernetes_validate.validate(job, "1.31", strict=True)
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["enableServiceLinks"] is pod["automountServiceAccountToken"] is False


def test_the_check_of_a_job_sees_what_is_wrong(monkeypatch):
    """A field that there is none of, or of another type."""
    for wrong in ({"imagePulPolicy": "Never"}, {"args": "python"}):
        made, _ = _made("kubernetes", monkeypatch)
        made.job_manifest["spec"]["template"]["spec"]["containers"][0] |= wrong
        with pytest.raises(kubernetes_validate.ValidationError):
            check_job(made.job_manifest)


def test_a_job_names_what_the_base_of_the_cluster_has(monkeypatch):
    """ConfigMap, volume, account and namespace are those of deploy/kubernetes."""
    text = (ROOT / "deploy/kubernetes/base/shared.yaml").read_text("utf-8")
    there = {(one["kind"], one["metadata"]["name"]) for one in yaml.safe_load_all(text)}
    made, _ = _made("kubernetes", monkeypatch)
    pod = made.job_manifest["spec"]["template"]["spec"]
    claims = [one["persistentVolumeClaim"] for one in pod["volumes"] if "emptyDir" not in one]
    assert ("PersistentVolumeClaim", claims[0]["claimName"]) in there
    assert ("ServiceAccount", pod["serviceAccountName"]) in there
    assert ("ConfigMap", pod["containers"][0]["envFrom"][0]["configMapRef"]["name"]) in there
    assert ("Namespace", made.namespace) in there
