"""The manifest for Kubernetes: it says what the programs understand, and has no secret in it."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import ray
import yaml  # type: ignore[import-untyped]

from lutra.cli.main import main
from lutra.index.builds.remote.ray_names import BUILDER, NODE, QUICK_BUILDER

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "deploy" / "kuberay.yaml"
PAGE = ROOT / "docs" / "kubernetes.md"
PORT = 8087


@pytest.fixture(scope="module")
def objects() -> dict[str, dict[str, Any]]:
    """By kind; there is one of each."""
    found = list(yaml.safe_load_all(MANIFEST.read_text()))
    assert len({each["kind"] for each in found}) == len(found)
    return {each["kind"]: each for each in found}


def containers(objects: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    cluster = objects["RayCluster"]["spec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        yield from group["template"]["spec"]["containers"]
    yield from objects["Job"]["spec"]["template"]["spec"]["containers"]


def groups(objects: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {group["groupName"]: group for group in objects["RayCluster"]["spec"]["workerGroupSpecs"]}


def offered(group: dict[str, Any]) -> dict[str, float]:
    """What ``ray start --resources`` is told: KubeRay puts it into a shell's command, in quotes of its own."""
    (text,) = shlex.split(group["rayStartParams"]["resources"])
    found: dict[str, float] = json.loads(text)
    return found


def lutra_commands(text: str) -> list[list[str]]:
    """All ``lutra …`` in it, as a shell would split them."""
    joined = re.sub(r"\s+", " ", text)
    found = re.findall(r"\blutra (?:cluster|node|serve)(?: [^`'&|;]+)?", joined)
    return [shlex.split(command.replace("…", "x")) for command in found]


def require_options(words: list[str]) -> None:
    """Fails where a command or an option of it does not exist."""
    command: click.Command = main
    words = words[1:]
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    known = {name for parameter in command.params for name in parameter.opts}
    told = {word for word in words if word.startswith("--")}
    assert told <= known, f"{command.name} has no {told - known}"


def test_roles_are_where_their_resources_are(objects: dict[str, dict[str, Any]]) -> None:
    head = objects["RayCluster"]["spec"]["headGroupSpec"]["rayStartParams"]
    assert head["num-cpus"] == "0"
    assert "resources" not in head
    assert offered(groups(objects)["nodes"]) == {NODE: 1}
    assert offered(groups(objects)["builders"]) == {BUILDER: 1, QUICK_BUILDER: 1}
    for group in groups(objects).values():
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    assert groups(objects)["builders"]["minReplicas"] == 0
    assert objects["RayCluster"]["spec"]["enableInTreeAutoscaling"] is True


def test_rays_version_is_the_one_that_is_tested(objects: dict[str, dict[str, Any]]) -> None:
    assert objects["RayCluster"]["spec"]["rayVersion"].split(".")[:2] == ray.__version__.split(".")[:2]
    assert f"rayproject/ray:{objects['RayCluster']['spec']['rayVersion']}-py311" in PAGE.read_text()


def test_secrets_are_named_and_nowhere_told(objects: dict[str, dict[str, Any]]) -> None:
    named = set()
    for container in containers(objects):
        for variable in container["env"]:
            assert "value" not in variable
            named.add(variable["valueFrom"]["secretKeyRef"]["name"])
        named |= {source["secretRef"]["name"] for source in container["envFrom"] if "secretRef" in source}
    named.add(
        objects["RayCluster"]["spec"]["gcsFaultToleranceOptions"]["redisPassword"]["valueFrom"]["secretKeyRef"]["name"]
    )
    assert named == {"lutra-store", "lutra-access-key", "lutra-ray"}
    page, manifest = PAGE.read_text(), MANIFEST.read_text()
    for name in named:
        assert f"secret generic {name}" in page
        assert f"#   {name}" in manifest
    assert "Secret" not in objects
    assert not [key for key in objects["ConfigMap"]["data"] if re.search("KEY|TOKEN|PASSWORD|SECRET", key)]
    assert objects["ConfigMap"]["data"]["RAY_AUTH_MODE"] == "token"
    assert objects["ConfigMap"]["data"]["RAY_USAGE_STATS_ENABLED"] == "0"


def test_all_have_one_image_and_the_settings(objects: dict[str, dict[str, Any]]) -> None:
    assert len({container["image"] for container in containers(objects)}) == 1
    for container in containers(objects):
        assert {"configMapRef": {"name": objects["ConfigMap"]["metadata"]["name"]}} in container["envFrom"]


def test_commands_exist(objects: dict[str, dict[str, Any]]) -> None:
    commands = lutra_commands(MANIFEST.read_text()) + lutra_commands(PAGE.read_text())
    assert ["cluster", "down"] in [command[1:3] for command in commands]
    assert len(commands) > 4
    for command in commands:
        require_options(command)


def test_as_many_nodes_are_asked_for_as_there_are_pods(objects: dict[str, dict[str, Any]]) -> None:
    (job,) = objects["Job"]["spec"]["template"]["spec"]["containers"]
    (up,) = [command for command in lutra_commands(" ".join(job["command"])) if command[1:3] == ["cluster", "up"]]
    told = dict(itertools.pairwise(up))
    assert int(told["--nodes"]) == groups(objects)["nodes"]["replicas"]
    assert int(told["--ports"]) == PORT
    assert "--detach" in up
    assert f"http://{objects['RayCluster']['metadata']['name']}-head-svc:8265" in job["command"][3]


def test_who_asks_the_service_reaches_nodes(objects: dict[str, dict[str, Any]]) -> None:
    service, template = objects["Service"]["spec"], groups(objects)["nodes"]["template"]
    assert service["selector"].items() <= template["metadata"]["labels"].items()
    (container,) = template["spec"]["containers"]
    assert container["ports"] == [{"name": "tablestore", "containerPort": PORT}]
    assert service["ports"] == [{"name": "tablestore", "port": PORT, "targetPort": "tablestore"}]
    assert container["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": "tablestore"}
    assert template["spec"]["terminationGracePeriodSeconds"] > 60
