"""Notes: `server.py store` keeps them in a file, `server.py web` takes them from people and asks the store."""

import json
import os
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def log_message(self, *_: object) -> None:
        pass


class Store(Handler):
    notes = Path(os.environ.get("NOTES_FILE", "/data/notes.json"))

    def do_GET(self) -> None:
        self.answer(200, json.loads(self.notes.read_text()) if self.notes.exists() else [])

    def do_POST(self) -> None:
        kept = json.loads(self.notes.read_text()) if self.notes.exists() else []
        # Whole or not at all: a pod may be killed at any moment.
        part = self.notes.with_suffix(".part")
        part.write_text(json.dumps([*kept, json.loads(self.body())]))
        part.replace(self.notes)
        self.answer(201, {})


class Web(Handler):
    store = os.environ.get("NOTES_STORE", "http://127.0.0.1:8001")

    def ask(self, data: bytes | None) -> None:
        try:
            with urllib.request.urlopen(self.store, data, timeout=3) as reply:
                self.answer(reply.status, json.load(reply))
        except (OSError, urllib.error.URLError) as error:
            self.answer(503, {"error": str(error)})

    def do_GET(self) -> None:
        if self.path == "/":
            self.answer(200, {"service": "notes"})
        else:
            self.ask(None)

    def do_POST(self) -> None:
        self.ask(self.body())


kind, port = {"web": (Web, 8000), "store": (Store, 8001)}[sys.argv[1]]
ThreadingHTTPServer(("", port), kind).serve_forever()
