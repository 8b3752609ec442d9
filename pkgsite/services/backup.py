"""Backups: all records in one file that can be restored on SQLite and PostgreSQL.

The first line of a file names the format and has the SHA-256 checksum of everything after it: gzip-compressed lines of
JSON. The first of these is a header. Then follows each table: its name and columns, and a list for each row. The last
line has the id sequences and the number of rows. What the site derives from its records, such as the search index, is
not included; it is built again after a restore.

A backup is read in one transaction, whose snapshot is consistent on both databases and blocks no writer. Copying the
SQLite file with its backup API would do the same for one database only, and would start again whenever another process
writes.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import orjson
from sqlalchemy import JSON, Column, Connection, Date, DateTime, MetaData, Table, func, inspect, select, text
from sqlalchemy.dialects.postgresql import REGCLASS

from pkgsite.errors import SiteError
from pkgsite.models.base import Json, UtcDateTime

FORMAT = b"pkgsite-backup 1 sha256="
FIRST_LINE = re.compile(re.escape(FORMAT) + rb"([0-9a-f]{64})\n")
FIRST_LINE_LENGTH = len(FORMAT) + 65
DERIVED_TABLE_PREFIXES = ("search_", "alembic_version", "sqlite_")
ROWS_PER_STATEMENT = 500
MAX_LINE_BYTES = 1 << 30


class InvalidBackup(SiteError):
    """A file is not a complete, undamaged backup. The message is a sentence."""


@dataclass(slots=True)
class Backup:
    """What a backup contains.

    Attributes:
        revision: Database revision (migration) of its tables.
        created_at: When it was made.
        row_counts: Number of rows by table.
        checksum: SHA-256 of the file after its first line, in hexadecimal.
    """

    revision: str
    created_at: datetime
    row_counts: dict[str, int] = field(default_factory=dict)
    checksum: str = ""


class _HashedFile(io.RawIOBase):
    """A file opened for writing that computes the checksum of what is written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return self._file.write(data)


def write_backup(connection: Connection, path: Path, *, now: datetime) -> Backup:
    """Write all records to a new file that only its owner can read.

    The file appears under its name once it is complete.

    Args:
        connection: A connection whose transaction has a snapshot (see `snapshot_options`).
        path: The file; it must not exist.
        now: Current time.

    Raises:
        FileExistsError: The file exists.
        OSError: The file can't be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            backup = _write(connection, file, now)
            file.flush()
            os.fsync(file.fileno())
        _publish(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return backup


def _publish(partial: Path, path: Path) -> None:
    """Give a complete file its name, without replacing another file."""
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:  # the file system has no hard links
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        partial.rename(path)


def snapshot_options(dialect: str) -> dict[str, Any]:
    """Return the execution options of a connection that reads a backup. On SQLite, every transaction has a snapshot."""
    if dialect == "sqlite":
        return {}
    return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def _write(connection: Connection, file: BinaryIO, now: datetime) -> Backup:
    backup = Backup(str(connection.scalar(text("SELECT version_num FROM alembic_version"))), now)
    file.write(FORMAT + b"0" * 64 + b"\n")
    hashed = _HashedFile(file)
    with gzip.GzipFile(fileobj=hashed, mode="wb", compresslevel=6, mtime=0) as lines:
        lines.write(_line({"revision": backup.revision, "created_at": now}))
        tables = tables_of(connection)
        for table in tables:
            lines.write(_line({"table": table.name, "columns": [column.name for column in table.columns]}))
            backup.row_counts[table.name] = 0
            for rows in _rows_of(connection, table):
                lines.write(b"".join(map(_line, rows)))
                backup.row_counts[table.name] += len(rows)
        lines.write(_line({"sequences": sequences_of(connection, tables), "rows": sum(backup.row_counts.values())}))
    backup.checksum = hashed.digest.hexdigest()
    file.seek(len(FORMAT))
    file.write(backup.checksum.encode())
    return backup


def _line(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)


def _rows_of(connection: Connection, table: Table) -> Iterator[list[list[Any]]]:
    result = connection.execution_options(stream_results=True).execute(select(table))
    for rows in result.partitions(ROWS_PER_STATEMENT):
        yield [list(row) for row in rows]


def tables_of(connection: Connection) -> list[Table]:
    """Return the tables whose rows are in a backup, as they are in the database, which may be older than the models."""
    inspector = inspect(connection)
    names = sorted(str(name) for name in inspector.get_table_names() if not name.startswith(DERIVED_TABLE_PREFIXES))
    return [
        Table(name, MetaData(), *(Column(column["name"], _portable_type(column["type"])) for column in columns))
        for name, columns in ((name, inspector.get_columns(name)) for name in names)
    ]


def _portable_type(column_type: Any) -> Any:
    if isinstance(column_type, JSON):
        return Json
    return UtcDateTime() if isinstance(column_type, DateTime) else column_type


def sequences_of(connection: Connection, tables: Iterable[Table]) -> dict[str, int]:
    """Return the last id that each table has assigned, also to rows that have been deleted since."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT name, seq FROM sqlite_sequence")).all()
        names = {table.name for table in tables}
        return {row.name: row.seq for row in rows if row.name in names}
    last_ids = {}
    for table in tables:
        if "id" in table.columns:
            last_ids[str(table.name)] = connection.scalar(select(func.pg_sequence_last_value(_sequence(table))))
    return {name: last_id for name, last_id in last_ids.items() if last_id is not None}


