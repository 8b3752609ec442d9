"""Strangers' requests, made from the API's own description: what it promises has to hold for every one of them.

`make test` sends a few hundred requests for each caller, `make test-slow`
thousands, `make fuzz` many thousands. Which of the tool's settings are changed, and why, stands in
docs/api.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.services.accounts.tokens import create_token
from tests.architecture.sample_site import SampleSite, populate_site
from tests.users import viewer_of

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
# At most, of each kind, to each operation, in addition to the fixed ones; in `make test`, and in the others.
EXAMPLES = "3"
SLOW_EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "30")
CALLERS = ("anonymous", "user", "moderator")
SEED = os.environ.get("FUZZ_SEED", "1")

# Beside the tool's own, which are written out here because they are replaced as a whole: a version that is not the
# present one (412), none where one is asked for (428), and a body that is too large (413).
ACCEPTED = ["2xx", "3xx", "401", "403", "404", "409", "429", "412", "428"]
REJECTED = ["400", "401", "403", "404", "405", "406", "409", "415", "422", "428", "429", "5xx", "412", "413"]
ANONYMOUS_RUN = ["405"]  # at addresses of old: docs/api.md


def configuration(caller: str) -> str:
    """Return what is set of the tool, as TOML."""
    accepted = ACCEPTED + (ANONYMOUS_RUN if caller == "anonymous" else [])
    return f"""
[checks.positive_data_acceptance]
expected-statuses = {accepted}
[checks.negative_data_rejection]
expected-statuses = {REJECTED}
"""


def header_of(session: Session, world: SampleSite, caller: str) -> list[str]:
    """Return the options by which the tool shows who calls."""
    if caller == "anonymous":
        return []
    by = viewer_of(world.stranger if caller == "user" else world.moderator)
    secret = create_token(session, name="fuzz", scope="write", expires_at=None, by=by, now=utc_now())
    session.commit()
    return ["--header", f"Authorization: Token {secret}"]


@pytest.mark.parametrize("caller", CALLERS)
def test_every_answer_is_one_that_the_description_promises(
    session: Session, app: Flask, serve_app: Callable[..., str], caller: str, tmp_path: Path
) -> None:
    """All phases on SQLite; on PostgreSQL the enumerated requests of one caller, and the random ones of all."""
    is_whole = caller == "user" or db.engine.dialect.name == "sqlite"
    phases = [] if is_whole else ["--phases", "examples,fuzzing,stateful"]
    run_tool(session, app, serve_app, caller, tmp_path, "--max-examples", EXAMPLES, *phases)


@pytest.mark.slow
@pytest.mark.parametrize("caller", CALLERS)
def test_many_more_requests(
    session: Session, app: Flask, serve_app: Callable[..., str], caller: str, tmp_path: Path
) -> None:
    run_tool(session, app, serve_app, caller, tmp_path, "--max-examples", SLOW_EXAMPLES)


def run_tool(
    session: Session, app: Flask, serve_app: Callable[..., str], caller: str, tmp_path: Path, *options: str
) -> None:
    header = header_of(session, populate_site(session), caller)
    site = serve_app(app)
    settings = tmp_path / "fuzz.toml"
    settings.write_text(configuration(caller))
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(settings),
        "run", f"{site}/api/v4/openapi.json", "--seed", SEED, *options, *header,
    ]  # fmt: skip
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "tests.api.fuzz_data", "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
