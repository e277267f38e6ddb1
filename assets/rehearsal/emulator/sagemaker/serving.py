"""Runs the containers of a model as local processes, chained as SageMaker chains them.

Each container must answer `/ping`; the answer of one is the request of the next (SageMaker AI developer guide: "Custom
Inference Code with Hosting Services", "Inference pipelines in Amazon SageMaker AI").
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from ..host import AccessDenied, ApiError
from ..processes import free_port, listening_ports
from .container import Container, LogStream
from .core import Core
from .images import Images
from .requirements_of_code import MissingPackages, check_requirements
from .storage import Storage, StorageError, unpack

START_TIMEOUT = 90.0
INVOKE_TIMEOUT = 60.0


class LoadFailure(Exception):
    """A model server that does not start; the message becomes the endpoint's FailureReason."""


class ModelFailure(Exception):
    """A container that answered with an error."""

    def __init__(self, container: str, status: int, message: str) -> None:
        super().__init__(message)
        self.container, self.status, self.message = container, status, message


class Server:
    """One container of a model, running."""

    def __init__(
        self,
        core: Core,
        images: Images,
        role_arn: str,
        spec: Mapping[str, Any],
        label: str,
        folder: str,
        log_group: str,
        env: Mapping[str, str],
    ) -> None:
        self.core, self.images, self.role_arn, self.spec, self.label = core, images, role_arn, spec, label
        self.container = Container(core, "servers", folder)
        self.extra = env
        self.log_group = log_group
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self._own_port: int | None = None
        """The port that a program of the team is asked to listen on."""
        self._log: LogStream | None = None
        self._program: tuple[list[str], dict[str, str]] = ([], {})
        self._restarting = threading.Lock()
        self._starting = False
        self._ended = threading.Event()

    def prepare(self) -> None:
        """Pulls the image and downloads the model data as the model's role."""
        image = self.spec["Image"]
        self.images.authorize_pull(self.role_arn, image)
        stand_in = self.images.serving(image)
        model_dir = self.container.opt_ml / "model"
        model_dir.mkdir(parents=True, exist_ok=True)
        storage = Storage(self.core.host, self.role_arn)
        source = (self.spec.get("ModelDataSource") or {}).get("S3DataSource")
        if source and source.get("CompressionType") == "None":
            storage.download(source["S3Uri"], model_dir)
        else:
            uri = source["S3Uri"] if source else self.spec.get("ModelDataUrl")
            if uri:
                archive = self.container.root / "model.tar.gz"
                archive.write_bytes(storage.read(uri))
                unpack(archive, model_dir)
                archive.unlink()
        self._fetch_code(storage)
        for folder in (self.container.opt_ml / "code", model_dir / "code"):
            check_requirements(self.core.host, folder, f"the container {self.label}")
        self._own_port = free_port() if stand_in.own else None
        own = {"SAGEMAKER_BIND_TO_PORT": str(self._own_port)} if self._own_port else {}
        stream = f"{self.container.name.replace('/', '-')}"
        self._log = LogStream(self.core, self.role_arn, self.log_group, stream)
        environment = self.container.environment(
            self.role_arn,
            {
                "SM_MODEL_DIR": "/opt/ml/model",
                **(self.spec.get("Environment") or {}),
                **self.extra,
                **self._code,
                **own,
                **stand_in.environment,
                "REHEARSAL_PORT_FILE": str(self.container.root / "port.json"),
                "OMP_NUM_THREADS": "1",
            },
        )
        argv = [sys.executable, str(stand_in.serve), *(["serve"] if stand_in.own else [])]
        self._program = (argv, environment)
        self._start()

    def _start(self) -> None:
        log = self._log
        assert log is not None  # opened with the first start
        argv, environment = self._program
        self.process = self.container.start(argv, environment)

        def line(text: str) -> None:
            log.add(text)
            self.core.host.note("log", text, name=self.label)

        self.container.follow(self.process, line)

    def _restarted(self) -> bool:
        """Whether the server had ended; it is then started again, once however many calls find it so.

        SageMaker replaces a container that does not answer; until it does, calls of it fail.
        """
        time.sleep(0.05)  # the connection may be gone a moment before the process
        with self._restarting:
            if self.process is None or self.process.poll() is None:
                return self._starting
            code = self.process.poll()
            self._starting = True
            self.core.host.note(
                "endpoint",
                f"the model server of container {self.label} ended with exit code {code} and is started again",
                name=self.label,
                status="Restarting",
            )
            (self.container.root / "port.json").unlink(missing_ok=True)
            self._start()
        self.core.spawn(f"restart-{self.label}", self._again)
        return True

    def _again(self) -> None:
        try:
            self.wait(self._ended)
        except LoadFailure as error:
            self.core.host.note(
                "endpoint", f"the model server of container {self.label} did not start again: {error}"
            )
        finally:
            self._starting = False

    def _fetch_code(self, storage: Storage) -> None:
        self._code: dict[str, str] = {}
        submit = (self.spec.get("Environment") or {}).get("SAGEMAKER_SUBMIT_DIRECTORY", "")
        if submit.startswith("s3://"):
            folder = self.container.opt_ml / "code"
            folder.mkdir(parents=True, exist_ok=True)
            archive = self.container.root / "sourcedir.tar.gz"
            archive.write_bytes(storage.read(submit))
            unpack(archive, folder)
            self._code["SAGEMAKER_SUBMIT_DIRECTORY"] = "/opt/ml/code"

    def wait(self, stop: threading.Event) -> None:
        """Returns when the server answers, else raises `LoadFailure` with the last lines of its log."""
        deadline = time.monotonic() + START_TIMEOUT
        port_file = self.container.root / "port.json"
        while True:
            if stop.is_set():
                raise LoadFailure("stopped")
            assert self.process is not None
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise LoadFailure(self._why_not_ready(self.process.poll()))
            if port_file.is_file():
                self.port = int(json.loads(port_file.read_text())["port"])
                return
            if self._own_port and self._answers_ping():
                return
            time.sleep(0.03 if self._own_port is None else 0.2)

    def _why_not_ready(self, exit_code: int | None) -> str:
        """What the server did instead of answering, what it must do, and the last lines of its log."""
        time.sleep(0.1)  # they may not have been read yet
        what = (
            f"its server did not answer within {START_TIMEOUT:g} s"
            if exit_code is None
            else f"its server ended with exit code {exit_code}"
        )
        must = (
            "; it must answer /ping with status 200 on the port of SAGEMAKER_BIND_TO_PORT, or on 8080"
            if self._own_port
            else ""
        )
        said = "; ".join(text for text in list(self.container.tail)[-6:] if text.strip())
        return f"{what}{must}. {f'Its log says: {said}' if said else 'It wrote no log.'}"

    def _answers_ping(self) -> bool:
        """Whether a program of the team answers: on the port that it was given, or on another that it listens on, such as 8080."""
        assert self.process is not None and self._own_port is not None
        for port in (self._own_port, *listening_ports(self.process.pid)):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            try:
                connection.request("GET", "/ping")
                if connection.getresponse().status == 200:
                    self.port = port
                    return True
            except (OSError, http.client.HTTPException):
                continue
            finally:
                connection.close()
        return False

    def invoke(self, body: bytes, headers: Mapping[str, str]) -> tuple[bytes, str]:
        """One call of `/invocations`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=INVOKE_TIMEOUT)
        try:
            connection.request("POST", "/invocations", body, dict(headers))
            answer = connection.getresponse()
            data, kind = answer.read(), answer.getheader("Content-Type") or "application/octet-stream"
            status = answer.status
        except TimeoutError as error:
            raise ModelFailure(
                self.label,
                0,
                f"Your invocation timed out while waiting for a response from container {self.label}.",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            ended = self._restarted()
            what = "has ended" if ended else "gave no valid HTTP answer to /invocations"
            raise ModelFailure(
                self.label,
                0,
                f"the model server of container {self.label} (image {self.spec['Image']}) {what}:"
                f" {type(error).__name__}: {error}",
            ) from error
        finally:
            connection.close()
            if self._log:
                self._log.flush()
        if status >= 300:
            raise ModelFailure(self.label, status, data.decode("utf-8", "replace"))
        return data, kind

    def end(self) -> None:
        """Ends the process and removes its folder."""
        self._ended.set()
        if self.process is not None:
            self.core.end_process(self.process)
        if self._log:
            self._log.flush()
        self.container.remove()


class Fleet:
    """The running containers of one model. One set of processes plays all instances of a variant."""

    def __init__(
        self,
        core: Core,
        images: Images,
        model: Mapping[str, Any],
        name: str,
        log_group: str,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.model_name = model["ModelName"]
        self.stopping = threading.Event()
        containers = model.get("Containers") or [model["PrimaryContainer"]]
        role = model["ExecutionRoleArn"]
        self.direct = (model.get("InferenceExecutionConfig") or {}).get("Mode") == "Direct"
        self.servers: list[Server] = []
        for index, spec in enumerate(containers):
            label = (
                "primary"
                if len(containers) == 1
                else spec.get("ContainerHostname") or f"container-{index + 1}"
            )
            self.servers.append(
                Server(
                    core, images, role, spec, label, f"{name}-{core.token(6)}-{label}", log_group, env or {}
                )
            )

    def start(self) -> None:
        """Starts all containers at once; when one does not start, ends all and raises `LoadFailure`."""
        try:
            for server in self.servers:
                try:
                    server.prepare()
                except (AccessDenied, ApiError, MissingPackages, StorageError) as error:
                    raise LoadFailure(
                        f"container {server.label} (image {server.spec['Image']}):"
                        f" {getattr(error, 'message', None) or error}"
                    ) from error
            for server in self.servers:
                try:
                    server.wait(self.stopping)
                except LoadFailure as error:
                    raise LoadFailure(
                        f"The {server.label} container (image {server.spec['Image']}) did not pass the ping health"
                        f" check: {error}"
                    ) from error
        except BaseException:
            self.end()
            raise

    def invoke(self, body: bytes, headers: Mapping[str, str], target: str | None = None) -> tuple[bytes, str]:
        """A request through the chain: each container gets the answer of the one before."""
        if self.direct:
            chosen = [server for server in self.servers if server.label == target]
            if not chosen:
                raise ApiError(
                    "ValidationError",
                    f"TargetContainerHostname {target!r} is none of"
                    f" {[server.label for server in self.servers]}",
                    400,
                )
            return chosen[0].invoke(body, headers)
        kind = headers.get("Content-Type", "")
        last = len(self.servers) - 1
        for index, server in enumerate(self.servers):
            sent = {key: value for key, value in headers.items() if key not in ("Content-Type", "Accept")}
            if kind:
                sent["Content-Type"] = kind
            # Between containers no Accept is sent: each answers in its default type
            # (SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT).
            if index == last and headers.get("Accept"):
                sent["Accept"] = headers["Accept"]
            body, kind = server.invoke(body, sent)
        return body, kind

    def end(self) -> None:
        """Ends all containers."""
        self.stopping.set()
        for server in self.servers:
            server.end()
