"""Databases for the tests: one PostgreSQL server per run, and a clean migrated database for each test."""

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

SERVER_URL_VARIABLE = "PKGSITE_TEST_POSTGRESQL"  # environment variable with the URL of the server, for the test workers
MIN_FREE_BYTES = 1 << 30  # a test run needs about 200 MB
VACUUM_MIN_BYTES = 1 << 18  # larger tables are vacuumed after their rows have been deleted

# A digest of the schema: a database whose schema has changed is replaced by a new copy.
SCHEMA_DIGEST = """
    SELECT md5(string_agg(part, ' ' ORDER BY part)) FROM (
        SELECT concat_ws(',', oid, relname, relkind, relhastriggers, reloptions) AS part
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
    """Return the path of a PostgreSQL program, which on Debian is not in PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(versions[-1]) if versions else shutil.which(name)
    if not path:
        raise RuntimeError(f"{name} is not installed: `make test` installs PostgreSQL, or `apt-get install postgresql`")
    return path


def folder_in_memory() -> str | None:
    """Return a directory in memory with enough space for a test run, or None.

    Creating and dropping databases takes half the time there.
    """
    path = Path("/dev/shm")
    has_space = path.is_dir() and os.access(path, os.W_OK) and shutil.disk_usage(path).free > MIN_FREE_BYTES
    return str(path) if has_space else None


def start_postgresql(parent: str | None = None) -> tuple[str, Path]:
    """Start a temporary server with an ICU en-US locale, whose sort order differs from that of code points.

    PostgreSQL does not run as root; in that case, it runs as the user `postgres`. Returns the server's URL and its
    directory, which is created in `parent` or in the default directory for temporary files.
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
    os.kill(pid, 3)  # SIGQUIT: immediate shutdown, as the data is not needed
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
    shutil.rmtree(folder, ignore_errors=True)


def execute_on_server(statement: str) -> None:
    with psycopg.connect(os.environ[SERVER_URL_VARIABLE], autocommit=True) as connection:
        connection.execute(statement)


class DatabaseTemplate:
    """A migrated database of one kind that is copied for tests. `suffix` distinguishes those with records."""

    def __init__(self, kind: str, folder: Path, worker_id: str, suffix: str = "") -> None:
        self.kind, self.folder, self.copies = kind, folder, 0
        self.name = f"template_{worker_id}{suffix and '_'}{suffix}"
        self.url = self.database_url(self.name)
        self._reused: ReusedSqlite | ReusedPostgresql | None = None

    def create(self, template: DatabaseTemplate | None = None) -> None:
        """Create the database, empty or as a copy of `template`."""
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
        """Yield the URL of a PostgreSQL database without tables, which is dropped at the end."""
        self.copies += 1
        name = f"{self.name}_{self.copies}"
        execute_on_server(f"CREATE DATABASE {name}")
        yield self.database_url(name)
        execute_on_server(f"DROP DATABASE {name} WITH (FORCE)")

    @contextlib.contextmanager
    def copy(self) -> Iterator[str]:
        """Yield the URL of a new copy, which is dropped at the end."""
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
        """Return the URL of this process's own copy, reset to its original state.

        Args:
            close: Closes the process's connections to the database with a URL.
        """
        if self._reused is None:
            self._reused = ReusedSqlite(self) if self.kind == "sqlite" else ReusedPostgresql(self)
        self._reused.reset(close)
        return self._reused.url

    def close(self) -> None:
        """Close the connections that this class has opened."""
        if self._reused is not None:
            self._reused.close()


class ReusedSqlite:
    """A copy of a SQLite template; resetting it replaces the file."""

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
    """A copy of a PostgreSQL template; resetting it deletes all rows and restores those of the template.

    This takes a tenth of the time of a new copy, and open connections and their caches stay usable.
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
                pass  # a lock timeout or a closed connection: create a new copy
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
        connection.execute("CREATE SCHEMA original")
        self._columns = {
            table: sql.SQL(", ").join(map(sql.Identifier, columns))
            for table, columns in connection.execute(
                "SELECT relname, array_agg(attname ORDER BY attnum) FROM pg_class JOIN pg_attribute "
                "ON attrelid = pg_class.oid WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' "
                "AND attnum > 0 AND NOT attisdropped AND attgenerated = '' GROUP BY relname"
            )
        }
        self._tables_with_rows = []
        for table, columns in self._columns.items():
            copied = connection.execute(
                sql.SQL("CREATE TABLE original.{0} AS SELECT {1} FROM public.{0}").format(
                    sql.Identifier(table), columns
                )
            )
            if copied.rowcount:
                self._tables_with_rows.append(table)
        self._sequences = self._find_sequences(connection)
        self._schema = self._schema_digest(connection)
        self._table_states = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT {0}, pg_relation_size({1}) AS size, EXISTS (SELECT 1 FROM {2})").format(
                table, sql.Literal(f'public."{table}"'), sql.Identifier("public", table)
            )
            for table in self._columns
        )
        return connection

    def _clean(self, connection: psycopg.Connection[Any], close: Callable[[str], None]) -> bool:
        """Restore the rows and sequences of the template; return False if the schema has changed."""
        terminated = connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND state <> 'idle'"
        )
        if terminated.rowcount:
            close(self.url)
        if self._schema_digest(connection) != self._schema:
            return False
        tables = connection.execute(self._table_states).fetchall()
        with connection.transaction():
            for table, _, has_rows in tables:
                if has_rows:
                    connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier("public", table)))
        for table, size, _ in tables:
            if size > VACUUM_MIN_BYTES:
                connection.execute(sql.SQL("VACUUM {}").format(sql.Identifier("public", table)))
        with connection.transaction():
            for table in self._tables_with_rows:
                connection.execute(
                    sql.SQL("INSERT INTO public.{0} ({1}) SELECT * FROM original.{0}").format(
                        sql.Identifier(table), self._columns[table]
                    )
                )
            for sequence, value in self._find_sequences(connection).items():
                original = self._sequences[sequence]
                if value != original:
                    connection.execute("SELECT setval(%s::regclass, %s, %s)", (
                        f'public."{sequence}"', original or 1, original is not None))  # fmt: skip
        return True

    def _find_sequences(self, connection: psycopg.Connection[Any]) -> dict[str, int | None]:
        rows = connection.execute("SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'")
        return dict(rows.fetchall())

    def _schema_digest(self, connection: psycopg.Connection[Any]) -> str:
        row = connection.execute(SCHEMA_DIGEST).fetchone()
        assert row
        return str(row[0])


def template_clause(name: str) -> str:
    return f"TEMPLATE {name} STRATEGY FILE_COPY"  # with fsync=off, this takes half the time of WAL_LOG


def remove_sqlite(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
