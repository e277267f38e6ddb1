"""How fast time passes in a rehearsal where AWS would wait for minutes: periods of alarms, baking of a deployment."""

from __future__ import annotations

import os

__all__ = ["PlayedTime"]

SECONDS_PER_MINUTE = 5.0


class PlayedTime:
    """A clock that runs as many times faster as a minute is shorter; its moments are seconds since 1970, played."""

    def __init__(self, seconds_per_minute: float) -> None:
        self.seconds_per_minute = seconds_per_minute

    @staticmethod
    def of_environment() -> PlayedTime:
        """As `REHEARSAL_SECONDS_PER_MINUTE` says: from 1 to 60, which is real time; default 5."""
        text = os.environ.get("REHEARSAL_SECONDS_PER_MINUTE", "")
        try:
            seconds = float(text) if text else SECONDS_PER_MINUTE
        except ValueError:
            seconds = 0.0
        if not 1 <= seconds <= 60:
            raise ValueError(
                f"REHEARSAL_SECONDS_PER_MINUTE is {text!r}, but must be a number of seconds from 1 to 60"
            )
        return PlayedTime(seconds)

    def played(self, real: float) -> float:
        """The played moment, or length, of a real one."""
        return real * 60.0 / self.seconds_per_minute

    def real(self, played: float) -> float:
        """The real moment, or length, of a played one."""
        return played * self.seconds_per_minute / 60.0
