"""Forms that can't be accepted yet: the user has to log in first, or the form's CSRF token is no longer valid.

Nothing that was typed is lost. The login page carries the form, and after the login it can be sent with one click; a
form without a valid token is shown again with a new one.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Response, current_app, flash, jsonify, make_response, redirect, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.exceptions import NotFound as UnknownUrl
from werkzeug.routing import RequestRedirect
from werkzeug.wrappers import Response as AnyResponse

from pkgsite.clock import utc_now
from pkgsite.errors import Forbidden, LoginRequired, NotFound
from pkgsite.extensions import account_gateways, db
from pkgsite.forms.accounts import LoginForm
from pkgsite.rules.redirects import safe_redirect_path
from pkgsite.rules.submissions import RESUME_FIELD
from pkgsite.services.accounts.submissions import (
    Submission,
    get_submission,
    save_submission,
    sign_submission,
    verify_submission,
)
from pkgsite.services.accounts.throttling import SUBMISSIONS_FROM_ADDRESS, ThrottleKey, network_of, record_attempt
from pkgsite.views.accounts.base import client_address, fresh_session, pages, site_context
from pkgsite.views.errors import error_response
from pkgsite.views.links import link
from pkgsite.views.submitted import current_fields, current_url
from pkgsite.views.viewer import current_viewer, login_required

EXPIRED_MESSAGE = (
    "What you entered before logging in was kept for one hour, which has passed. Your browser's Back button may still "
    "show it."
)
# What the forms do in which nothing is typed, by endpoint.
ACTION_LABELS = {
    "package_edits.set_favourite": "Change your favourites",
    "favourites.set_favourite_by_path": "Change your favourites",
    "package_edits.set_usage": "Change the packages that you use",
    "package_edits.set_usage_by_path": "Change the packages that you use",
    "package_edits.withdraw": "Withdraw your flag",
    "grid_edits.add_member": "Add a package to a grid",
    "grid_edits.move_feature": "Move a feature",
    "grid_edits.lock": "Lock or unlock a grid",
    "history.revert_change": "Undo a change",
}
# Browsers ignore unknown schemes; RFC 9110 requires a challenge in every response with status 401.
CHALLENGE = 'Cookie realm="session"'


@pages.app_errorhandler(LoginRequired)
def ask_to_log_in(_error: LoginRequired) -> AnyResponse:
    """Show the login page, which carries the form, or redirect to it if nothing would be lost."""
    if _is_cross_site():
        return error_response(Forbidden("The form was sent by another site."))
    fields = current_fields()
    if _is_script():
        return _uncached({"detail": "Log in to continue.", "resubmit": True}, 401)
    if not any(field.value for field in fields) and _has_page():
        return redirect(link("accounts.login", next=current_url()), 303)
    submission = Submission(current_url(), fields)
    token = sign_submission(site_context().signing_key, submission)
    form = LoginForm(formdata=None, data={"resume": token or ""})
    return _uncached(login_page(form, submission), 401)


@pages.app_errorhandler(CSRFError)
def ask_to_resubmit(_error: CSRFError) -> AnyResponse:
    """Show the form again with a new CSRF token."""
    if _is_cross_site():
        return error_response(Forbidden("The form was sent by another site."))
    view = current_app.view_functions[str(request.endpoint)]
    if getattr(view, "requires_login", False) and not current_viewer().is_authenticated:
        return ask_to_log_in(LoginRequired("Log in to continue."))
    if _is_script():
        return _uncached({"detail": "The CSRF token is missing or invalid.", "resubmit": True}, 403)
    page = render_template(
        "errors/resubmit.html", fields=current_fields(), action=current_url(), resume=request.form.get(RESUME_FIELD, "")
    )
    return _uncached(page, 403)


def login_page(form: LoginForm, submission: Submission | None = None) -> str:
    """Return the login page.

    Args:
        form: The form; `resume` contains the signed form to send after the login, if there is one.
        submission: That form; by default as it is in `resume`.
    """
    if submission is None and form.resume.data:
        try:
            submission = verify_submission(site_context().signing_key, form.resume.data)
        except NotFound:
            form.resume.data = ""
    return render_template(
        "accounts/login.html", form=form, providers=account_gateways().providers, submission=submission
    )


def saved_submission_path(token: str | None, *, user_id: int | None) -> str | None:
    """Save the form in a signed token, commit, and return the path of the page from which it can be sent.

    Args:
        token: The token; None or an empty string if there is none.
        user_id: The user who has just logged in; None if that is yet to happen, which is throttled.

    Returns:
        None if there is no form, or if it has expired.

    Raises:
        TooManyAttempts: Too many forms have been saved from this IP address.
    """
    if not token:
        return None
    try:
        submission = verify_submission(site_context().signing_key, token)
    except NotFound:
        flash(EXPIRED_MESSAGE, "error")
        return None
    session, now = fresh_session(), utc_now()
    if user_id is None:
        record_attempt(session, [ThrottleKey(SUBMISSIONS_FROM_ADDRESS, network_of(client_address()))], now=now)
    key = save_submission(session, submission, user_id=user_id, now=now)
    db.session.commit()
    return link("accounts.resume", key=key)


@pages.post("/account/resume/")
def keep_for_new_account() -> AnyResponse:
    """Save a form for someone who creates an account first."""
    path = saved_submission_path(request.form.get(RESUME_FIELD), user_id=None)
    return redirect(link("accounts.register", next=path or safe_redirect_path(request.form.get("next"))), 303)


@pages.get("/account/resume/<key>/")
@login_required
def resume(key: str) -> str:
    """Show a form that was sent before the login, filled in and with a new CSRF token."""
    submission = get_submission(db.session(), key, user_id=current_viewer().user_id, now=utc_now())
    return render_template(
        "accounts/resume.html", submission=submission, action_label=ACTION_LABELS.get(_endpoint(submission.path) or "")
    )


def _is_script() -> bool:
    """Return whether one of the site's scripts has sent the request; it wants JSON rather than a page."""
    accepted = request.accept_mimetypes
    return accepted["application/json"] > accepted["text/html"]


def _is_cross_site() -> bool:
    """Return whether a page of another site has sent this form.

    Browsers leave out the session cookie then. Such a form is neither kept nor shown again with a token, and the
    response sets no cookie, which would replace the one of a user who is logged in.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    own_hosts = {request.host, urlsplit(current_app.config["PUBLIC_URL"]).netloc} - {""}  # the Origin can be "null"
    return origin is not None and urlsplit(origin).netloc not in own_hosts


def _has_page() -> bool:
    """Return whether this URL also shows a page."""
    return _endpoint(request.path, method="GET") is not None


def _endpoint(path: str, method: str = "POST") -> str | None:
    """Return the endpoint of a path, with or without a query; None if it does not accept the method."""
    adapter = current_app.url_map.bind("site")
    try:
        endpoint, _values = adapter.match(path.removeprefix(request.script_root).partition("?")[0], method=method)
    except (MethodNotAllowed, UnknownUrl, RequestRedirect):
        return None
    return str(endpoint)


def _uncached(body: str | dict[str, object], status: int) -> Response:
    response = make_response(body if isinstance(body, str) else jsonify(body), status)
    response.headers["Cache-Control"] = "no-store"
    if status == 401:
        response.headers["WWW-Authenticate"] = CHALLENGE
    return response
