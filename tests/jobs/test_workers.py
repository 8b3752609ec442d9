"""The names of workers, and whether their processes have ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from pkgsite.jobs import workers
from pkgsite.jobs.refresh import machine_name, worker_name
from pkgsite.jobs.workers import Worker

PRINT_NAME = "from pkgsite.jobs.refresh import worker_name; print(worker_name(), flush=True); input()"
SECOND = timedelta(seconds=1)


def is_dead(name: str, claim_age: timedelta = SECOND) -> bool:
    return workers.is_dead(name, claim_age, machine=machine_name())


def test_name_is_unique_and_names_the_process() -> None:
    name = worker_name()
    assert name != worker_name()
    worker = Worker.parse(f"{name}:git.example.org:8443")
    assert worker is not None
    assert (worker.hostname, worker.pid) == (socket.gethostname()[:60], os.getpid())


def test_process_is_dead_once_it_has_been_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PRINT_NAME], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        name = f"{process.stdout.readline().strip()}:github.com"
        assert not is_dead(name)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # its parent has not noticed: a zombie
        assert is_dead(name)
        process.wait()
        assert is_dead(name)


def test_own_process_is_not_dead() -> None:
    assert not is_dead(worker_name())


def test_younger_process_with_the_same_id_is_another_one() -> None:
    assert is_dead(worker_name(), timedelta(days=3650))


@pytest.mark.parametrize(
    "name", ["", "a", "a:b", "a:b:c:d", "elsewhere:999999999:a", "elsewhere/1:1:a", f"{'9' * 30}:{'9' * 30}:1:a"]
)
def test_other_names_are_not_dead(name: str) -> None:
    assert not is_dead(name)


def test_process_in_another_namespace_is_not_dead() -> None:
    """Containers can share a name; their processes can't be checked."""
    machine = machine_name()
    assert is_dead(f"{machine}:99999999:a")
    assert not is_dead(f"{machine.partition('/')[0]}/7:99999999:a")


def test_number_that_is_no_process_id_is_not_dead() -> None:
    assert not is_dead(f"{machine_name()}:{'9' * 40}:a")


def test_name_of_an_earlier_version() -> None:
    hostname = machine_name().partition("/")[0]
    assert is_dead(f"{hostname}:99999999:5f3a09bc:github.com")
    assert not is_dead(f"{hostname}:{os.getpid()}:5f3a09bc:github.com")


def test_age_is_unknown_without_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(workers, "PROC", tmp_path)
    assert not is_dead(worker_name(), timedelta(days=3650))
    assert is_dead(worker_name().replace(f":{os.getpid()}:", ":99999999:"))
