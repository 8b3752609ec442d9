"""One's tokens: keys with which one's programs use the API."""

from __future__ import annotations

from flask import flash, redirect, render_template
from werkzeug.wrappers import Response

from pkgsite.clock import utc_now
from pkgsite.errors import Invalid
from pkgsite.extensions import db
from pkgsite.forms import show_errors
from pkgsite.forms.tokens import TokenForm
from pkgsite.services.accounts.tokens import create_token, list_tokens, revoke_token
from pkgsite.views.accounts.base import fresh_session, pages
from pkgsite.views.links import absolute_url, link
from pkgsite.views.viewer import current_viewer, login_required


@pages.get("/account/tokens/")
@login_required
def tokens() -> str:
    return _page(TokenForm(formdata=None))


@pages.post("/account/tokens/")
@login_required
def create_api_token() -> str | tuple[str, int]:
    """Make a token, and show its secret this one time."""
    form, now, by = TokenForm(), utc_now(), current_viewer()
    if not form.validate_on_submit():
        return _page(form), 422
    try:
        made = create_token(
            fresh_session(), name=form.name.data, scope=form.scope.data, expires_at=form.expires_at(now), by=by, now=now
        )
    except Invalid as refusal:
        db.session.rollback()
        show_errors(form, refusal)
        return _page(form), 422
    db.session.commit()
    return _page(TokenForm(formdata=None), secret=made, token_name=form.name.data)


@pages.post("/account/tokens/<int(max=2147483647):token_id>/revoke/")
@login_required
def revoke_api_token(token_id: int) -> Response:
    revoke_token(fresh_session(), token_id, by=current_viewer(), now=utc_now())
    db.session.commit()
    flash("The token has been revoked.")
    return redirect(link("accounts.tokens"), 303)


def _page(form: TokenForm, *, secret: str = "", token_name: str = "") -> str:
    return render_template(
        "accounts/tokens.html",
        form=form,
        new_secret=secret,
        new_token_name=token_name,
        tokens=list_tokens(db.session(), current_viewer(), now=utc_now()),
        example_url=absolute_url("api_v4.packagelist"),
    )
