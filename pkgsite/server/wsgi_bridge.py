"""Runs the WSGI application below an asynchronous server, so that slow clients occupy no thread.

A request reaches the application only once its body is complete, and a response leaves the thread before it is sent.
Only a stream, such as a bulk export, keeps a thread while its client reads; streams have threads of their own.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast
from urllib.parse import unquote_to_bytes

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

THREADS = 4  # concurrent requests per worker; more would only wait for the GIL
MAX_STREAMS = 2  # concurrent exports per worker
MIN_BODY_RATE = 1_000  # bytes per second
SPOOL_BYTES = 1 << 20  # larger bodies are stored in a temporary file

# Keys of the WSGI environment.
BODY_TIMED_OUT = "pkgsite.body_timed_out"
BODY_UNREAD = "pkgsite.body_unread"  # the connection can't be used again
TOO_MANY_STREAMS = b'{"detail":"Too many exports are running. Try again in a moment."}'
TOO_MANY_STREAMS_HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(TOO_MANY_STREAMS)).encode()),
    (b"retry-after", b"10"),
    (b"cache-control", b"no-store"),
]
CLOSE = (b"connection", b"close")


@dataclass(slots=True)
class Started:
    """What a WSGI application passed to `start_response`."""

    status: int = 500
    headers: Headers | None = None

    def __call__(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], Any]:
        del exc_info  # nothing has been sent yet
        self.status = int(status[:3])
        self.headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return _reject_write


def _reject_write(_data: bytes) -> None:
    raise RuntimeError("write() is not supported: the application must return its body as an iterable")


class WsgiBridge:
    """An ASGI application that runs a WSGI application in threads.

    Args:
        app: The WSGI application.
        max_body_bytes: Maximum size of a request body; the application rejects larger ones with status 413.
        stall_s: Seconds in which a body may arrive slower than `MIN_BODY_RATE`.
        on_start: Called when the server starts.
        on_stop: Called when it stops, after the last request.
    """

    def __init__(
        self,
        app: WsgiApp,
        *,
        max_body_bytes: int,
        stall_s: float,
        on_start: Callable[[], None],
        on_stop: Callable[[], None],
    ) -> None:
        self._app = app
        self._max_body_bytes, self._stall_s = max_body_bytes, stall_s
        self._on_start, self._on_stop = on_start, on_stop
        self._threads = ThreadPoolExecutor(THREADS, "request")
        self._stream_threads = ThreadPoolExecutor(MAX_STREAMS, "stream")
        self._streams = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
        elif scope["type"] == "http":
            await self._respond(scope, receive, send)

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self._on_start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._on_stop()
        self._threads.shutdown()
        self._stream_threads.shutdown()
        await send({"type": "lifespan.shutdown.complete"})

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        environ = make_environ(scope)
        body = await self._read_body(environ, receive)
        if body is None:
            return  # the client has gone
        environ["wsgi.input"] = body
        loop, started = asyncio.get_running_loop(), Started()
        try:
            result = await loop.run_in_executor(self._threads, self._call, environ, started)
        finally:
            body.close()
        headers = started.headers or []
        if environ.get(BODY_UNREAD):
            headers.append(CLOSE)
        if isinstance(result, bytes):
            await _send_complete(send, started.status, headers, result)
        elif self._streams >= MAX_STREAMS:
            await loop.run_in_executor(self._threads, _close, result)
            await _send_complete(send, 503, TOO_MANY_STREAMS_HEADERS, TOO_MANY_STREAMS)
        else:
            await self._send_stream(_Stream(send, receive), started.status, headers, result)

    def _call(self, environ: dict[str, Any], started: Started) -> bytes | Iterable[bytes]:
        """Run the application. Return its body, or an iterator if it is a stream, which has no Content-Length."""
        chunks = self._app(environ, started)
        is_complete = any(name.lower() == b"content-length" for name, _ in started.headers or ())
        if not is_complete and started.status not in {204, 304} and environ["REQUEST_METHOD"] != "HEAD":
            return chunks
        try:
            return b"".join(chunks)
        finally:
            _close(chunks)

    async def _send_stream(self, stream: _Stream, status: int, headers: Headers, chunks: Iterable[bytes]) -> None:
        """Send a stream from a thread of its own, which waits while the client does not read."""
        loop = asyncio.get_running_loop()

        def send_chunks() -> None:
            try:
                for chunk in chunks:
                    if not asyncio.run_coroutine_threadsafe(stream.send_chunk(chunk), loop).result():
                        break
            finally:
                _close(chunks)

        self._streams += 1
        try:
            await stream.start(status, headers)
            await loop.run_in_executor(self._stream_threads, send_chunks)
            await stream.finish()
        finally:
            self._streams -= 1

    async def _read_body(self, environ: dict[str, Any], receive: Receive) -> IO[bytes] | None:
        """Return the body; None if the client has disconnected.

        A body that is too large or too slow is not read to its end. The application then rejects the request, so that
        the error looks like any other.
        """
        is_chunked = environ.pop("HTTP_TRANSFER_ENCODING", None) is not None
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if not is_chunked and not length:
            return BytesIO()
        if length > self._max_body_bytes:
            environ[BODY_UNREAD] = True
            return BytesIO()
        body, loop, size = SpooledTemporaryFile(SPOOL_BYTES), asyncio.get_running_loop(), 0  # noqa: SIM115
        started_at = loop.time()
        while True:
            try:
                async with asyncio.timeout_at(started_at + self._stall_s + size / MIN_BODY_RATE):
                    message = await receive()
            except TimeoutError:
                environ[BODY_UNREAD] = environ[BODY_TIMED_OUT] = True
                break
            if message["type"] == "http.disconnect":
                body.close()
                return None
            body.write(message["body"])
            size += len(message["body"])
            environ[BODY_UNREAD] = size > self._max_body_bytes
            if environ[BODY_UNREAD] or not message["more_body"]:
                break
        environ["CONTENT_LENGTH"] = str(size)
        body.seek(0)
        return cast(IO[bytes], body)


class _Stream:
    """A response whose length is unknown, and the news that its client has disconnected."""

    def __init__(self, send: Send, receive: Receive) -> None:
        self._send = send
        self._disconnected = asyncio.ensure_future(receive())

    async def start(self, status: int, headers: Headers) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def send_chunk(self, chunk: bytes) -> bool:
        """Send a chunk; return whether the client is still there."""
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        return not self._disconnected.done()

    async def finish(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        self._disconnected.cancel()


def make_environ(scope: Scope) -> dict[str, Any]:
    """Return the WSGI environment of a request, without the body."""
    host, port = scope["server"] or ("", 0)
    client, client_port = scope["client"] or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "REQUEST_URI": (scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")).decode(
            "latin-1"
        ),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client,
        "REMOTE_PORT": str(client_port),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.errors": sys.stderr,
        "wsgi.input_terminated": True,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        if b"_" in name:
            continue  # would be mistaken for the same name with a hyphen, which a proxy may have set
        key = name.decode("latin-1").upper().replace("-", "_")
        if key not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            key = f"HTTP_{key}"
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}" if key in environ else text
    return environ


async def _send_complete(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _close(chunks: Iterable[bytes]) -> None:
    close = getattr(chunks, "close", None)
    if close is not None:
        close()
