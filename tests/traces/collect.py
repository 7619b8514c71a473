"""Sends requests through flowgate, and looks at the spans that a collector hands on. See run."""

import hashlib
import http.server
import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent import futures

import grpc
import rotel
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as stubs
from opentelemetry.proto.trace.v1 import trace_pb2

TMP = pathlib.Path(sys.argv[1])
KEY = "test-key-0123456789abcdef"
PATIENCE = 20
processes = []
given = itertools.count()


def free_port():
    """Below the ports that the kernel gives to anybody who asks: nobody comes to have it before the server does. Each once."""
    while True:
        port = 12_000 + (os.getpid() * 16 + next(given)) % 10_000
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


def wait_for(what, condition):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise SystemExit(f"FAILED  waited in vain for {what}")


def check(what, is_so, otherwise=""):
    if not is_so:
        raise SystemExit(f"FAILED  {what} {otherwise}")
    print(f"ok      {what}")


class Backend(stubs.TraceServiceServicer):
    """What a collector hands spans on to."""

    def __init__(self):
        self.spans, self.raw, self.metadata, self.refuses = [], [], [], 0
        self.server = grpc.server(futures.ThreadPoolExecutor(4))
        stubs.add_TraceServiceServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def Export(self, request, context):
        if self.refuses:
            self.refuses -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        self.metadata.append(dict(context.invocation_metadata()))
        self.raw.append(request.SerializeToString())
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans += [(resource.resource, span) for span in scope.spans]
        return service.ExportTraceServiceResponse()

    def of_request(self, request_id):
        """All spans of that request's trace, once that of the request itself is there."""
        roots = [span for _, span in self.spans if attributes(span).get("flowgate.request_id") == request_id]
        return roots and [span for _, span in self.spans if span.trace_id == roots[0].trace_id]


class Flowise(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    parents = []

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        Flowise.parents.append(self.headers["traceparent"])
        answer = b'{"text":"private-answer","chatId":"c","chatMessageId":"m"}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def value(any_value):
    return getattr(any_value, any_value.WhichOneof("value"))


def attributes(of):
    return {pair.key: value(pair.value) for pair in of.attributes}


def start_rotel(backend):
    grpc_port, http_port = free_port(), free_port()
    program = pathlib.Path(rotel.__file__).with_name("rotel-agent")
    log = open(TMP / "rotel.log", "w")
    processes.append(subprocess.Popen(
        [program, "start", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc_port}",
         "--otlp-http-endpoint", f"127.0.0.1:{http_port}", "--exporter", "otlp",
         "--otlp-exporter-endpoint", f"http://127.0.0.1:{backend.port}", "--otlp-exporter-protocol", "grpc",
         "--pid-file", TMP / "rotel.pid", "--log-file", TMP / "rotel-agent.log"],
        stdout=log, stderr=log, env={**os.environ, "ROTEL_ENVIRONMENT": "test"}))

    def listens(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_for("the collector", lambda: listens(grpc_port) and listens(http_port))
    return grpc_port, http_port


def start_flowgate(name, flowise_port, otlp):
    folder = TMP / name
    folder.mkdir()
    (folder / "flowgate.yaml").write_text(
        "server: { listen: '127.0.0.1:0', workers: 1 }\nadmin: { listen: '127.0.0.1:0' }\n"
        f"upstreams: {{ flowise: {{ flowise: {{ urls: ['http://127.0.0.1:{flowise_port}'], health: false }} }} }}\n"
        "chatflows: { support: { upstream: flowise, id: 9d2b4ae3-1f5e-4c00-9000-000000000000 } }\n"
        f"telemetry: {{ otlp: {{ {otlp} }} }}\n")
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    (folder / "keys.yaml").write_text(f"keys: [{{ id: app, sha256: {digest} }}]\n")
    log = folder / "log"
    process = subprocess.Popen([os.environ["FLOWGATE_BIN"], "serve", "--config", folder / "flowgate.yaml"],
                               stdout=log.open("w"), stderr=subprocess.STDOUT)
    processes.append(process)

    def address():
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        return next((line["address"] for line in lines if line.get("listener") == "http"), None)

    return process, wait_for("flowgate", address), log


def ask(address, request_id):
    request = urllib.request.Request(
        f"http://{address}/api/v1/prediction/support?private=1", json.dumps({"question": "private-question"}).encode(),
        {"content-type": "application/json", "x-api-key": KEY, "x-request-id": request_id})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        assert answer.status == 200


def check_trace(spans, parent):
    root = next(span for span in spans if span.kind == trace_pb2.Span.SPAN_KIND_SERVER)
    call = next(span for span in spans if span.kind == trace_pb2.Span.SPAN_KIND_CLIENT)
    check("two spans, and the second is below the first",
          len(spans) == 2 and not root.parent_span_id and call.parent_span_id == root.span_id)
    check("they have names and times", root.name == "POST /api/v1/prediction/{chatflow}" and call.name == "POST flowise"
          and 0 < root.start_time_unix_nano <= call.start_time_unix_nano <= call.end_time_unix_nano <= root.end_time_unix_nano)
    found = attributes(root)
    check("the request is described", found.get("http.response.status_code") == 200 and found.get("flowgate.key") == "app"
          and found.get("http.route") == "/api/v1/prediction/{chatflow}", found)
    check("Flowise was told of the same span", parent == f"00-{call.trace_id.hex()}-{call.span_id.hex()}-01", parent)


def main():
    backend = Backend()
    flowise = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Flowise)
    threading.Thread(target=flowise.serve_forever, daemon=True).start()
    port = flowise.server_port
    grpc_port, http_port = start_rotel(backend)
    for protocol, collector in [("grpc", grpc_port), ("http", http_port)]:
        print(f"--      {protocol}, by way of a collector")
        otlp = f"endpoint: 'http://127.0.0.1:{collector}', protocol: {protocol}, sample: 1, resource: {{ zone: a }}"
        _, address, log = start_flowgate(protocol, port, otlp)
        request_id = f"request-by-{protocol}"
        ask(address, request_id)
        spans = wait_for("spans", lambda: len(backend.of_request(request_id) or []) > 1 and backend.of_request(request_id))
        check_trace(spans, Flowise.parents[-1])
        line = wait_for("a line", lambda: next((line for line in log.read_text().splitlines() if request_id in line), None))
        check("the log names the trace", json.loads(line)["trace_id"] == spans[0].trace_id.hex())
    resource = attributes(backend.spans[0][0])
    check("the collector knows whose they are", resource.get("service.name") == "flowgate" and resource.get("zone") == "a", resource)

    print("--      grpc, to a server of grpcio")
    backend.refuses = 1
    otlp = f"endpoint: 'http://127.0.0.1:{backend.port}', sample: 1, headers: {{ x-scope: tenant }}"
    process, address, _ = start_flowgate("direct", port, otlp)
    ask(address, "request-direct")
    process.send_signal(signal.SIGTERM)
    check("it ends well", process.wait(PATIENCE) == 0)
    spans = backend.of_request("request-direct")
    check("at its end spans are sent that were refused before", bool(spans) and len(spans) == 2)
    check("headers go with them", backend.metadata[-1].get("x-scope") == "tenant")
    told = b"".join(backend.raw)
    check("nothing that was said and no key is in them", b"private" not in told and KEY.encode() not in told)


try:
    main()
finally:
    for process in processes:
        process.kill()
        process.wait()
