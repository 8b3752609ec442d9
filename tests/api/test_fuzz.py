"""Requests that Schemathesis generates from the OpenAPI description; every response must match the description.

`make test` sends a few hundred requests for anonymous clients on both databases, for a moderator on SQLite and for a
user on PostgreSQL; the moderator also sends those that cover each rule of the description. `make test-slow` sends
thousands for each client on each database, and `make fuzz` many thousands.
docs/api.md lists the settings that differ from the defaults of Schemathesis, and why.
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
# The maximum number of generated requests per operation and phase: in `make test`, and in the slow tests.
EXAMPLES = "3"
SLOW_EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "30")
CALLERS = ("anonymous", "user", "moderator")
# In `make test`, the caller with a token on each database.
CALLER_WITH_TOKEN = {"sqlite": "moderator", "postgresql": "user"}
SEED = os.environ.get("FUZZ_SEED", "1")

# These replace the defaults of Schemathesis. Added are 412 (an outdated version), 428 (no version although the site
# requires one) and 413 (the body is too large).
ACCEPTED = ["2xx", "3xx", "401", "403", "404", "409", "429", "412", "428"]
REJECTED = ["400", "401", "403", "404", "405", "406", "409", "415", "422", "428", "429", "5xx", "412", "413"]
ACCEPTED_IF_ANONYMOUS = ["405"]  # at endpoints inherited from Django Packages: docs/api.md


def configuration(caller: str) -> str:
    """Return the configuration of Schemathesis, as TOML."""
    accepted = ACCEPTED + (ACCEPTED_IF_ANONYMOUS if caller == "anonymous" else [])
    return f"""
[checks.positive_data_acceptance]
expected-statuses = {accepted}
[checks.negative_data_rejection]
expected-statuses = {REJECTED}
"""


def authentication_options(session: Session, site: SampleSite, caller: str) -> list[str]:
    """Return the command-line options that send the token of a caller."""
    if caller == "anonymous":
        return []
    by = viewer_of(site.stranger if caller == "user" else site.moderator)
    token = create_token(session, name="fuzz", scope="write", expires_at=None, by=by, now=utc_now())
    session.commit()
    return ["--header", f"Authorization: Token {token}"]


@pytest.mark.parametrize("has_token", [False, True], ids=["anonymous", "with token"])
def test_every_response_matches_the_description(
    session: Session, app: Flask, serve_app: Callable[..., str], has_token: bool, tmp_path: Path
) -> None:
    caller = CALLER_WITH_TOKEN[db.engine.dialect.name] if has_token else "anonymous"
    # Most requests are those that Schemathesis enumerates.
    phases = [] if caller == "moderator" else ["--phases", "examples,fuzzing,stateful"]
    run_schemathesis(session, app, serve_app, caller, tmp_path, "--max-examples", EXAMPLES, *phases)


@pytest.mark.slow
@pytest.mark.parametrize("caller", CALLERS)
def test_every_response_to_many_more_requests_matches_the_description(
    session: Session, app: Flask, serve_app: Callable[..., str], caller: str, tmp_path: Path
) -> None:
    run_schemathesis(session, app, serve_app, caller, tmp_path, "--max-examples", SLOW_EXAMPLES)


def run_schemathesis(
    session: Session, app: Flask, serve_app: Callable[..., str], caller: str, tmp_path: Path, *options: str
) -> None:
    authentication = authentication_options(session, populate_site(session), caller)
    url = serve_app(app)
    settings = tmp_path / "fuzz.toml"
    settings.write_text(configuration(caller))
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(settings),
        "run", f"{url}/api/v4/openapi.json", "--seed", SEED, *options, *authentication,
    ]  # fmt: skip
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "tests.api.fuzz_data", "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
