"""See run: containers.py ROOT FOLDER CACHE."""
import base64
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.request

import yaml
from images import make_all, run
from kubelet import Cluster, project, until

ROOT, FOLDER, CACHE = map(pathlib.Path, sys.argv[1:4])
PROGRAM = os.environ["FLOWGATE_BIN"]
counts = {"passed": 0, "failed": 0}
anyone = ssl.create_default_context()
anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE


def check(name, test):
    try:
        test()
    except Exception as error:
        counts["failed"] += 1
        print(f"FAILED  {name}\n        {error}", flush=True)
        if not isinstance(error, AssertionError):
            traceback.print_exc()
        if isinstance(error, subprocess.CalledProcessError):
            print(error.stdout)
    else:
        counts["passed"] += 1
        print(f"ok      {name}", flush=True)


def equal(what, found, wanted):
    assert found == wanted, f"{what}: {found} in place of {wanted}"


def ask(base, key=None, body=None, path="/api/v1/prediction/support"):
    """Status, headers and text."""
    headers = {"content-type": "application/json", **({"x-api-key": key} if key else {})}
    request = urllib.request.Request(base + path, None if body is None else json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=20, context=anyone) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def question(base, key):
    return ask(base, key, {"question": "hi"})


def make_key(file, *more):
    return run(PROGRAM, "keys", "create", "--file", str(file), "--id", "my-app", *more, stderr=subprocess.DEVNULL)


def admitted(bases, key, count):
    """How many of so many requests pass, over all of them in turn."""
    return [question(bases[number % len(bases)], key)[0] for number in range(count)].count(200)


# ---- Compose

def compose(deploy, *arguments):
    user = {"FLOWGATE_USER": f"{os.getuid()}:{os.getgid()}"}
    return run(str(CACHE / "bin/docker-compose"), *arguments, cwd=deploy, env={**os.environ, **user}, stderr=subprocess.STDOUT)


def with_compose():
    deploy = FOLDER / "clone/deploy"
    shutil.copytree(ROOT / "deploy", deploy)
    for name in ("state", "secrets"):
        (deploy / name).mkdir()
    (deploy / "secrets/flowise-key").write_text("key-of-flowise")
    key = make_key(deploy / "compose/keys.yaml")
    # A machine that throws its files away has no more descriptors to give.
    file = deploy / "compose.yaml"
    file.write_text(file.read_text().replace("nofile: 65536", "nofile: 16384"))
    one = "http://127.0.0.1:8080"
    fleet = [f"http://127.0.0.1:{port}" for port in (8081, 8082, 8083)]

    def single():
        compose(deploy, "up", "-d", "--no-build")
        until("an answer", lambda: ask(one, path="/api/v1/ping")[0] == 200)
        status, _, text = question(one, key)
        equal("the answer", (status, json.loads(text)), (200, {"text": "fine", "key": "Bearer key-of-flowise"}))
        equal("without a key", question(one, None)[0], 401)
        equal("/readyz", ask("http://127.0.0.1:9090", path="/readyz")[0], 200)
        equal("published of Flowise", run("docker", "port", "flowgate-flowise-1"), "")

    def several():
        compose(deploy, "up", "-d", "--no-build", "flowise", "valkey", "fleet")
        for port in (9091, 9092, 9093):
            until("three replicas", lambda: "shared by 3 replicas" in ask(f"http://127.0.0.1:{port}", path="/readyz")[2])
        # The plan `default`: a burst of 10, and one each second.
        begun = time.monotonic()
        passed = admitted(fleet, key, 40)
        most = 1.02 * (10 + time.monotonic() - begun) + 1
        assert 10 <= passed <= most, f"{passed} passed of {most}"

    def loses():
        compose(deploy, "stop", "valkey")
        until("the loss", lambda: "store: lost" in ask("http://127.0.0.1:9092", path="/readyz")[2])
        equal("/readyz", ask("http://127.0.0.1:9092", path="/readyz")[0], 200)
        compose(deploy, "start", "valkey")
        until("its return", lambda: "shared by 3 replicas" in ask("http://127.0.0.1:9092", path="/readyz")[2])

    def ends():
        stream = subprocess.Popen(["curl", "-sN", one + "/api/v1/prediction/support", "-H", f"X-API-KEY: {key}", "-H",
                                   "Content-Type: application/json", "-d", '{"question":"hi","streaming":true}'], stdout=subprocess.PIPE, text=True)
        assert "word" in stream.stdout.readline() + stream.stdout.readline(), "no stream"
        compose(deploy, "stop", "flowgate")
        assert "[DONE]" in stream.communicate()[0], "the stream was cut"

    check("compose: as its head says, one gateway and a Flowise that nobody else reaches", single)
    check("compose: a stop lets a stream end", ends)
    check("compose: three gateways and a Valkey count together", several)
    check("compose: Valkey stops and comes back", loses)
    compose(deploy, "--profile", "fleet", "down", "--volumes", "--timeout", "1")


