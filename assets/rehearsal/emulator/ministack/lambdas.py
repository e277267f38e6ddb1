"""Lambda functions as local processes: the error that a function raised keeps its name, and its process survives it.

MiniStack calls every failure `Runtime.HandlerError` and ends the function's process; on AWS a Retry on a named error
matches that name, and the next call is warm (Step Functions developer guide: "Handling errors in Step Functions
workflows"; Lambda developer guide: "Understanding the Lambda execution environment lifecycle").
"""

from __future__ import annotations

import importlib.util
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from emulator.ministack.emulator import Emulator

__all__ = ["install"]

SDK = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six", "packaging")
"""The packages of Lambda's Python runtimes beside the standard library; a function must bundle all others."""

PYTHON_ERROR = '{"status": "error", "error": str(e), "trace": traceback.format_exc()}'
PYTHON_ERROR_TOLD = (
    '{"status": "ok", "result": None, "failure": {"errorMessage": str(e), '
    '"errorType": type(e).__name__, "requestId": _ms_ctx.get("request_id", ""), '
    '"stackTrace": traceback.format_tb(e.__traceback__)}}'
)
NODE_ERROR = 'status: "error", error: String(err.message || err), trace: err.stack || ""'
NODE_ERROR_TOLD = 'status: "ok", result: null, failure: _failure(err)'
NODE_THROWN = 'status: "error", error: e.message, trace: e.stack'
NODE_THROWN_TOLD = 'status: "ok", result: null, failure: _failure(e)'
NODE_FAILURE = """
function _failure(error) {
  if (error instanceof Error || Object.prototype.toString.call(error) === "[object Error]") {
    return { errorType: error.name, errorMessage: error.message, trace: String(error.stack || "").split("\\n") };
  }
  return { errorType: typeof error, errorMessage: String(error), trace: [] };
}
"""

_said = threading.local()


def install(emulator: Emulator) -> None:
    """Changes the processes that functions run in, and what is reported of a failed one."""
    sdk = _sdk_folder(emulator.settings.work / "lambda-python")
    lambda_runtime._PYTHON_WORKER_SCRIPT = _only_sdk(sdk) + _replaced(
        lambda_runtime._PYTHON_WORKER_SCRIPT, {PYTHON_ERROR: PYTHON_ERROR_TOLD}
    )
    lambda_runtime._NODEJS_WORKER_SCRIPT = NODE_FAILURE + _replaced(
        lambda_runtime._NODEJS_WORKER_SCRIPT, {NODE_ERROR: NODE_ERROR_TOLD, NODE_THROWN: NODE_THROWN_TOLD}
    )
    lambda_runtime.Worker.invoke = _remembering(lambda_runtime.Worker.invoke)
    lambda_svc._execute_function_warm = _telling(lambda_svc._execute_function_warm, emulator)


def _replaced(script: str, changes: dict[str, str]) -> str:
    for before, after in changes.items():
        if before not in script:
            raise RuntimeError(f"MiniStack's Lambda process has changed: {before!r} is not there")
        script = script.replace(before, after)
    return script


def _remembering(original: Callable[..., Any]) -> Callable[..., Any]:
    """Keeps the failure that the process reported until this thread's caller asks for it."""

    def invoke(self: Any, *args: Any, **named: Any) -> Any:
        _said.failure = None
        response = original(self, *args, **named)
        if isinstance(response, dict):
            _said.failure = response.pop("failure", None)
        return response

    return invoke


def _telling(original: Callable[..., Any], emulator: Emulator) -> Callable[..., Any]:
    def execute(function: dict[str, Any], event: Any, request_id: str) -> Any:
        _said.failure = None
        result = original(function, event, request_id)
        failure = _said.failure or _failure_outside(result, request_id)
        if failure is None:
            return result
        name = str((function.get("config") or function).get("FunctionName", ""))
        trace = failure.get("stackTrace") or failure.get("trace") or []
        log = "\n".join(
            part
            for part in (
                result.get("log", ""),
                "".join(trace) if "stackTrace" in failure else "\n".join(trace),
            )
            if part
        )
        message = f"{name}: {failure.get('errorType')}: {failure.get('errorMessage')}"
        emulator.host.note("function-failed", message[:1000], function=name, log=log.splitlines()[-20:])
        return {"body": failure, "error": True, "log": log}

    return execute


def _failure_outside(result: Any, request_id: str) -> dict[str, Any] | None:
    """AWS's name for a failure that no handler raised: the module does not load, the process has ended."""
    body = result.get("body") if isinstance(result, dict) and result.get("error") else None
    if not isinstance(body, dict) or "errorMessage" not in body:
        return None
    message = str(body["errorMessage"])
    if body.get("errorType") == "RuntimeError" and message.startswith("Worker init failed: "):
        reason = message.removeprefix("Worker init failed: ")
        return {"errorType": _init_error(reason), "errorMessage": reason, "trace": []}
    if message in ("Worker process died", "Worker returned no response") or message.startswith(
        "Worker process exited immediately"
    ):
        output = message.partition("stderr: ")[2]
        text = f"RequestId: {request_id} Error: Runtime exited without providing a reason" + (
            f": {output}" if output else ""
        )
        return {"errorType": "Runtime.ExitError", "errorMessage": text}
    return None


def _init_error(reason: str) -> str:
    if re.search(r"No module named|Cannot find module|cannot import name", reason):
        return "Runtime.ImportModuleError"
    if "is not a function" in reason or re.search(r"has no attribute", reason):
        return "Runtime.HandlerNotFound"
    if re.search(r"SyntaxError|Unexpected token|invalid syntax", reason):
        return "Runtime.UserCodeSyntaxError"
    return "Runtime.Unknown"


def _sdk_folder(folder: Path) -> Path:
    """A folder with links to the AWS SDK alone: a function that forgot to bundle a library fails here as on AWS."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SDK:
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            continue
        origin = Path(found.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        link = folder / source.name
        if not link.exists():
            os.symlink(source, link, target_is_directory=source.is_dir())
    return folder


def _only_sdk(folder: Path) -> str:
    return (
        "import sys as _sys\n"
        "_sys.path[:] = [p for p in _sys.path if not p.rstrip('/').endswith(('site-packages', 'dist-packages'))]"
        f" + [{str(folder)!r}]\n"
    )
