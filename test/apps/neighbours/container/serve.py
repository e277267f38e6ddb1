"""The program `serve` of the image: answers `/ping` and `/invocations` on port 8080, or on the one that SageMaker asks for."""

from __future__ import annotations

import io
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from model import BASE, loaded

MODEL = loaded(BASE / "model")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(200 if self.path == "/ping" else 404, "")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        rows = np.loadtxt(io.StringIO(body), delimiter=",", ndmin=2)
        decimals = int(os.environ["DECIMALS"])
        self._answer(200, "".join(f"{value:.{decimals}f}\n" for value in MODEL.predict(rows)))

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/csv")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
ThreadingHTTPServer(("", port), Handler).serve_forever()
