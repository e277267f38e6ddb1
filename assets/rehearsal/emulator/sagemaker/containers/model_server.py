"""The HTTP side of the played model servers: `/ping` and `/invocations` on a free port of this machine.

SageMaker AI developer guide: "Custom Inference Code with Hosting Services".
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Invoke = Callable[[bytes, str, str], tuple[bytes, str]]
"""(body, content type, accept) to (body, content type)."""


class Refused(Exception):
    """A request that the model server answers with an HTTP error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def serve(invoke: Invoke) -> None:
    """Serves until the process is ended; the port is written as one JSON line into the file of
    `REHEARSAL_PORT_FILE`.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(200 if self.path == "/ping" else 404, b"", "text/plain")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path != "/invocations":
                self._answer(404, b"", "text/plain")
                return
            try:
                content_type = self.headers.get("Content-Type") or os.environ.get(
                    "SAGEMAKER_DEFAULT_INVOCATIONS_CONTENT_TYPE", ""
                )
                out, kind = invoke(body, content_type, self.headers.get("Accept") or "")
                self._answer(200, out, kind)
            except Refused as error:
                print(f"[ERROR] {error}", flush=True)
                self._answer(error.status, str(error).encode(), "text/plain")
            except Exception as error:
                traceback.print_exc()
                self._answer(500, f"{type(error).__name__}: {error}".encode(), "text/plain")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    server = Server(("127.0.0.1", 0), Handler)
    port_file = os.environ["REHEARSAL_PORT_FILE"]
    with open(port_file + ".new", "w", encoding="utf-8") as stream:
        json.dump({"port": server.server_address[1]}, stream)
    os.replace(port_file + ".new", port_file)
    _end_with_parent()
    server.serve_forever(poll_interval=0.1)


def _end_with_parent() -> None:
    """Ends this process when the emulator has ended, for whatever reason."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            threading.Event().wait(1.0)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def fail_loading(error: BaseException) -> None:
    """Reports a model that cannot be loaded and ends the server."""
    traceback.print_exception(type(error), error, error.__traceback__)
    print(f"[ERROR] the model cannot be loaded: {type(error).__name__}: {error}", flush=True)
    sys.exit(1)
