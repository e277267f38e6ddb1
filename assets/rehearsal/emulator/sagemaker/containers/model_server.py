"""The HTTP side of the played model servers: `/ping`, `/invocations` and `/execution-parameters` on a free port of this machine, with the
answers of Flask, which serves in both images.

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

Answer = tuple[int, bytes, str]
"""Status, body, content type."""
Invoke = Callable[[bytes, str, str], Answer]
"""(body, content type, accept) to the answer; the headers are empty where the request has none."""

HTML = "text/html; charset=utf-8"


def page(status: int, title: str, text: str) -> Answer:
    """An error as Flask answers it."""
    return (
        status,
        f"<!doctype html>\n<html lang=en>\n<title>{status} {title}</title>\n<h1>{title}</h1>\n<p>{text}</p>\n".encode(),
        HTML,
    )


NOT_FOUND = page(
    404,
    "Not Found",
    "The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.",
)
FAILED = page(
    500,
    "Internal Server Error",
    "The server encountered an internal error and was unable to complete your request. Either the server is overloaded or there is"
    " an error in the application.",
)
TOO_LARGE = page(413, "Request Entity Too Large", "The data value transmitted exceeds the capacity limit.")


def media_type(kind: str) -> str:
    """The header of an answer of this type: Flask names the encoding of text."""
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def serve(invoke: Invoke, *, parameters: dict[str, object] | None = None, limit: int | None = None) -> None:
    """Serves until the process is ended; the port is written as one JSON line into the file of `REHEARSAL_PORT_FILE`. `parameters` are
    the answer to `/execution-parameters`, `limit` is the largest body in bytes."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/ping":
                self._answer(200, b"", HTML)
            elif self.path == "/execution-parameters" and parameters is not None:
                self._answer(200, json.dumps(parameters).encode(), "application/json")
            else:
                self._answer(*NOT_FOUND)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path != "/invocations":
                self._answer(*NOT_FOUND)
            elif limit is not None and len(body) > limit:
                print(f"[ERROR] the request of {len(body)} bytes is larger than {limit} bytes", flush=True)
                self._answer(*TOO_LARGE)
            else:
                try:
                    answer = invoke(
                        body, self.headers.get("Content-Type") or "", self.headers.get("Accept") or ""
                    )
                except Exception as error:
                    # What went wrong is in the log alone.
                    traceback.print_exc()
                    print(f"[ERROR] {type(error).__name__}: {error}", flush=True)
                    answer = FAILED
                self._answer(*answer)

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if status != 204:
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
