"""`python -m emulator --port N --work DIR`: starts the emulator as a process of its own.

When every service answers, one line of JSON is written to standard output:

    {"endpoint": "http://127.0.0.1:4566", "region": "us-east-1", "account": "000000000000",
     "credentials": {"000000000000": {"accessKeyId": "AKIA...", "secretAccessKey": "..."}}, "token": "...",
     "executeApi": "http://127.0.0.1:4566/_aws/execute-api/{apiId}", "log": "<work>/emulator.log"}

The credentials are those of the root user of each account: who deploys is an administrator; every other caller is
evaluated. They and the token, which opens the control routes, are made for this run and known to the reader of the line. An HTTP API is called below `executeApi`, with or without its stage:
`https://<id>.execute-api.<region>.amazonaws.com/x` is `<executeApi>/x` here. The attribute `ApiEndpoint` gives that.

It ends on SIGTERM, on SIGINT and when the parent process has ended; then no process of it is left, and nothing
outside the work folder was written. Exit codes: 0 ended as asked, 2 wrong arguments, 3 the port is taken,
4 MiniStack is missing or is not the version that this was written for, 1 anything else.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path

from emulator import processes
from emulator.ministack.settings import ACCOUNT, AccessKey, Settings

PORT_TAKEN = 3
WRONG_MINISTACK = 4
NEEDED = ("boto3", "cryptography", "cbor2")
"""Packages that MiniStack needs only for signed tokens and for metrics in CBOR, so it does not require them."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the emulator until it is asked to end; returns the exit code."""
    options = _options(arguments)
    problem = _ministack_problem()
    if problem:
        return _fail(problem, WRONG_MINISTACK)
    listening = _listen(options.port)
    if listening is None:
        return _fail(
            f"port {options.port} is taken by another program: pass --port with a free one", PORT_TAKEN
        )

    work = Path(options.work).resolve()
    made = not work.exists()
    work.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    processes.watch_parent(options.parent_pid, stop)
    processes.adopt_orphans()

    try:
        account, *others = options.account or [ACCOUNT]
        settings = Settings(
            listening.getsockname()[1],
            work,
            options.region,
            account,
            others={other: AccessKey() for other in others},
        )
        settings.apply()
        from emulator.ministack.server import serve

        serve(settings, listening, stop)
    finally:
        processes.end_children()
        if made:
            shutil.rmtree(work, ignore_errors=True)
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m emulator", description="AWS for one rehearsal, on this machine"
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--work", required=True, help="folder for everything the run writes")
    parser.add_argument("--parent-pid", type=int, default=0, help="ends when this process does")
    parser.add_argument("--region", default="us-east-1", help="region of who names none")
    parser.add_argument(
        "--account",
        action="append",
        type=_account,
        help=f"account to play, twelve digits; again for each other account (default: {ACCOUNT})",
    )
    return parser.parse_args(arguments)


def _account(text: str) -> str:
    if len(text) != 12 or not text.isdigit():
        raise argparse.ArgumentTypeError(f"an account has twelve digits, not {text!r}")
    return text


def _ministack_problem() -> str | None:
    from emulator.ministack import PINNED_VERSION

    try:
        found = importlib.metadata.version("ministack")
    except importlib.metadata.PackageNotFoundError:
        return f"the Python package ministack is missing: install ministack=={PINNED_VERSION}"
    if found != PINNED_VERSION and not os.environ.get("CDK_MLOPS_ANY_MINISTACK"):
        wanted = f"this emulator is made for {PINNED_VERSION}: install that version"
        return f"ministack {found} is installed, but {wanted}"
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"Python packages are missing, so some calls will fail: install {', '.join(missing)}\n"
        )
    return None


def _listen(port: int) -> socket.socket | None:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
        # Listening from here on: two emulators that start at once cannot both have the port.
        listening.listen(128)
    except OSError:
        listening.close()
        return None
    listening.setblocking(False)
    return listening


def _fail(message: str, code: int) -> int:
    sys.stderr.write(message + "\n")
    return code


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # A thread that still waits for something must not keep the process alive.
    os._exit(code)
