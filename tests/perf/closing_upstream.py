#!/usr/bin/env python3
"""An upstream that closes each connection right behind its answer, without having said so: does that cost a request?

    FLOWGATE_BIN=../../target/release/flowgate ./closing_upstream.py [--requests 10000] [--clients 1] [--pause-us 0]

Fails if a request is answered with anything but 200, or reaches the upstream twice. `--keep N` closes after every Nth
answer only, which nothing can tell beforehand: then some requests may be lost (502), but still none comes twice.
"""

import argparse
import collections
import hashlib
import http.client
import json
import os
import pathlib
import socket
import socketserver
import subprocess
import tempfile
import threading
import time

KEY = "perf-key-0123456789abcdef"
FLOW = "9d2b4ae3-1f5e-4c00-9000-000000000000"


class Closing(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        for answered in range(1, 1 + self.server.keep):
            length = 0
            if not self.rfile.readline():
                return
            while (line := self.rfile.readline().strip()):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            question = json.loads(self.rfile.read(length))["question"]
            with self.server.lock:
                self.server.seen[question] += 1
            body = json.dumps({"text": question}).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)
        if self.server.pause:
            time.sleep(self.server.pause)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 1024


def gateway(folder, upstream):
    """Starts one; returns the process and its port."""
    (folder / "keys.yaml").write_text(f"keys:\n  - {{ id: perf, sha256: {hashlib.sha256(KEY.encode()).hexdigest()} }}\n")
    (folder / "flowgate.yaml").write_text(
        "server: { listen: '127.0.0.1:0', workers: 1 }\nadmin: { listen: '127.0.0.1:0' }\nlog: { access: false }\n"
        f"upstreams: {{ flowise: {{ flowise: {{ urls: ['http://127.0.0.1:{upstream}'], health: false }} }} }}\n"
        f"chatflows: {{ support: {{ upstream: flowise, id: {FLOW} }} }}\n"
        "plans: { default: { requests: 10000000/min, burst: 1000000, concurrent: 10000 } }\n"
    )
    command = [os.environ["FLOWGATE_BIN"], "serve", "--config", str(folder / "flowgate.yaml")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        told = json.loads(line)
        if told.get("listener") == "http":
            threading.Thread(target=lambda: collections.deque(process.stdout, maxlen=0), daemon=True).start()
            return process, int(told["address"].rsplit(":", 1)[1])
    raise SystemExit("the gateway does not start")


def ask(port, questions, answers):
    client = http.client.HTTPConnection("127.0.0.1", port)
    client.connect()
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    headers = {"X-API-KEY": KEY, "Content-Type": "application/json"}
    for question in questions:
        client.request("POST", "/api/v1/prediction/support", json.dumps({"question": question}), headers)
        response = client.getresponse()
        response.read()
        answers[response.status] += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--pause-us", type=int, default=0, help="between answer and close")
    parser.add_argument("--keep", type=int, default=1, help="answers on one connection")
    options = parser.parse_args()
    with Server(("127.0.0.1", 0), Closing) as server, tempfile.TemporaryDirectory() as folder:
        server.seen, server.lock = collections.Counter(), threading.Lock()
        server.pause, server.keep = options.pause_us / 1e6, options.keep
        threading.Thread(target=server.serve_forever, daemon=True).start()
        process, port = gateway(pathlib.Path(folder), server.server_address[1])
        try:
            answers, threads = [collections.Counter() for _ in range(options.clients)], []
            for number, counter in enumerate(answers):
                questions = [f"question {index}" for index in range(number, options.requests, options.clients)]
                threads.append(threading.Thread(target=ask, args=(port, questions, counter)))
            started = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            process.terminate()
            process.wait()
        total = sum(answers, collections.Counter())
        twice = sum(count > 1 for count in server.seen.values())
        print(json.dumps({"answers": total, "twice": twice, "seconds": round(time.monotonic() - started, 1)}))
        if twice or (options.keep == 1 and set(total) != {200}):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
