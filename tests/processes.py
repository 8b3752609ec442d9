"""Starts real processes in which the site's code is already imported, in a tenth of the usual time.

Tests call `start`, which works like `subprocess.Popen` for Python programs. For each test process, it starts one
server process (this file), which imports the site once and forks for each program.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
PRELOADED = ("config", "pkgsite", "alembic.command", "flask.cli", "psycopg", "sqlalchemy.dialects.sqlite",
             "sqlalchemy.dialects.postgresql.psycopg")  # fmt: skip
FILES = ("stdin", "stdout", "stderr")
PIPE = subprocess.PIPE
MAX_REQUEST_LENGTH = 1 << 20


class Process:
    """A started program, with the parts of the interface of `subprocess.Popen` that tests use."""

    def __init__(self, connection: socket.socket, files: Sequence[IO[Any] | None]) -> None:
        self.stdout, self.stderr = files
        self.returncode: int | None = None
        self._messages = connection.makefile("r")
        self._connection = connection
        self.pid = int(self._messages.readline())

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self.returncode = os.waitstatus_to_exitcode(int(self._messages.readline()))
            self._messages.close()
            self._connection.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None and not select.select([self._connection], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return self.poll() or 0

    def send_signal(self, signal_number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal_number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[Any, Any]:
        """Wait for the end; return the output on stdout and stderr, or None for those that are not pipes."""
        ends_at = None if timeout is None else time.monotonic() + timeout
        pipes = [file for file in (self.stdout, self.stderr) if file and not file.closed]
        chunks: dict[IO[Any], list[bytes]] = {pipe: [] for pipe in pipes}
        open_pipes = list(pipes)
        while open_pipes:
            remaining = None if ends_at is None else max(0, ends_at - time.monotonic())
            ready = select.select(open_pipes, [], [], remaining)[0]
            if not ready:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            for pipe in ready:
                data = os.read(pipe.fileno(), 1 << 16)
                chunks[pipe].append(data)
                if not data:
                    open_pipes.remove(pipe)
        self.wait(None if ends_at is None else max(0, ends_at - time.monotonic()))
        for pipe in pipes:
            pipe.close()
        output, errors = (
            b"".join(chunks[pipe]).decode() if pipe in chunks else None for pipe in (self.stdout, self.stderr)
        )
        return output, errors


class _Server:
    """The server process of this test process, if it has been started."""

    address = ""
    process: subprocess.Popen[bytes] | None = None


def start(
    *arguments: str,
    env: Mapping[str, str] = os.environ,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    start_new_session: bool = False,
) -> Process:
    """Start `python ARGUMENTS...` (`-m MODULE` or `-c CODE`, with arguments) in the project directory."""
    if not _Server.address:
        _start_server()
    files: list[IO[Any] | None] = []
    descriptors: list[int] = []  # of the program
    for target in (subprocess.DEVNULL, stdout, stderr):
        if target == subprocess.PIPE:
            readable, writable = os.pipe()
            files.append(open(readable, "rb", buffering=0))  # noqa: SIM115  # closed by `communicate`
            descriptors.append(writable)
        else:
            files.append(None)
            descriptors.append(os.open(os.devnull, os.O_RDWR) if target == subprocess.DEVNULL else os.dup(target))
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(_Server.address)
    request = {"arguments": arguments, "environment": dict(env), "session": start_new_session}
    socket.send_fds(connection, [b"files"], descriptors)
    connection.sendall(json.dumps(request).encode() + b"\n")
    for descriptor in descriptors:
        os.close(descriptor)
    return Process(connection, files[1:])


def _start_server() -> None:
    folder = tempfile.mkdtemp(prefix="pkgsite-fork-")
    _Server.address = f"{folder}/socket"
    # The server exits when this process ends and its end of the pipe is closed. Ctrl+C in a terminal does not reach it.
    _Server.process = subprocess.Popen(
        [sys.executable, "-m", "tests.processes", _Server.address],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert _Server.process.stdout
    assert _Server.process.stdout.readline() == b"ready\n"


def serve(address: str) -> dict[str, Any]:
    """Fork for each request; return the request in the process that runs it."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    gc.freeze()
    print("ready", flush=True)  # noqa: T201
    while True:
        ready = select.select([listener, sys.stdin], [], [])[0]
        if sys.stdin in ready:
            os.unlink(address)
            os.rmdir(os.path.dirname(address))
            os._exit(0)
        connection, _ = listener.accept()
        watcher = os.fork()
        if watcher == 0:
            if os.fork():
                os._exit(0)
            listener.close()
            return _watch(connection)
        os.waitpid(watcher, 0)
        connection.close()


def _watch(connection: socket.socket) -> dict[str, Any]:
    """Fork the program's process, which returns the request; report its id and exit status to the test."""
    _, files, _, _ = socket.recv_fds(connection, len(b"files"), len(FILES))
    with connection.makefile("r") as lines:
        request: dict[str, Any] = json.loads(lines.readline(MAX_REQUEST_LENGTH))
    child = os.fork()
    if child:
        for descriptor in files:
            os.close(descriptor)
        with contextlib.suppress(OSError):  # the test process may have ended
            connection.sendall(b"%d\n" % child)
            _, status = os.waitpid(child, 0)
            connection.sendall(b"%d\n" % status)
        os._exit(0)
    connection.close()
    for number, descriptor in enumerate(files):
        os.dup2(descriptor, number)
        os.close(descriptor)
    if request["session"]:
        os.setsid()
    return request


def run(request: dict[str, Any]) -> None:
    """Run a program as `python` would."""
    os.environ.clear()
    os.environ.update(request["environment"])
    kind, program, *arguments = request["arguments"]
    sys.argv = [kind, *arguments]
    if kind == "-c":
        exec(program, {"__name__": "__main__"})
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    for module in PRELOADED:
        importlib.import_module(module)
    run(serve(sys.argv[1]))
