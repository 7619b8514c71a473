#!/usr/bin/env python3
"""Renders the Helm chart with Helm's own engine, once for each example of values in its folder ci/.

chart.py CHART OUT   writes OUT/NAME/{objects.yaml,flowgate.yaml,keys.yaml} and says what is wrong with the chart
"""
import pathlib
import sys

import helm_python as helm
import yaml

chart_path, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
wrong = []


def complain(text):
    wrong.append(text)


def render(values):
    with helm.Chart.load(str(chart_path)) as chart:
        chart.validate_schema(chart.merge_values(values))
        texts = chart.render(values, name="chat", namespace="chat", is_install=True)
    objects = []
    for path, text in sorted(texts.items()):
        if not path.endswith("NOTES.txt"):
            objects += [document for document in yaml.safe_load_all(text) if document]
    return objects


def matches(selector, labels):
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def look(name, objects):
    """What no schema sees: that names, labels and ports of the objects fit each other."""
    names = [(one["kind"], one["metadata"]["name"]) for one in objects]
    if len(set(names)) != len(names):
        complain(f"{name}: two objects of one kind and name: {names}")
    pods = {one["metadata"]["name"]: one["spec"]["template"] for one in objects if one["kind"] in ("Deployment", "StatefulSet")}
    for one in objects:
        kind, at = one["kind"], f'{name}: {one["kind"]} {one["metadata"]["name"]}'
        spec = one.get("spec", {})
        if kind in ("Deployment", "StatefulSet"):
            template = spec["template"]
            if not matches(spec["selector"]["matchLabels"], template["metadata"]["labels"]):
                complain(f"{at} does not select its own pods")
            volumes = {volume["name"]: volume for volume in template["spec"].get("volumes", [])}
            claims = {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])}
            mounted = set()
            for container in template["spec"]["containers"]:
                for mount in container.get("volumeMounts", []):
                    mounted.add(mount["name"])
                    if mount["name"] not in volumes.keys() | claims:
                        complain(f'{at}: there is no volume {mount["name"]}')
            if volumes.keys() - mounted:
                complain(f"{at}: volumes that nobody mounts: {volumes.keys() - mounted}")
            for volume in volumes.values():
                claim = volume.get("persistentVolumeClaim", {}).get("claimName")
                if claim and ("PersistentVolumeClaim", claim) not in names:
                    complain(f"{at}: there is no claim {claim}")
        if kind == "Service":
            picked = [template for template in pods.values() if matches(spec["selector"], template["metadata"]["labels"])]
            ports = {port["name"] for template in picked for container in template["spec"]["containers"] for port in container.get("ports", [])}
            if len(picked) != 1 or any(port["targetPort"] not in ports for port in spec["ports"]):
                complain(f"{at} leads to {len(picked)} workloads, which have the ports {ports}")
        if kind in ("NetworkPolicy", "PodDisruptionBudget"):
            selector = spec.get("podSelector") or spec["selector"]
            if sum(matches(selector["matchLabels"], template["metadata"]["labels"]) for template in pods.values()) != 1:
                complain(f"{at} does not select one workload")
        if kind == "HorizontalPodAutoscaler" and spec["scaleTargetRef"]["name"] not in pods:
            complain(f"{at} scales nothing")
        if kind == "ServiceMonitor":
            services = [other for other in objects if other["kind"] == "Service" and matches(spec["selector"]["matchLabels"], other["metadata"]["labels"])]
            found = {port["name"] for service in services for port in service["spec"]["ports"]}
            if len(services) != 1 or spec["endpoints"][0]["port"] not in found:
                complain(f"{at} leads to {len(services)} services with the ports {found}")
        if kind == "Ingress":
            backend = spec["rules"][0]["http"]["paths"][0]["backend"]["service"]
            if not any(other["kind"] == "Service" and other["metadata"]["name"] == backend["name"]
                       and backend["port"]["name"] in [port["name"] for port in other["spec"]["ports"]] for other in objects):
                complain(f"{at} leads nowhere")


examples = {path.name.removesuffix("-values.yaml"): yaml.safe_load(path.read_text()) for path in sorted(chart_path.glob("ci/*-values.yaml"))}
for name, values in examples.items():
    report = helm.lint(str(chart_path), values, strict=True, kube_version="v1.30.0")
    for message in report["messages"]:
        if message["severity"] > 1:
            complain(f"{name}: lint: {message}")
    for error in report["errors"]:
        complain(f"{name}: lint: {error}")
    objects = render(values)
    look(name, objects)
    folder = out / name
    folder.mkdir(parents=True)
    # The kind ServiceMonitor comes with the operator: its schema is not among Kubernetes' own.
    (folder / "objects.yaml").write_text(yaml.safe_dump_all([one for one in objects if one["kind"] != "ServiceMonitor"]))
    data = {}
    for one in objects:
        if one["kind"] in ("ConfigMap", "Secret"):
            data |= {**(one.get("data") or {}), **(one.get("stringData") or {})}
    (folder / "flowgate.yaml").write_text(data["flowgate.yaml"])
    (folder / "keys.yaml").write_text(data.get("keys.yaml", 'keys:\n  - id: my-app\n    sha256: "' + 64 * "0" + '"\n'))

# What must be refused, and the words that say why.
fleet, sidecar = examples["fleet"], examples["sidecar"]
for values, words in [
    ({}, "chatflows"),
    ({**fleet, "config": {}}, "chatflows"),
    ({**fleet, "replicas": 3}, "replicas"),
    ({**fleet, "mode": "ext-auth"}, "mode"),
    ({**fleet, "keys": {}}, "keys.existingSecret"),
    ({**fleet, "valkey": {"enabled": False}}, "several pods cannot have one volume"),
    ({**fleet, "valkey": {"enabled": True, "deploy": False}}, "valkey.urls"),
    ({**sidecar, "replicaCount": 2}, "one pod"),
    ({**sidecar, "extAuth": {"enabled": True}}, "in mode gateway only"),
    ({**examples["ext-auth"], "trustedProxies": []}, "trustedProxies"),
]:
    try:
        render(values)
        complain(f"taken, and should be refused for {words}: {values}")
    except helm.HelmError as error:
        if words not in str(error):
            complain(f"refused, but {words} is not in: {error}")
# And what must go: pods that share nothing, each with limits of its own.
render({**fleet, "valkey": {"enabled": False}, "persistence": {"enabled": False}})
print("\n".join(wrong) or f"Helm {helm.helm_sdk_version()}: {', '.join(examples)}")
sys.exit(1 if wrong else 0)
