"""What the modules of this folder share: settings, journal, grants, host."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from ministack.core import responses

from emulator.faults import Faults
from emulator.journal import Journal
from emulator.ministack.grants import Grants
from emulator.ministack.local_host import LocalHost
from emulator.ministack.settings import Settings

__all__ = ["Emulator", "PerEnvironment"]


class Closable(Protocol):
    """What ends its processes when it is asked to."""

    def close(self) -> None: ...


Part = TypeVar("Part", bound=Closable)


class PerEnvironment(Generic[Part]):
    """A played service: one for each account and region, made when it is first called there."""

    def __init__(self, host: LocalHost, make: Callable[[LocalHost], Part]) -> None:
        self._host = host
        self._make = make
        self._made: dict[tuple[str, str], Part] = {}
        self._lock = threading.Lock()

    def here(self) -> Part:
        """That of the account and region of the request that is answered."""
        place = (responses.get_account_id(), responses.get_region())
        with self._lock:
            if place not in self._made:
                self._made[place] = self._make(self._host.at(*place))
            return self._made[place]

    def all(self) -> list[Part]:
        """Those that were made."""
        with self._lock:
            return list(self._made.values())

    def close(self) -> None:
        """Closes those that were made."""
        for part in self.all():
            part.close()


@dataclass
class Emulator:
    """One running emulator, the argument of `install` of every module here."""

    settings: Settings
    journal: Journal
    grants: Grants
    host: LocalHost
    """Of the account and region of the request that is answered."""
    players: PerEnvironment[Any] | None = None
    """The played SageMaker once it is installed."""
    autoscaling: Any = None
    """Application Auto Scaling once it is installed."""
    faults: Faults = field(default_factory=Faults)
    """Faults that the command line asked for and that are not SageMaker's, which keeps its own."""
    outside: set[tuple[str, str]] = field(default_factory=set)
    """Account and id of what was made because it exists outside of the app."""
    on_stop: list[Callable[[], None]] = field(default_factory=list)
    """Called once when the emulator ends, newest first; each ends what its module started."""

    @property
    def sagemaker(self) -> Any:
        """The played SageMaker of the account and region of the request that is answered."""
        assert self.players is not None
        return self.players.here()
