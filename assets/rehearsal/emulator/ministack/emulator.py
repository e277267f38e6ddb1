"""What the modules of this folder share: settings, journal, grants, host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from emulator.faults import Faults
from emulator.journal import Journal
from emulator.ministack.grants import Grants
from emulator.ministack.local_host import LocalHost
from emulator.ministack.settings import Settings

__all__ = ["Emulator"]


@dataclass
class Emulator:
    """One running emulator, the argument of `install` of every module here."""

    settings: Settings
    journal: Journal
    grants: Grants
    host: LocalHost
    sagemaker: Any = None
    """The played SageMaker once it is installed."""
    autoscaling: Any = None
    """Application Auto Scaling once it is installed."""
    faults: Faults = field(default_factory=Faults)
    """Faults that the command line asked for and that are not SageMaker's, which keeps its own."""
    on_stop: list[Callable[[], None]] = field(default_factory=list)
    """Called once when the emulator ends, newest first; each ends what its module started."""
