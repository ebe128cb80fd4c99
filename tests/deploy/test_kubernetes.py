"""Manifests of deploy/kubernetes against the schemas of Kubernetes and of the Dask operator."""

from __future__ import annotations

import copy
import subprocess
import sys
import zipfile
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
CRDS = "dask_kubernetes/operator/deployment/helm/dask-kubernetes-operator/crds"
KUBERNETES = "1.31"  # podReplacementPolicy and podFailurePolicy are stable from here on


def manifest(name: str) -> dict:
    (found,) = yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8"))
    return found


def strict(schema: dict) -> dict:
    """Return a CRD's schema that refuses unknown fields, which Kubernetes would drop in silence."""
    found = {key: value for key, value in schema.items() if not key.startswith("x-")}
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    if "properties" in found:
        found["properties"] = {k: strict(v) for k, v in found["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            found["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            found[key] = strict(found[key])
    return found


@pytest.fixture(scope="module")
def operator(tmp_path_factory) -> Path:
    """Return the operator's wheel, from the package index and without its thirty dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder]
    done = subprocess.run(
        [*command, "dask-kubernetes"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no wheel of dask-kubernetes: {done.stderr.splitlines()[-1]}")
    (found,) = folder.glob("dask_kubernetes-*.whl")
    return found


def check(wheel: Path, found: dict) -> None:
    with zipfile.ZipFile(wheel) as archive:
        definition = yaml.safe_load(archive.read(f"{CRDS}/{found['kind'].lower()}.yaml"))
    (version,) = definition["spec"]["versions"]
    schema = strict(version["schema"]["openAPIV3Schema"])
    schema["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {"type": "object"}}
    assert found["apiVersion"] == f"{definition['spec']['group']}/{version['name']}"
    jsonschema.Draft202012Validator(schema).validate(found)


@pytest.mark.parametrize("name", ["cronjob.yaml", "networkpolicy.yaml"])
def test_core_kinds_fit_the_schemas_of_kubernetes(name):
    import kubernetes_validate

    kubernetes_validate.validate(manifest(name), KUBERNETES, strict=True)


def test_the_schemas_of_kubernetes_refuse_a_slip():
    import kubernetes_validate

    wrong = manifest("cronjob.yaml")
    wrong["spec"]["concurrencypolicy"] = "Forbid"
    with pytest.raises(kubernetes_validate.ValidationError, match="concurrencypolicy"):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)


@pytest.mark.network
@pytest.mark.parametrize("name", ["daskcluster.yaml", "daskworkergroup-gpu.yaml"])
def test_dask_kinds_fit_the_schemas_of_the_operator(operator, name):
    found = manifest(name)
    check(operator, found)
    wrong = copy.deepcopy(found)
    wrong["spec"]["worker"]["spec"]["containers"][0]["volumeMount"] = []
    with pytest.raises(jsonschema.ValidationError, match="volumeMount"):
        check(operator, wrong)


def test_kustomization_names_the_files_that_are_there():
    named = set(manifest("kustomization.yaml")["resources"])
    assert {p.name for p in FOLDER.glob("*.yaml")} - named == {
        "kustomization.yaml", "daskworkergroup-gpu.yaml",
    }  # fmt: skip


def pod_specs() -> list[dict]:
    cluster, group = (
        manifest("daskcluster.yaml")["spec"],
        manifest("daskworkergroup-gpu.yaml")["spec"],
    )
    job = manifest("cronjob.yaml")["spec"]["jobTemplate"]["spec"]["template"]
    return [
        cluster["scheduler"]["spec"],
        cluster["worker"]["spec"],
        group["worker"]["spec"],
        job["spec"],
    ]


def test_every_pod_is_locked_down_and_mounts_what_it_names():
    for spec in pod_specs():
        (container,) = spec["containers"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["automountServiceAccountToken"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert {m["name"] for m in container["volumeMounts"]} == {
            v["name"] for v in spec["volumes"]
        }
        files = [a for a in container["args"] if a.startswith("/etc/geoseg/tls/")]
        assert len(files) == 3, "TLS everywhere"


@pytest.mark.network
def test_the_commands_of_scheduler_and_worker_make_a_cluster(tmp_path):
    """The very arguments of the manifest, with the folders and ports of this machine."""
    import urllib.request

    from distributed import Client

    from tests.deploy.test_tls import free_port, make, security

    assert make(tmp_path).returncode == 0
    port, page = free_port(), free_port()
    here = {
        "/etc/geoseg/tls": str(tmp_path), "geoseg-scheduler:8786": f"127.0.0.1:{port}",
        "/scratch": str(tmp_path), ":8787": f"127.0.0.1:{page}",
    }  # fmt: skip

    def command(spec: dict, name: str) -> list[str]:
        words = [str(port) if word == "8786" else word for word in spec["containers"][0]["args"]]
        for there, replacement in here.items():
            words = [word.replace(there, replacement) for word in words]
        return [sys.executable, "-m", *(w.replace("$(DASK_WORKER_NAME)", name) for w in words)]

    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    scheduler, worker, gpu_worker, _ = pod_specs()
    started = [
        subprocess.Popen(command(spec, name), **quiet)
        for name, spec in {"": scheduler, "cpu": worker, "gpu": gpu_worker}.items()
    ]
    try:
        with Client(f"tls://127.0.0.1:{port}", security=security(tmp_path), timeout=30) as client:
            client.wait_for_workers(2, timeout=30)
            assert client.submit(pow, 7, 2).result(timeout=30) == 49
            with urllib.request.urlopen(f"http://127.0.0.1:{page}/health", timeout=30) as answer:
                assert answer.status == 200
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)
