"""The processes of workers, which are part of their names, and whether they have ended."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

PROC = Path("/proc")
ENDED_STATES = {"Z", "X"}  # killed, but its parent has not noticed
AGE_TOLERANCE = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Worker:
    """The process in a worker's name.

    Attributes:
        machine: The name of its machine, with the process namespace if that is known.
        pid: The process id.
    """

    machine: str
    pid: int

    @property
    def hostname(self) -> str:
        return self.machine.partition("/")[0]

    @classmethod
    def parse(cls, name: str) -> Worker | None:
        """Return the process of a worker's name, perhaps with a suffix; None for other names."""
        machine, _, rest = name.partition(":")
        pid, separator, _ = rest.partition(":")
        return cls(machine, int(pid)) if separator and pid.isdecimal() else None


def is_dead(name: str, claim_age: timedelta, *, machine: str) -> bool:
    """Return whether a worker is a process of this machine that has ended.

    Args:
        name: The worker's name.
        claim_age: How long ago it has claimed something. A younger process with the same id is another one.
        machine: The name of this machine.
    """
    worker = Worker.parse(name)
    # Names by earlier versions are without a namespace.
    if worker is None or worker.machine not in {machine, machine.partition("/")[0]}:
        return False
    try:
        os.kill(worker.pid, 0)  # sends nothing
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):  # a process of another user; not a process id
        return False
    state, age = _process_state(worker.pid)
    return state in ENDED_STATES or (age is not None and age + AGE_TOLERANCE < claim_age)


def _process_state(pid: int) -> tuple[str, timedelta | None]:
    """Return a process's state code (such as "Z") and how long it has been running; None if unknown."""
    try:
        status = (PROC / str(pid) / "stat").read_text("utf-8", "replace")
    except OSError:  # it has just ended, or this is not Linux
        return "", None
    # "pid (name) state …": the name can contain spaces and parentheses; the start time is the 22nd field.
    fields = status.rpartition(")")[2].split()
    if len(fields) <= 19 or not fields[19].isdecimal():
        return "", None
    started_s = int(fields[19]) / os.sysconf("SC_CLK_TCK")  # since the machine was started
    return fields[0], timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME) - started_s)
