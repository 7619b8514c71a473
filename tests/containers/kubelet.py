"""Pods as containers of Docker: users, rights, mounts, memory, probes and ends as the manifest has them. What a kubelet leaves
to others (scheduling, NetworkPolicies, autoscaling, load balancing) is not here: each pod is asked by itself."""
import base64
import os
import pathlib
import time
import urllib.request

from images import run


def until(what, condition, seconds=40):
    end = time.monotonic() + seconds
    while True:
        try:
            found = condition()
        except Exception as error:  # whatever is not there yet
            found, why = None, error
        else:
            why = "no"
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for {what}: {why}")
        time.sleep(0.1)


def project(folder, files, group, mode):
    """As the kubelet lays a ConfigMap or a Secret: links into `..data`, which is a link itself and is replaced as one."""
    folder.mkdir(parents=True, exist_ok=True)
    now = folder / f"..{time.monotonic_ns()}"
    now.mkdir(mode=0o755)
    for name, content in files.items():
        file = now / name
        file.write_bytes(content)
        os.chown(file, 0, group)
        file.chmod(mode)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(pathlib.Path("..data") / name)
    link = folder / "..next"
    link.symlink_to(now.name)
    link.rename(folder / "..data")


class Cluster:
    """What was applied: its objects, and pods that are made of them."""

    def __init__(self, folder, objects):
        self.folder, self.objects, self.network, self.pods = folder, objects, f"kube{os.getpid()}{time.monotonic_ns()}", []
        run("docker", "network", "create", self.network)

    def find(self, kind, name):
        return next(one for one in self.objects if one["kind"] == kind and one["metadata"]["name"] == name)

    def files(self, kind, name):
        one = self.find(kind, name)
        plain = {**(one.get("data") or {}), **(one.get("stringData") or {})} if kind == "ConfigMap" else one.get("stringData") or {}
        coded = {} if kind == "ConfigMap" else one.get("data") or {}
        return {**{name: text.encode() for name, text in plain.items()}, **{name: base64.b64decode(text) for name, text in coded.items()}}

    def services(self, labels):
        for one in self.objects:
            if one["kind"] == "Service" and all(labels.get(key) == value for key, value in one["spec"]["selector"].items()):
                yield one["metadata"]["name"]

    def start(self, template, name, claims=()):
        pod = Pod(self, template, name, claims)
        self.pods.append(pod)
        return pod

    def stop(self):
        for pod in self.pods:
            pod.remove()
        run("docker", "network", "rm", self.network)


class Pod:
    def __init__(self, cluster, template, name, claims):
        self.cluster, self.spec, self.name = cluster, template["spec"], name
        self.labels, self.containers = template["metadata"]["labels"], []
        self.group = self.spec["securityContext"].get("fsGroup", 0)
        self.volumes = {volume["name"]: self.volume(volume) for volume in [*self.spec.get("volumes", []), *claims]}
        for container in self.spec["containers"]:
            self.begin(container)
        found = run("docker", "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", self.containers[0])
        self.address = found

    def volume(self, volume):
        folder = self.cluster.folder / self.name / volume["name"]
        if "configMap" in volume:
            files = self.cluster.files("ConfigMap", volume["configMap"]["name"])
            project(folder, files, self.group, volume["configMap"].get("defaultMode", 0o644))
        elif "secret" in volume:
            files = self.cluster.files("Secret", volume["secret"]["secretName"])
            project(folder, files, self.group, volume["secret"].get("defaultMode", 0o644))
        else:
            # What can be written belongs to the pod's group.
            folder.mkdir(parents=True)
            os.chown(folder, 0, self.group)
            folder.chmod(0o2775)
        return folder

    def begin(self, container):
        context = {**self.spec["securityContext"], **container["securityContext"]}
        assert context["runAsNonRoot"] and context["runAsUser"] > 0, "a root"
        name = f"{self.name}-{container['name']}"
        options = ["--name", name, "--user", f"{context['runAsUser']}:{context.get('runAsGroup', 0)}", "--group-add", str(self.group)]
        if self.containers:
            options += ["--network", f"container:{self.containers[0]}"]
        else:
            aliases = [part for alias in self.cluster.services(self.labels) for part in ("--network-alias", alias)]
            options += ["--network", self.cluster.network, *aliases]
        options += ["--read-only"] * bool(context.get("readOnlyRootFilesystem"))
        options += ["--security-opt", "no-new-privileges"] * (not context["allowPrivilegeEscalation"])
        options += [part for drop in context["capabilities"]["drop"] for part in ("--cap-drop", drop)]
        options += ["--memory", container["resources"]["limits"]["memory"].replace("Mi", "m").replace("Gi", "g")]
        options += [part for one in container.get("env", []) for part in ("--env", f"{one['name']}={one['value']}")]
        for mount in container.get("volumeMounts", []):
            mode = ":ro" if mount.get("readOnly") else ""
            options += ["--volume", f"{self.volumes[mount['name']]}:{mount['mountPath']}{mode}"]
        command = container.get("command", [])
        options += ["--entrypoint", command[0]] if command else []
        run("docker", "run", "--detach", *options, container["image"], *command[1:], *container.get("args", []))
        self.containers.append(name)

    def probe(self, number, probe):
        container = self.spec["containers"][number]
        if "exec" in probe:
            return run("docker", "exec", self.containers[number], *probe["exec"]["command"]) is not None
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        if "tcpSocket" in probe:
            import socket

            socket.create_connection((self.address, ports[probe["tcpSocket"]["port"]]), timeout=1).close()
            return True
        asked = probe["httpGet"]
        port = ports.get(asked["port"], asked["port"])
        return urllib.request.urlopen(f"http://{self.address}:{port}{asked['path']}", timeout=2).status == 200

    def wait_ready(self):
        for number, container in enumerate(self.spec["containers"]):
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                if kind in container:
                    until(f"{kind} of {self.containers[number]}: {self.said(number)[-600:]}", lambda: self.probe(number, container[kind]))

    def said(self, number=0):
        import subprocess

        done = subprocess.run(["docker", "logs", self.containers[number]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.stdout

    def end(self):
        """As a pod is ended: exit codes of its containers."""
        grace = str(self.spec.get("terminationGracePeriodSeconds", 30))
        run("docker", "stop", "--time", grace, *self.containers)
        return [int(run("docker", "inspect", "-f", "{{.State.ExitCode}}", one)) for one in self.containers]

    def remove(self):
        run("docker", "rm", "--force", "--volumes", *reversed(self.containers))