# ---- Kubernetes

def secret(name, files):
    return {"kind": "Secret", "metadata": {"name": name}, "data": {file: base64.b64encode(text).decode() for file, text in files.items()}}


def prepared(keys):
    """What the heads of the manifests and the chart's page say is to be made before."""
    key, certificate = FOLDER / "tls.key", FOLDER / "tls.crt"
    if not key.exists():
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=chat",
            "-keyout", str(key), "-out", str(certificate), stderr=subprocess.DEVNULL)
    flow = "assistant.json"
    return [
        secret("flowgate-tls", {"tls.key": key.read_bytes(), "tls.crt": certificate.read_bytes()}),
        secret("flowgate-valkey", {"password": b"secret-of-valkey"}),
        secret("flowgate-keys", {"keys.yaml": keys.read_bytes()}),
        secret("flowgate-flowise", {"api-key": b"key-of-flowise"}),
        secret("flowgate-models", {"openai": b"key-of-a-model"}),
        secret("flowgate-admin", {"token": b"0123456789abcdef0123456789abcdef"}),
        {"kind": "ConfigMap", "metadata": {"name": "flowgate-flows"}, "data": {flow: (ROOT / "config/flows" / flow).read_text()}},
        FLOWISE_SERVICE,
    ]


FLOWISE = {"metadata": {"labels": {"app.kubernetes.io/name": "flowise"}}, "spec": {"securityContext": {}, "containers": [{
    "name": "flowise", "image": "flowiseai/flowise:3.1.4", "resources": {"limits": {"memory": "512Mi"}},
    "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}]}}
FLOWISE_SERVICE = {"kind": "Service", "metadata": {"name": "flowise"}, "spec": {"selector": {"app.kubernetes.io/name": "flowise"}}}


def cluster(objects, name, plan):
    folder = FOLDER / name
    folder.mkdir()
    keys = folder / "keys.yaml"
    key = make_key(keys, "--plan", plan)
    for one in objects:
        # The placeholder, as its head says.
        if one["kind"] == "Secret" and "keys.yaml" in one.get("stringData", {}):
            one["stringData"]["keys.yaml"] = keys.read_text()
    there = {(one["kind"], one["metadata"]["name"]) for one in objects}
    return Cluster(folder, [*objects, *[one for one in prepared(keys) if (one["kind"], one["metadata"]["name"]) not in there]]), key


def workload(it, kind, name):
    spec = it.find(kind, name)["spec"]
    claims = [{"name": claim["metadata"]["name"]} for claim in spec.get("volumeClaimTemplates", [])]
    return spec["template"], claims


def with_fleet(objects, name, gateway, valkey, plan, burst, a_second):
    it, key = cluster(objects, name, plan)
    template, claims = workload(it, "StatefulSet", valkey)
    store = it.start(template, f"{name}-valkey", claims)
    it.start(FLOWISE, f"{name}-flowise")
    template, _ = workload(it, "Deployment", gateway)
    pods = [it.start(template, f"{name}-{number}") for number in range(2)]
    bases = [f"https://{pod.address}:8443" for pod in pods]

    def starts():
        store.wait_ready()
        for pod in pods:
            pod.wait_ready()
            until("the store", lambda: "shared by 2 replicas" in ask(f"http://{pod.address}:9090", path="/readyz")[2])

    def counts_together():
        begun = time.monotonic()
        passed = admitted(bases, key, 4 * burst)
        most = 1.02 * (burst + a_second * (time.monotonic() - begun)) + 1
        assert burst <= passed <= most, f"{passed} passed of {most}"

    def takes_over():
        volume = next(volume for volume in template["spec"]["volumes"] if "configMap" in volume)
        files = it.files("ConfigMap", volume["configMap"]["name"])
        changed = {file: text.replace(b"support", b"renamed") for file, text in files.items()}
        for pod in pods:
            project(pod.volumes[volume["name"]], changed, pod.group, 0o644)
        for base in bases:
            until("the new name", lambda: question(base, key)[0] in (403, 404))

    def ends():
        for pod in pods:
            equal("exit codes", pod.end(), [0])

    check(f"{name}: pods of a Valkey and two gateways get ready, by their probes", starts)
    check(f"{name}: they count together", counts_together)
    check(f"{name}: another ConfigMap is taken over in the running pods", takes_over)
    check(f"{name}: they end well", ends)
    it.stop()


def with_one(objects, name, passes, plan="default", scheme="https", port=8443):
    it, key = cluster(objects, name, plan)
    deployment = next(one["metadata"]["name"] for one in objects if one["kind"] == "Deployment")
    it.start(FLOWISE, f"{name}-flowise")
    pod = it.start(workload(it, "Deployment", deployment)[0], f"{name}-0")

    def starts():
        pod.wait_ready()
        passes(f"{scheme}://{pod.address}:{port}", key)

    def ends():
        equal("exit code of the gateway", pod.end()[0], 0)

    check(f"{name}: its pod gets ready, by its probes, and answers", starts)
    check(f"{name}: it ends well", ends)
    it.stop()


def answers(base, key):
    status, _, text = question(base, key)
    equal("the answer", (status, json.loads(text).get("text")), (200, "fine"))
    equal("without a key", question(base, None)[0], 401)


def is_there(base, key):
    equal("a ping", ask(base, path="/api/v1/ping")[0], 200)
    equal("without a key", ask(base, None, {"question": "hi"}, "/api/v1/prediction/assistant")[0], 401)


def with_kubernetes():
    manifests = {name: [one for one in yaml.safe_load_all((ROOT / f"deploy/kubernetes/{name}.yaml").read_text()) if one] for name in ("fleet", "sidecar", "engine")}
    with_fleet(manifests["fleet"], "fleet", "flowgate-fleet", "flowgate-valkey", "partner", 50, 10)
    with_one(manifests["sidecar"], "sidecar", answers, "partner")
    with_one(manifests["engine"], "engine", is_there)


def with_helm():
    import helm_python as helm

    def render(name):
        values = yaml.safe_load((ROOT / f"deploy/helm/flowgate/ci/{name}-values.yaml").read_text())
        with helm.Chart.load(str(ROOT / "deploy/helm/flowgate")) as chart:
            texts = chart.render(values, name="chat", namespace="chat", is_install=True)
        documents = [yaml.safe_load_all(text) for path, text in sorted(texts.items()) if not path.endswith("NOTES.txt")]
        return [one for document in documents for one in document if one]

    with_fleet(render("fleet"), "chart-fleet", "chat-flowgate", "chat-flowgate-valkey", "default", 10, 1)
    with_one(render("gateway"), "chart-gateway", answers, "partner", "http", 8080)
    with_one(render("ext-auth"), "chart-ext-auth", answers, "default", "http", 8080)
    with_one(render("sidecar"), "chart-sidecar", answers)
    with_one(render("engine"), "chart-engine", is_there)


wanted = os.environ.get("ONLY")
make_all(ROOT, FOLDER, CACHE, PROGRAM)
check("the image: what the Dockerfile's last stage has, and it runs", lambda: run("docker", "run", "--rm", "--read-only", "flowgate:0.1.0", "--version"))
if wanted in (None, "compose"):
    with_compose()
if wanted in (None, "kubernetes"):
    with_kubernetes()
if wanted in (None, "helm"):
    with_helm()
print(f"containers: {counts['passed']} passed, {counts['failed']} failed")
sys.exit(1 if counts["failed"] else 0)
