"""Real databases for the tests: one PostgreSQL server for the run, and a fresh migrated database for each test."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import make_url

SERVER_URL_VARIABLE = "PKGSITE_TEST_POSTGRESQL"  # the running server's address, handed to the test workers
MIN_FREE_BYTES = 1 << 30  # bytes; a test run takes some 200 MB
BLOATED = 1 << 18  # bytes; a table that takes more is vacuumed when it has been emptied

# A database whose schema has changed since it was copied is replaced by another copy.
SCHEMA = """
    SELECT md5(string_agg(one, ' ' ORDER BY one)) FROM (
        SELECT concat_ws(',', oid, relname, relkind, relhastriggers, reloptions) AS one
            FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT concat_ws(',', attrelid, attname, atttypid, attnotnull, atthasdef) FROM pg_attribute
            JOIN pg_class ON attrelid = pg_class.oid WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
        UNION ALL SELECT concat_ws(',', oid, tgname, tgenabled) FROM pg_trigger
        UNION ALL SELECT concat_ws(',', oid, conname, convalidated) FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT concat_ws(',', indexrelid, indisvalid) FROM pg_index
        UNION ALL SELECT concat_ws(',', oid, xmin) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    ) AS parts"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def postgresql_program(name: str) -> str:
    """Return the path of a PostgreSQL program; Debian keeps them outside PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    if not path:
        raise RuntimeError(f"{name} is not installed: `make test` installs PostgreSQL, or `apt-get install postgresql`")
    return path


def folder_in_memory() -> str | None:
    """Return a folder in memory, where there is one with room for a test run's server; else None.

    Creating and dropping databases takes half the time there.
    """
    path = Path("/dev/shm")
    has_room = path.is_dir() and os.access(path, os.W_OK) and shutil.disk_usage(path).free > MIN_FREE_BYTES
    return str(path) if has_room else None


def start_postgresql(parent: str | None = None) -> tuple[str, Path]:
    """Start a throw-away server with an ICU en-US locale, whose own order of text is far from code points.

    PostgreSQL refuses to run as root: then it runs as its own user. Returns its address and its folder, which is made
    in `parent`, or where the machine keeps what is temporary.
    """
    as_root = os.geteuid() == 0
    owner = pwd.getpwnam("postgres" if as_root else pwd.getpwuid(os.geteuid()).pw_name)
    folder = Path(tempfile.mkdtemp(prefix="pkgsite-postgresql-", dir=parent))
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    user = owner.pw_name if as_root else None

    def run(*command: str) -> None:
        subprocess.run(command, user=user, group=user, extra_groups=[] if user else None, cwd=folder, check=True,
                       stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)  # fmt: skip

    port = free_port()
    run(postgresql_program("initdb"), "--no-sync", "-A", "trust", "-U", "pkgsite", "-E", "UTF8", "--locale=C.UTF-8",
        "--locale-provider=icu", "--icu-locale=en-US", "-D", f"{folder}/data")  # fmt: skip
    off = " ".join(f"-c {name}=off" for name in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"))
    options = f"-p {port} -h 127.0.0.1 -k {folder} -c max_connections=200 {off}"
    run(postgresql_program("pg_ctl"), "-D", f"{folder}/data", "-l", f"{folder}/log", "-w", "-o", options, "start")
    return f"postgresql://pkgsite@127.0.0.1:{port}/postgres", folder


def stop_postgresql(folder: Path) -> None:
    pid = int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, 3)  # SIGQUIT: at once, the data is thrown away
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
    shutil.rmtree(folder, ignore_errors=True)


def execute_on_server(statement: str) -> None:
    with psycopg.connect(os.environ[SERVER_URL_VARIABLE], autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[arg-type]


class DatabaseTemplate:
    """A migrated database of one kind, from which copies are made; it is empty, or has what `fill` adds to it."""

    def __init__(self, kind: str, folder: Path, worker_id: str, filling: str = "") -> None:
        self.kind, self.folder, self.copies = kind, folder, 0
        self.name = f"template_{worker_id}{filling and '_'}{filling}"
        self.url = self.database_url(self.name)
        self._reused: ReusedSqlite | ReusedPostgresql | None = None

    def create(self, template: DatabaseTemplate | None = None) -> None:
        """Create the database itself, to be migrated or filled."""
        if self.kind == "postgresql":
            execute_on_server(f"DROP DATABASE IF EXISTS {self.name}")
            execute_on_server(f"CREATE DATABASE {self.name} {template_clause(template.name) if template else ''}")
        elif template:
            shutil.copy(template.path_of(template.name), self.path_of(self.name))

    def path_of(self, name: str) -> Path:
        return self.folder / f"{name}.db"

    def database_url(self, name: str) -> str:
        if self.kind == "sqlite":
            return f"sqlite:///{self.path_of(name)}"
        return make_url(os.environ[SERVER_URL_VARIABLE]).set(database=name).render_as_string(hide_password=False)

    @contextlib.contextmanager
    def empty(self) -> Iterator[str]:
        """Yield the address of a PostgreSQL database without any table, dropped at the end."""
        self.copies += 1
        name = f"{self.name}_{self.copies}"
        execute_on_server(f"CREATE DATABASE {name}")
        yield self.database_url(name)
        execute_on_server(f"DROP DATABASE {name} WITH (FORCE)")

    @contextlib.contextmanager
    def copy(self) -> Iterator[str]:
        """Yield the address of a fresh copy, dropped at the end."""
        self.copies += 1
        name = f"{self.name}_{self.copies}"
        if self.kind == "sqlite":
            shutil.copy(self.path_of(self.name), self.path_of(name))
            yield self.database_url(name)
            remove_sqlite(self.path_of(name))
        else:
            execute_on_server(f"CREATE DATABASE {name} {template_clause(self.name)}")
            yield self.database_url(name)
            execute_on_server(f"DROP DATABASE {name} WITH (FORCE)")

    def reused(self, close: Callable[[str], None]) -> str:
        """Return the address of this process's own copy, with all traces of earlier use removed.

        Args:
            close: Closes the process's connections to a database, given its address.
        """
        if self._reused is None:
            self._reused = ReusedSqlite(self) if self.kind == "sqlite" else ReusedPostgresql(self)
        self._reused.reset(close)
        return self._reused.url

    def close(self) -> None:
        """Close the connections that this class has opened itself."""
        if self._reused is not None:
            self._reused.close()


class ReusedSqlite:
    """A copy of an SQLite template: the file is replaced each time."""

    def __init__(self, template: DatabaseTemplate) -> None:
        self._template, self._path = template.path_of(template.name), template.path_of(f"{template.name}_reused")
        self.url = template.database_url(f"{template.name}_reused")

    def reset(self, close: Callable[[str], None]) -> None:
        close(self.url)
        remove_sqlite(self._path)
        shutil.copyfile(self._template, self._path)

    def close(self) -> None:
        remove_sqlite(self._path)


class ReusedPostgresql:
    """A copy of a PostgreSQL template: what has been written is deleted, and the template's rows are put back.

    That takes a tenth of the time of another copy, and the connections that are open, with all that the server and
    SQLAlchemy know about the tables, stay in use.
    """

    def __init__(self, template: DatabaseTemplate) -> None:
        self._template, self._name = template, f"{template.name}_reused"
        self.url = template.database_url(self._name)
        self._connection: psycopg.Connection[Any] | None = None

    def reset(self, close: Callable[[str], None]) -> None:
        if self._connection is not None:
            try:
                if self._clean(self._connection, close):
                    return
            except psycopg.Error:
                pass  # something holds a lock or ended the connection: another copy will do
            self._connection.close()
        close(self.url)
        self._connection = self._create()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _create(self) -> psycopg.Connection[Any]:
        execute_on_server(f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)")
        execute_on_server(f"CREATE DATABASE {self._name} {template_clause(self._template.name)}")
        connection = psycopg.connect(self.url, autocommit=True)
        connection.execute("SET lock_timeout = '2s'")
        connection.execute("SET session_replication_role = replica")  # no triggers, no foreign keys
        connection.execute("CREATE SCHEMA kept")
        self._columns = {
            table: sql.SQL(", ").join(map(sql.Identifier, columns))
            for table, columns in connection.execute(
                "SELECT relname, array_agg(attname ORDER BY attnum) FROM pg_class JOIN pg_attribute "
                "ON attrelid = pg_class.oid WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' "
                "AND attnum > 0 AND NOT attisdropped AND attgenerated = '' GROUP BY relname"
            )
        }
        self._kept = []
        for table, columns in self._columns.items():
            kept = connection.execute(
                sql.SQL("CREATE TABLE kept.{0} AS SELECT {1} FROM public.{0}").format(sql.Identifier(table), columns)
            )
            if kept.rowcount:
                self._kept.append(table)
        self._sequences = self._find_sequences(connection)
        self._schema = self._find_schema(connection)
        self._find_written = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT {0}, pg_relation_size({1}) AS size, EXISTS (SELECT 1 FROM {2})").format(
                table, sql.Literal(f'public."{table}"'), sql.Identifier("public", table)
            )
            for table in self._columns
        )
        return connection

    def _clean(self, connection: psycopg.Connection[Any], close: Callable[[str], None]) -> bool:
        """Put everything back as it was; return whether that is possible."""
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND state <> 'idle'"
        )
        if ended.rowcount:
            close(self.url)
        if self._find_schema(connection) != self._schema:
            return False
        written = connection.execute(self._find_written).fetchall()
        with connection.transaction():
            for table, _, has_rows in written:
                if has_rows:
                    connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier("public", table)))
        for table, size, _ in written:
            if size > BLOATED:
                connection.execute(sql.SQL("VACUUM {}").format(sql.Identifier("public", table)))
        with connection.transaction():
            for table in self._kept:
                connection.execute(
                    sql.SQL("INSERT INTO public.{0} ({1}) SELECT * FROM kept.{0}").format(
                        sql.Identifier(table), self._columns[table]
                    )
                )
            for sequence, value in self._find_sequences(connection).items():
                kept_value = self._sequences[sequence]
                if value != kept_value:
                    connection.execute("SELECT setval(%s::regclass, %s, %s)", (
                        f'public."{sequence}"', kept_value or 1, kept_value is not None))  # fmt: skip
        return True

    def _find_sequences(self, connection: psycopg.Connection[Any]) -> dict[str, int | None]:
        found = connection.execute("SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'")
        return dict(found.fetchall())

    def _find_schema(self, connection: psycopg.Connection[Any]) -> str:
        row = connection.execute(SCHEMA).fetchone()
        assert row
        return str(row[0])


def template_clause(name: str) -> str:
    return f"TEMPLATE {name} STRATEGY FILE_COPY"  # with fsync=off half the time of WAL_LOG


def remove_sqlite(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
