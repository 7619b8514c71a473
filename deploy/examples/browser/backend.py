"""The backend of both pages. The secret key stays here; whoever is signed in gets a token for one chatflow."""

import json
import os
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FLOWGATE = os.environ.get("FLOWGATE", "http://127.0.0.1:8080")
PAGES = {"/": "token.html", "/widget.html": "widget.html"}


def token_for(user_id):
    body = {"chatflow": "account", "ttl": "5m", "sub": user_id, "vars": {"userId": user_id}}
    headers = {"Authorization": "Bearer " + os.environ["FLOWGATE_KEY"], "Content-Type": "application/json"}
    request = urllib.request.Request(FLOWGATE + "/api/v1/tokens", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read()


class Backend(BaseHTTPRequestHandler):
    def do_GET(self):
        page = PAGES.get(self.path)
        self.answer(*((200, (Path(__file__).parent / page).read_bytes(), "text/html") if page else (404, b"", "text/plain")))

    def do_POST(self):
        user_id = "ann"  # whoever your own session says it is; never what the page says
        self.answer(*(token_for(user_id) if self.path == "/token" else (404, b"")))

    def answer(self, status, body, content_type="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("localhost", int(os.environ.get("PORT", "8000"))), Backend).serve_forever()
