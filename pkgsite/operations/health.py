"""Health checks for load balancers and monitoring: JSON, or a page for browsers.

`/health/live` says that the process responds, `/health/ready` that it can serve requests. `/health/` has the names and
texts of Django Packages.
"""

from __future__ import annotations

from functools import cache

from alembic.script import ScriptDirectory
from flask import Blueprint, Flask, Response, current_app, jsonify, make_response, render_template, request
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from pkgsite.clock import utc_now
from pkgsite.extensions import db, limiter
from pkgsite.outages import report_outage
from pkgsite.services.status import Check, CheckStatus, check_scheduler, database_revision, ping_database

pages = Blueprint("health", __name__)

UNAVAILABLE = Check("database", CheckStatus.FAILING, "The database is not available.")


def init_app(app: Flask) -> None:
    app.register_blueprint(pages)


@pages.get("/health/live")
def live() -> Response:
    return _response([], 200)


@pages.get("/health/ready")
def ready() -> Response:
    checks = run_checks(db.session())
    has_failed = any(check.status == CheckStatus.FAILING for check in checks)
    return _response(checks, 503 if has_failed else 200)


@pages.get("/health/")
def reference() -> Response:
    """Respond as Django Packages does: with status 500 if a check fails."""
    results = {
        "Cache(alias='default')": _are_counters_available(),
        "Database(alias='default')": _is_database_available(),
    }
    if current_app.config["REDIS_URL"]:
        results["Redis(alias='default')"] = results["Cache(alias='default')"]
    texts = {name: "OK" if is_available else "unavailable" for name, is_available in results.items()}
    status = 200 if all(results.values()) else 500
    if _prefers_html():
        checks = [
            Check(name, CheckStatus.OK if is_available else CheckStatus.FAILING, texts[name])
            for name, is_available in results.items()
        ]
        return _page(checks, status)
    return _finish(jsonify(texts), status)


def run_checks(session: Session) -> list[Check]:
    """Return the results of the checks that decide whether this process can serve requests."""
    try:
        ping_database(session)
    except DBAPIError as error:
        report_outage(error)
        return [UNAVAILABLE]
    checks = [Check("database", CheckStatus.OK, "The database is available.")]
    try:
        checks.append(check_migrations(database_revision(session)))
        checks.append(check_scheduler(session, now=utc_now()))
    except DBAPIError:
        session.rollback()
        checks.append(
            Check("migrations", CheckStatus.FAILING, "The database does not have the tables of this version.")
        )
    return checks


def check_migrations(revision: str | None) -> Check:
    """Compare the revision of the database with the migrations of this version."""
    revisions = known_revisions(current_app.config["MIGRATIONS"])
    if revision == revisions[0]:
        return Check("migrations", CheckStatus.OK, f"The database has all migrations (revision {revision}).")
    if revision in revisions:
        message = f"The database has revision {revision}, but this version needs {revisions[0]}."
        return Check("migrations", CheckStatus.FAILING, message)
    message = f"The database has revision {revision}, which is newer than this version."
    return Check("migrations", CheckStatus.WARNING, message)


@cache
def known_revisions(_folder: str) -> list[str]:
    """Return the revisions of this version's migrations, from the newest to the oldest."""
    config = current_app.extensions["migrate"].migrate.get_config()
    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]


def _is_database_available() -> bool:
    try:
        ping_database(db.session())
    except DBAPIError as error:
        report_outage(error)
        return False
    return True


def _are_counters_available() -> bool:
    """Return whether the counters of the rate limits can be read, which are what this site caches."""
    if not current_app.config["RATELIMIT_ENABLED"]:
        return True
    try:
        return limiter.storage.check()
    except limiter.storage.base_exceptions:
        return False


def _response(checks: list[Check], status: int) -> Response:
    if _prefers_html():
        return _page(checks, status)
    results = {check.name: {"status": check.status, "message": check.message} for check in checks}
    overall = max((check.status for check in checks), key=list(CheckStatus).index, default=CheckStatus.OK)
    return _finish(jsonify({"status": overall} | ({"checks": results} if checks else {})), status)


def _page(checks: list[Check], status: int) -> Response:
    return _finish(make_response(render_template("site/health.html", checks=checks, is_healthy=status == 200)), status)


def _finish(response: Response, status: int) -> Response:
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Accept")
    return response


def _prefers_html() -> bool:
    accepted = request.accept_mimetypes
    return accepted.best_match(["application/json", "text/html"]) == "text/html"
