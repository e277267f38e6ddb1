"""What all parts of the played SageMaker share: names, tags, faults, processes, listing."""

from __future__ import annotations

import base64
import random
import signal
import string
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..host import ApiError, Host
from ..processes import signal_group
from . import service_shapes as shapes

Operation = Callable[[dict[str, Any], str], dict[str, Any]]

_LETTERS = string.ascii_lowercase + string.digits


class Core:
    """State and helpers of one played account and region. Everything is in memory and guarded by `lock`."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.lock = threading.RLock()
        self.closing = threading.Event()
        self.tags: dict[str, dict[str, str]] = {}
        self._faults: list[dict[str, Any]] = []
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._threads: set[threading.Thread] = set()

    # names

    def arn(self, kind: str, name: str) -> str:
        """ARN of a SageMaker resource, e.g. `arn('endpoint', 'abalone')`. The case of names is kept."""
        return f"arn:aws:sagemaker:{self.host.region}:{self.host.account}:{kind}/{name}"

    @staticmethod
    def token(length: int) -> str:
        """Random lower-case letters and digits, as in execution ids."""
        return "".join(random.choices(_LETTERS, k=length))

    # tags

    def set_tags(self, arn: str, tags: Iterable[Mapping[str, str]] | None) -> None:
        """Adds tags to a resource; a tag of the same key is replaced."""
        pairs = {tag["Key"]: tag["Value"] for tag in tags or ()}
        reserved = [key for key in pairs if key.lower().startswith("aws:")]
        if reserved:
            raise ApiError("ValidationException", f"tag keys must not begin with aws: {', '.join(reserved)}")
        with self.lock:
            self.tags.setdefault(arn, {}).update(pairs)

    def tag_list(self, arn: str) -> list[dict[str, str]]:
        """Tags of a resource in the API's form."""
        with self.lock:
            return [{"Key": key, "Value": value} for key, value in self.tags.get(arn, {}).items()]

    # faults that a rehearsal plays on purpose

    def add_fault(self, fault: dict[str, Any]) -> None:
        """Remembers a fault until it has happened `count` times (default once)."""
        with self.lock:
            self._faults.append({"count": 1, **fault})

    def take_fault(self, kind: str, **matching: str) -> dict[str, Any] | None:
        """The next fault of that kind whose fields, where given, equal `matching`; it counts as happened."""
        with self.lock:
            for fault in self._faults:
                fits = all(fault.get(key) in (None, value) for key, value in matching.items())
                if fault["kind"] == kind and fits:
                    fault["count"] -= 1
                    if fault["count"] <= 0:
                        self._faults.remove(fault)
                    return fault
        return None

    # events

    def emit(self, detail_type: str, detail: Mapping[str, object], resources: list[str]) -> None:
        """Sends an event. An event that is refused is reported and fails nothing: SageMaker does not wait for
        EventBridge either.
        """
        try:
            self.host.put_event(detail_type, detail, resources)
        except Exception as error:
            if not self.closing.is_set():
                self.host.note(
                    "error", f"the event {detail_type} could not be sent: {type(error).__name__}: {error}"
                )

    # work in the background

    def spawn(self, name: str, work: Callable[[], None]) -> threading.Thread:
        """Runs `work` on a thread of its own; what it raises is reported, not lost."""

        def run() -> None:
            try:
                work()
            except Exception as error:
                if not self.closing.is_set():
                    self.host.note("error", f"{name}: {type(error).__name__}: {error}")
            finally:
                with self.lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, name=name, daemon=True)
        with self.lock:
            self._threads.add(thread)
        thread.start()
        return thread

    def start_process(self, argv: list[str], **options: Any) -> subprocess.Popen[bytes]:
        """Starts a process in a group of its own, which `close` ends with all its children."""
        with self.lock:
            if self.closing.is_set():
                raise ApiError("ServiceUnavailable", "the rehearsal is ending", 503)
            process: subprocess.Popen[bytes] = subprocess.Popen(argv, start_new_session=True, **options)
            self._processes.add(process)
        return process

    def end_process(self, process: subprocess.Popen[bytes], grace: float = 2.0) -> None:
        """Ends a process and everything that it started; returns when it has ended."""
        for sent, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
            if not signal_group(process, sent):
                break
            try:
                process.wait(wait)
            except subprocess.TimeoutExpired:
                continue
        # The leader may have ended while a child of it still runs.
        signal_group(process, signal.SIGKILL)
        with self.lock:
            self._processes.discard(process)

    def close(self) -> None:
        """Ends every process and waits at most 2 s for each thread."""
        self.closing.set()
        with self.lock:
            processes, threads = list(self._processes), list(self._threads)
        for process in processes:
            signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + 2.0
        while time.monotonic() < deadline and any(process.poll() is None for process in processes):
            time.sleep(0.02)
        for process in processes:
            self.end_process(process, grace=0.1)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(timeout=2.0)


def not_found(what: str, name: str) -> ApiError:
    """The error of the newer operations (pipelines, model package groups) for something that does not exist."""
    return ApiError("ResourceNotFound", f"{what} {name} does not exist.", 400)


def could_not_find(what: str, arn: str) -> ApiError:
    """The error of the older operations (models, endpoints) for something that does not exist: a ValidationException."""
    return ApiError("ValidationException", f'Could not find {what} "{arn}".', 400)


def page(
    request: Mapping[str, Any],
    rows: list[dict[str, Any]],
    *,
    sort: Mapping[str, str] | None = None,
    default_sort: str = "CreationTime",
    default_order: str = "Descending",
    name_key: str | None = None,
) -> tuple[list[dict[str, Any]], str | None]:
    """Filters by name and creation time, sorts and takes one page; the token names where the next begins."""
    contains = request.get("NameContains")
    if contains and name_key:
        rows = [row for row in rows if contains.lower() in str(row.get(name_key, "")).lower()]
    for bound, keep_later in (
        ("CreationTimeAfter", True),
        ("CreationTimeBefore", False),
        ("CreatedAfter", True),
        ("CreatedBefore", False),
    ):
        limit = request.get(bound)
        if limit is not None:
            rows = [
                row
                for row in rows
                if (row["CreationTime"] > limit if keep_later else row["CreationTime"] < limit)
            ]
    key = (sort or {}).get(request.get("SortBy", default_sort), default_sort)
    # Sorting is stable: rows of one millisecond keep the order in which they were made.
    rows = sorted(rows, key=lambda row: row[key] if key in row else row["CreationTime"])
    if request.get("SortOrder", default_order) == "Descending":
        rows.reverse()
    start = 0
    if request.get("NextToken"):
        try:
            start = int(base64.urlsafe_b64decode(request["NextToken"]).decode())
        except (ValueError, UnicodeDecodeError) as error:
            raise ApiError("ValidationException", f"Invalid NextToken {request['NextToken']!r}.") from error
    size = int(request.get("MaxResults") or 10)
    token = (
        base64.urlsafe_b64encode(str(start + size).encode()).decode() if start + size < len(rows) else None
    )
    return rows[start : start + size], token


def listing(operation: str, member: str, rows: list[dict[str, Any]], token: str | None) -> dict[str, Any]:
    """The answer of a List operation: each row cut to the members of its summary."""
    output: Any = shapes.operation_model(operation).output_shape
    members = output.members[member].member.members
    cut = [{name: row[name] for name in members if row.get(name) is not None} for row in rows]
    return {member: cut, **({"NextToken": token} if token else {})}
