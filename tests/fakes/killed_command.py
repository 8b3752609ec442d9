"""Runs `flask` and kills it, as by `kill -9`, inside a transaction.

    python -m tests.fakes.killed_command TRANSACTION STATEMENT COMMAND...

The process dies before the given statement of the given writing transaction (both counted from 1), or before that
transaction's COMMIT where it has fewer statements. A transaction writes if it begins with `begin_alone`.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from flask.cli import main
from sqlalchemy import Engine, event

from pkgsite.services.importing import site_import as importer


def die_at(transaction: int, statement: int) -> None:
    begun = done = 0
    begin_alone = importer.begin_alone

    def counted(session: Any) -> None:
        nonlocal begun, done
        begun, done = begun + 1, 0
        begin_alone(session)

    importer.begin_alone = counted

    @event.listens_for(Engine, "before_cursor_execute")
    def before_statement(*_: object) -> None:
        nonlocal done
        done += 1
        if begun == transaction and done == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    @event.listens_for(Engine, "commit")
    def before_commit(_: object) -> None:
        if begun == transaction:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    die_at(int(sys.argv[1]), int(sys.argv[2]))
    sys.argv = ["flask", "--app", "wsgi", *sys.argv[3:]]
    main()