def _sequence(table: Table) -> Any:
    return func.pg_get_serial_sequence(f'"{table.name}"', "id").cast(REGCLASS)


@contextmanager
def open_backup(path: Path) -> Iterator[BackupReader]:
    """Yield the reader of a file whose checksum is correct.

    Raises:
        InvalidBackup: The file is damaged, or not a backup.
        OSError: The file can't be read.
    """
    with path.open("rb") as file:
        checksum = _verify_checksum(file)
        file.seek(FIRST_LINE_LENGTH)
        with gzip.GzipFile(fileobj=file) as lines:
            yield BackupReader(cast(IO[bytes], lines), checksum)


def _verify_checksum(file: io.BufferedReader) -> str:
    first_line = FIRST_LINE.fullmatch(file.read(FIRST_LINE_LENGTH))
    if not first_line:
        raise InvalidBackup("The file is not a backup in a format that this version of pkgsite can read.")
    expected = first_line.group(1).decode()
    if hashlib.file_digest(file, "sha256").hexdigest() != expected:
        raise InvalidBackup("The file is damaged: its content does not match its checksum.")
    return expected


class BackupReader:
    """Reads a backup from its start to its end."""

    def __init__(self, lines: IO[bytes], checksum: str) -> None:
        self._lines = lines
        header = self._next()
        self.backup = Backup(header["revision"], datetime.fromisoformat(header["created_at"]), checksum=checksum)

    def load(self, connection: Connection) -> None:
        """Insert all rows into empty tables, and set the id sequences.

        The tables must be those of the backup's revision. Foreign keys must not be enforced meanwhile (see
        `unconstrained`).

        Raises:
            InvalidBackup: The tables differ from those of the backup.
        """
        tables = {table.name: table for table in tables_of(connection)}
        entry = self._next()
        while "table" in entry:
            table = tables.get(entry["table"])
            if table is None or set(entry["columns"]) != set(table.columns.keys()):
                raise InvalidBackup(f"The table “{entry['table']}” of the backup differs from that of its revision.")
            entry = self._load_table(connection, table, entry["columns"])
        _set_sequences(connection, tables, entry["sequences"])

    def _load_table(self, connection: Connection, table: Table, columns: list[str]) -> Any:
        """Insert the rows of a table; return the line after them."""
        decoders = [_decoder(table.columns[name].type) for name in columns]
        rows = iter(self._next, None)
        count, following = 0, None

        def records() -> Iterator[dict[str, Any]]:
            nonlocal following
            for row in rows:
                if isinstance(row, dict):
                    following = row
                    return
                yield {
                    name: value if decode is None or value is None else decode(value)
                    for name, decode, value in zip(columns, decoders, row, strict=True)
                }

        for batch in _batches(records()):
            connection.execute(table.insert(), batch)
            count += len(batch)
        self.backup.row_counts[table.name] = count
        return following

    def _next(self) -> Any:
        return orjson.loads(self._lines.readline(MAX_LINE_BYTES))


def _batches(records: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for record in records:
        batch.append(record)
        if len(batch) == ROWS_PER_STATEMENT:
            yield batch
            batch = []
    if batch:
        yield batch


def _decoder(column_type: Any) -> Any:
    if isinstance(column_type, UtcDateTime):
        return datetime.fromisoformat
    return date.fromisoformat if isinstance(column_type, Date) else None


def _set_sequences(connection: Connection, tables: dict[str, Table], last_ids: dict[str, int]) -> None:
    """Make new ids start after these, so that the ids of deleted rows are not used again."""
    for name, last_id in last_ids.items():
        if connection.dialect.name == "sqlite":
            values = {"name": name, "last_id": last_id}
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), values)
            connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last_id)"), values)
        elif name in tables and "id" in tables[name].columns:
            connection.execute(select(func.setval(_sequence(tables[name]), last_id)))


@contextmanager
def unconstrained(connection: Connection) -> Iterator[None]:
    """Let rows be inserted in any order; at the end, check that no foreign key points to a missing row.

    On SQLite, the connection's `foreign_keys` must be off.

    Raises:
        InvalidBackup: On SQLite, a row points to a missing one.
    """
    if connection.dialect.name == "sqlite":
        yield
        if connection.exec_driver_sql("PRAGMA foreign_key_check").first():
            raise InvalidBackup("The backup has rows that refer to missing rows.")
        return
    constraints = connection.execute(
        text(
            "SELECT conrelid::regclass::text AS source, quote_ident(conname) AS name, "
            "pg_get_constraintdef(oid) AS definition FROM pg_constraint "
            "WHERE contype = 'f' AND connamespace = current_schema()::regnamespace"
        )
    ).all()
    for constraint in constraints:
        connection.exec_driver_sql(f"ALTER TABLE {constraint.source} DROP CONSTRAINT {constraint.name}")
    yield
    for constraint in constraints:
        connection.exec_driver_sql(
            f"ALTER TABLE {constraint.source} ADD CONSTRAINT {constraint.name} {constraint.definition}"
        )
