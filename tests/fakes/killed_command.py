"""Runs `flask` and kills it, as by `kill -9`, inside a transaction.

    python -m tests.fakes.killed_command TRANSACTION STATEMENT COMMAND...

The process dies before the given statement of the given writing transaction (both counted from 1), or before that
transaction's COMMIT where it has fewer statements. A transaction writes if it begins with `begin_exclusive_import`.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from flask.cli import main
from sqlalchemy import Engine, event

from pkgsite.services.importing import site_import as importer


def kill_at(transaction: int, statement: int) -> None:
    transaction_count = statement_count = 0
    begin_alone = importer.begin_exclusive_import

    def counted(session: Any) -> None:
        nonlocal transaction_count, statement_count
        transaction_count, statement_count = transaction_count + 1, 0
        begin_alone(session)

    importer.begin_exclusive_import = counted

    @event.listens_for(Engine, "before_cursor_execute")
    def before_statement(*_: object) -> None:
        nonlocal statement_count
        statement_count += 1
        if transaction_count == transaction and statement_count == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    @event.listens_for(Engine, "commit")
    def before_commit(_: object) -> None:
        if transaction_count == transaction:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    kill_at(int(sys.argv[1]), int(sys.argv[2]))
    sys.argv = ["flask", "--app", "wsgi", *sys.argv[3:]]
    main()
