"""Fixtures that every test may use. The network is shut but for loopback; warnings are errors (pyproject.toml)."""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from flask_migrate import upgrade
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy.orm import Session
from werkzeug.routing import Rule
from werkzeug.serving import make_server

import config
from pkgsite import create_app
from pkgsite.extensions import db
from tests.databases import ADDRESS, Template, folder_in_memory, start_postgresql, stop_postgresql

KINDS = ("sqlite", "postgresql")


def pytest_xdist_auto_num_workers() -> int:
    """Take a worker more than there are cores: many tests wait, for a server, a browser, a lease that runs out."""
    return (os.cpu_count() or 1) + 1


def pytest_configure(config: pytest.Config) -> None:
    """Start the run's one PostgreSQL server, in the process that the workers are started from."""
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        os.environ[ADDRESS], folder = start_postgresql(folder_in_memory())
        config.add_cleanup(lambda: stop_postgresql(folder))


class KeptInMemory(BytecodeCache):
    """Keeps what templates compile to for as long as the process runs."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


@pytest.fixture(autouse=True, scope="session")
def _applications_share_what_they_compile() -> Iterator[None]:
    """Compile templates, and what builds each address, once for all applications of a process.

    Tests make thousands of applications: a third of their whole time went into that.
    """
    builders: dict[tuple[Any, ...], Any] = {}
    compile_builder = Rule._compile_builder

    def kept_builder(self: Rule, append_unknown: bool = True) -> Any:
        key = (self.rule, tuple(self._trace), repr(self.defaults), append_unknown)
        if key not in builders:
            builders[key] = compile_builder(self, append_unknown)
        return builders[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", kept_builder)
        patch.setitem(Flask.jinja_options, "bytecode_cache", KeptInMemory())
        yield


@pytest.fixture(autouse=True)
def _network_is_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test reach another machine."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def is_loopback(host: object) -> bool:
        if host in {"localhost", None, ""}:
            return True
        try:
            return ipaddress.ip_address(str(host)).is_loopback
        except ValueError:
            return False

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and not is_loopback(address[0]):
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    def guarded_look_up(host: Any, *args: Any, **options: Any) -> Any:
        if not is_loopback(host):
            raise socket.gaierror(socket.EAI_NONAME, f"no names are looked up in tests: {host}")
        return look_up(host, *args, **options)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)


@pytest.fixture(scope="session")
def worker(request: pytest.FixtureRequest) -> str:
    """The name of this test process."""
    return getattr(request.config, "workerinput", {}).get("workerid", "main")


def settings_for(url: str, folder: Path, **changed: str) -> dict[str, Any]:
    """Return a configuration as the environment would give it."""
    environment = {"DATABASE_URL": url, "DATA_DIR": str(folder), "SECRET_KEY": "for tests only", "SCHEDULER": "off",
                   "LIMITS": "off"}  # fmt: skip
    return config.flask_config(config.read_settings(environment | changed))


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory, worker: str) -> Callable[[str], Template]:
    """A function from "sqlite" or "postgresql" to a migrated, empty database to copy."""
    made: dict[str, Template] = {}

    def template(kind: str) -> Template:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            made[kind] = Template(kind, folder, worker)
            app = create_app(settings_for(made[kind].url, folder))
            with app.app_context():
                upgrade()
                db.engine.dispose()
            if kind == "sqlite":  # a copied file must be whole without its -wal
                assert not list(folder.glob("*-wal"))
        return made[kind]

    return template


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, templates: Callable[[str], Template]) -> Iterator[str]:
    """The address of a fresh, migrated, empty database; every test that asks for it runs on both kinds."""
    with templates(request.param).copy() as url:
        yield url


def forget_visitor() -> None:
    """Let a request find out for itself who asks: below a test's `session` all of them share one context."""
    for name in ("_login_user", "caller", "csrf_token", "csrf_valid"):
        g.pop(name, None)


@pytest.fixture
def make_app(database_url: str, tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """A function that makes an application on the test's database; its arguments are settings, as texts."""
    apps: list[Flask] = []

    def make(**changed: str) -> Flask:
        apps.append(create_app(settings_for(database_url, tmp_path, **changed)))
        apps[-1].before_request_funcs.setdefault(None, []).insert(0, forget_visitor)
        return apps[-1]

    yield make
    for app in apps:
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    """A database session of the test's own; commit what the site is to see."""
    with app.app_context():
        yield db.session()


@pytest.fixture
def serve() -> Iterator[Callable[[Any], str]]:
    """A function that serves a WSGI application over real HTTP on loopback and returns its address."""
    servers = []

    def start(application: Any) -> str:
        server = make_server("127.0.0.1", 0, application, threaded=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)  # seconds to notice the end
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()
