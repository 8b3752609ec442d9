"""Fixtures for all tests. Only loopback connections are allowed; warnings are errors (pyproject.toml)."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask, g
from flask.testing import FlaskClient
from flask_migrate import upgrade
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from werkzeug.routing import Rule
from werkzeug.serving import make_server

import config
from pkgsite import create_app
from pkgsite.clients.account_gateways import open_account_gateways
from pkgsite.clients.gateways import open_gateways
from pkgsite.extensions import db, limiter
from pkgsite.models import configure_engine
from pkgsite.services.accounts import passwords
from tests.databases import SERVER_URL_VARIABLE, DatabaseTemplate, folder_in_memory, start_postgresql, stop_postgresql

KINDS = ("sqlite", "postgresql")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sqlite", action="store_true", help="run database tests on SQLite only")


def pytest_xdist_auto_num_workers() -> int:
    """Return one more worker than there are cores: many tests wait for servers, browsers or expiring leases."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Deselect PostgreSQL with `--sqlite`, and start the longest tests first, spread evenly over all workers."""
    if config.option.sqlite:
        config.hook.pytest_deselected(items=[item for item in items if "postgresql" in parameters_of(item)])
        items[:] = [item for item in items if "postgresql" not in parameters_of(item)]
    yield  # pytest deselects by marker
    # `--dist worksteal` initially gives each worker one contiguous part of the tests.
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    longest = [item for item in items if item.get_closest_marker("long")]
    others = [item for item in items if not item.get_closest_marker("long")]
    size = -(-len(others) // workers)
    items[:] = [
        item
        for worker in range(workers)
        for item in (*longest[worker::workers], *others[worker * size : (worker + 1) * size])
    ]


def parameters_of(item: pytest.Item) -> list[object]:
    """Return the values of a test's parameters, one of which is the kind of database."""
    return (
        list(item.callspec.params.values()) if isinstance(item, pytest.Function) and hasattr(item, "callspec") else []
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start one PostgreSQL server for the run, in the process that starts the workers."""
    if not (hasattr(config, "workerinput") or config.option.collectonly or config.option.sqlite):
        os.environ[SERVER_URL_VARIABLE], folder = start_postgresql(folder_in_memory())
        config.add_cleanup(lambda: stop_postgresql(folder))


class InMemoryBytecodeCache(BytecodeCache):
    """Caches compiled templates for the lifetime of the process."""

    def __init__(self) -> None:
        self._bytecode: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._bytecode:
            bucket.bytecode_from_string(self._bytecode[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._bytecode[bucket.key] = bucket.bytecode_to_string()


@pytest.fixture(autouse=True, scope="session")
def _share_compiled_templates() -> Iterator[None]:
    """Compile templates and URL builders only once per process.

    Tests create thousands of applications, and would spend a third of their time compiling.
    """
    builders: dict[tuple[Any, ...], Any] = {}
    compile_builder = Rule._compile_builder

    def cached_builder(self: Rule, append_unknown: bool = True) -> Any:
        key = (self.rule, tuple(self._trace), repr(self.defaults), append_unknown)
        if key not in builders:
            builders[key] = compile_builder(self, append_unknown)
        return builders[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", cached_builder)
        patch.setitem(Flask.jinja_options, "bytecode_cache", InMemoryBytecodeCache())
        yield


@pytest.fixture(autouse=True, scope="session")
def production_hasher() -> Iterator[PasswordHasher]:
    """The site's password hasher; in its place tests use one that takes no time."""
    with pytest.MonkeyPatch.context() as patch:
        hasher = passwords.HASHER
        patch.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield hasher


@pytest.fixture(autouse=True)
def _block_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Block connections to other machines and name lookups."""
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
            raise AssertionError(f"a test tried to connect to {address}")
        connect(self, address)

    def guarded_look_up(host: Any, *args: Any, **options: Any) -> Any:
        if not is_loopback(host):
            raise socket.gaierror(socket.EAI_NONAME, f"tests can't look up host names: {host}")
        return look_up(host, *args, **options)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)


@pytest.fixture(scope="session")
def worker_id(request: pytest.FixtureRequest) -> str:
    """The name of this test process."""
    return str(getattr(request.config, "workerinput", {}).get("workerid", "main"))


def make_config(url: str, folder: Path, **overrides: str) -> dict[str, Any]:
    """Return the configuration for these settings, given as in environment variables."""
    environment = {"DATABASE_URL": url, "DATA_DIR": str(folder), "SECRET_KEY": "for tests only", "SCHEDULER": "off",
                   "LIMITS": "off"}  # fmt: skip
    return config.flask_config(config.read_settings(environment | overrides))


@pytest.fixture(autouse=True, scope="session")
def engines() -> Iterator[dict[str, Engine]]:
    """The engines of this process, by database URL. All applications on one database share an engine.

    The connections and compiled statements of an engine are reused from test to test.
    """
    engines: dict[str, Engine] = {}
    make_engine = db._make_engine

    def shared_engine(bind: str | None, options: dict[str, Any], app: Flask) -> Engine:
        url = str(options["url"])
        if url not in engines:
            engines[url] = make_engine(bind, options, app)
            configure_engine(engines[url])
        return engines[url]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(db, "_make_engine", shared_engine)
        patch.setattr("pkgsite.configure_engine", lambda _engine: None)
        yield engines
        for engine in engines.values():
            engine.dispose()


@pytest.fixture(scope="session")
def memory_folder() -> Iterator[Path]:
    """A directory for this process, in memory if possible."""
    folder = Path(tempfile.mkdtemp(prefix="pkgsite-tests-", dir=folder_in_memory()))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


class Templates:
    """Migrated databases to copy, by kind ("sqlite" or "postgresql"), created when they are first needed."""

    def __init__(self, folder: Path, worker_id: str, engines: dict[str, Engine]) -> None:
        self._folder, self._worker_id, self._engines = folder, worker_id, engines
        self._created: dict[tuple[str, str], DatabaseTemplate] = {}

    def __call__(self, kind: str, fill: Callable[[Session], object] | None = None) -> DatabaseTemplate:
        """Return the empty template, or one with the records that `fill` adds."""
        suffix = f"{fill.__module__}_{fill.__name__}".replace(".", "_").lower() if fill else ""
        if (kind, suffix) not in self._created:
            template = DatabaseTemplate(kind, self._folder, self._worker_id, suffix)
            template.create(self(kind) if fill else None)
            app = create_app(make_config(template.url, self._folder))
            with app.app_context():
                if fill:
                    fill(db.session())
                    db.session.commit()
                    db.session.remove()
                else:
                    upgrade()
            self.close(template.url)
            if kind == "sqlite":  # only the main file is copied
                assert not list(self._folder.glob(f"{template.name}.db-*"))
            self._created[kind, suffix] = template
        return self._created[kind, suffix]

    def reused(self, kind: str, fill: Callable[[Session], object] | None = None) -> str:
        """Return the URL of this process's own copy of a template, reset to its original state."""
        return self(kind, fill).reused(self.close)

    def close_all(self) -> None:
        for template in self._created.values():
            template.close()

    def close(self, url: str) -> None:
        """Close this process's connections to a database."""
        if url in self._engines:
            self._engines[url].dispose()


@pytest.fixture(scope="session")
def database_templates(memory_folder: Path, worker_id: str, engines: dict[str, Engine]) -> Iterator[Templates]:
    templates = Templates(memory_folder, worker_id, engines)
    yield templates
    templates.close_all()


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, database_templates: Templates) -> str:
    """The URL of a migrated, empty database; every test that uses it runs on both kinds of database."""
    return database_templates.reused(request.param)


def reset_request_identity() -> None:
    """Clear cached request data in `g`, which all requests share while a test uses `session`."""
    for name in ("_login_user", "principal", "csrf_token", "csrf_valid"):
        g.pop(name, None)


def new_app(settings: Mapping[str, Any]) -> Flask:
    app = create_app(settings)
    app.before_request_funcs.setdefault(None, []).insert(0, reset_request_identity)
    return app


class SharedApp:
    """An application that is shared by tests one after another, each with its own settings.

    Settings that `create_app` reads itself can't be changed, and routes and hooks can't be added. Tests that need this
    use `make_app(shared=False)`.
    """

    FIXED = ("SITE_SUBJECT", "PROXY_HOPS", "LIMITS", "REDIS_URL", "ACCESS_LOG", "SLOW_QUERY_MS", "METRICS_TOKEN")

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self.app = new_app(settings)
        self.app._got_first_request = True
        self._config, self._extensions = dict(self.app.config), dict(self.app.extensions)
        self._limiter = dict(vars(limiter))

    def suits(self, settings: Mapping[str, Any]) -> bool:
        return all(settings[name] == self._settings[name] for name in self.FIXED)

    def with_settings(self, settings: Mapping[str, Any]) -> Flask:
        """Return the application as `create_app` would create it for these settings."""
        self.app.config.clear()
        self.app.config.update(self._config, **settings)
        self.app.extensions.clear()
        self.app.extensions.update(self._extensions)
        self.app.extensions["gateways"] = open_gateways(self.app.config)
        self.app.extensions["account_gateways"] = open_account_gateways(self.app.config)
        vars(limiter).update(self._limiter)  # the extension's state is global
        return self.app


@pytest.fixture(scope="session")
def shared_apps() -> dict[str, SharedApp]:
    """The applications that tests share, by database URL."""
    return {}


@pytest.fixture
def make_app(database_url: str, tmp_path: Path, shared_apps: dict[str, SharedApp]) -> Callable[..., Flask]:
    """A function that returns an application on the test's database; its arguments are settings, as strings.

    The first application of each test is shared with other tests, unless `shared` is False.
    """
    is_available = True

    def make(*, shared: bool = True, **overrides: str) -> Flask:
        nonlocal is_available
        settings = make_config(database_url, tmp_path, **overrides)
        if shared and is_available:
            if database_url not in shared_apps:
                shared_apps[database_url] = SharedApp(make_config(database_url, tmp_path))
            if shared_apps[database_url].suits(settings):
                is_available = False
                return shared_apps[database_url].with_settings(settings)
        return new_app(settings)

    return make


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    """A database session for the test. Data must be committed before the site can see it."""
    with app.app_context():
        yield db.session()


@contextmanager
def web_servers() -> Iterator[Callable[[Any], str]]:
    """Yield a function that serves a WSGI application over HTTP on loopback and returns its URL."""
    servers = []

    def start(application: Any) -> str:
        server = make_server("127.0.0.1", 0, application, threaded=True)
        thread = threading.Thread(
            target=server.serve_forever, args=(0.01,), daemon=True
        )  # seconds between checks for shutdown
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def serve_app() -> Iterator[Callable[[Any], str]]:
    """A function that serves a WSGI application over HTTP on loopback and returns its URL."""
    with web_servers() as serve:
        yield serve
