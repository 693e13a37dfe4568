"""Plays GitHub's API for the sweeper in the cluster, as far as pull requests' states go.

Those that it does not know are not found.
"""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# "142 closed, 143 open"
PULLS = dict(pull.split() for pull in os.environ["PULLS"].split(","))
PORT = 6443


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        number = self.path.removeprefix("/repos/jetscale/stack/pulls/")
        state = PULLS.get(number)
        known = state is not None and self.headers["authorization"] == "Bearer of-the-sweeper"
        body = json.dumps(
            {"number": int(number), "state": state, "labels": [{"name": "preview"}]}
            if known
            else {"message": "Not Found"}
        ).encode()
        self.send_response(200 if known else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("", PORT), Handler).serve_forever()
