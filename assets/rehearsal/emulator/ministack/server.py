"""Starts MiniStack in this process with the modules of this folder installed, and ends it completely.

To be imported after `Settings.apply`: MiniStack reads its environment when it is imported.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import shutil
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from emulator import processes
from emulator.journal import Journal
from emulator.ministack.emulator import Emulator
from emulator.ministack.grants import Grants
from emulator.ministack.local_host import LocalHost
from emulator.ministack.settings import Settings

__all__ = ["serve"]

MODULES = (
    "authentication",
    "iam",
    "accounts",
    "conditions",
    "delivery",
    "events",
    "storage",
    "encryption",
    "apigateway",
    "log_delivery",
    "sagemaker_http",
    "autoscaling",
    "cloudformation",
    "alarms",
    "custom_resources",
    "lambdas",
    "glue",
    "stepfunctions",
    "limits",
)
"""Modules of this folder with `install(emulator)`, in the order in which they are installed."""


PATIENCE_SECONDS = 2.5
"""The command line waits 8 s for the end of the emulator before it kills it."""


def serve(settings: Settings, listening: socket.socket, stop: threading.Event) -> None:
    """Runs until `stop` is set. Prints one line of JSON to standard output when every service answers."""
    _log_to(settings)
    emulator = create(settings)
    # Not `asyncio.run`, which would wait at its end for every thread that still runs a function or a workflow.
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(_run(emulator, listening, stop))
    finally:
        _end(emulator)


def create(settings: Settings) -> Emulator:
    """The emulator with all parts installed, not yet listening."""
    journal = Journal()
    grants = Grants(journal)
    emulator = Emulator(settings, journal, grants, LocalHost(settings, journal, grants))
    for name in MODULES:
        importlib.import_module(f"emulator.ministack.{name}").install(emulator)
    return emulator


async def _run(emulator: Emulator, listening: socket.socket, stop: threading.Event) -> None:
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config
    from ministack import app as ministack_app

    from emulator.ministack import authentication, control

    config = Config()
    config.bind = [f"fd://{listening.fileno()}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.shutdown_timeout = 1
    config.errorlog = logging.getLogger("hypercorn.error")
    config.accesslog = None

    async def stopped() -> None:
        while not stop.is_set():
            await asyncio.sleep(0.1)

    threading.Thread(target=_announce, args=(emulator, stop), daemon=True, name="announce").start()
    application: Any = authentication.known_callers_only(
        emulator, control.application(emulator), ministack_app.app
    )
    await hypercorn_serve(application, config, shutdown_trigger=stopped)


def _announce(emulator: Emulator, stop: threading.Event) -> None:
    """Writes the line that requests are answered. Nothing else is written to standard output."""
    settings = emulator.settings
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    health = urllib.request.Request(
        f"{settings.endpoint}/_rehearsal/health", headers={"Authorization": f"Bearer {settings.token}"}
    )
    while not stop.is_set():
        try:
            with opener.open(health, timeout=2):
                break
        except OSError:
            time.sleep(0.05)
    ready = {
        "endpoint": settings.endpoint,
        "region": settings.region,
        "account": settings.account,
        "credentials": {
            account: {"accessKeyId": key.access_key_id, "secretAccessKey": key.secret_access_key}
            for account, key in settings.administrators.items()
        },
        "token": settings.token,
        "executeApi": f"{settings.endpoint}/_aws/execute-api/{{apiId}}",
        "log": str(settings.work / "emulator.log"),
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()


def _log_to(settings: Settings) -> None:
    handler = logging.FileHandler(settings.work / "emulator.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s [%(name)s] %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("botocore", "boto3", "urllib3", "s3transfer", "hypercorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _end(emulator: Emulator) -> None:
    """Ends what the modules started, all at the same time; what takes too long is ended with its process."""
    from ministack.core import lambda_runtime

    # Listed before anything ends: where orphans cannot be adopted, they cannot be found afterwards.
    below = processes.descendants()
    ending = [
        threading.Thread(target=_safely, args=(action,), daemon=True)
        for action in [*emulator.on_stop[::-1], lambda_runtime.reset]
    ]
    for thread in ending:
        thread.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    for thread in ending:
        thread.join(max(0.0, deadline - time.monotonic()))
    processes.end_children(patience=1.0, known=below)
    for folder in emulator.settings.folders.values():
        shutil.rmtree(folder, ignore_errors=True)


def _safely(action: Callable[[], None]) -> None:
    try:
        action()
    except Exception:  # the others must end all the same
        logging.getLogger("rehearsal").exception("ending failed")
