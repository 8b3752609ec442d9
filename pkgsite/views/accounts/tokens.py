"""One's tokens: keys with which one's programs use the API."""

from __future__ import annotations

from flask import flash, redirect, render_template
from werkzeug.wrappers import Response

from pkgsite.clock import utc_now
from pkgsite.errors import Invalid
from pkgsite.extensions import db
from pkgsite.forms import show_refusal
from pkgsite.forms.tokens import TokenForm
from pkgsite.services.accounts.tokens import make_token, revoke_token, tokens_of
from pkgsite.views.accounts.base import fresh, pages
from pkgsite.views.links import canonical_of, link
from pkgsite.views.viewer import login_needed, viewer


@pages.get("/account/tokens/")
@login_needed
def tokens() -> str:
    return _page(TokenForm(formdata=None))


@pages.post("/account/tokens/")
@login_needed
def make() -> str | tuple[str, int]:
    """Make a token, and show its secret this one time."""
    form, now, by = TokenForm(), utc_now(), viewer()
    if not form.validate_on_submit():
        return _page(form), 422
    try:
        made = make_token(
            fresh(), name=form.name.data, scope=form.scope.data, expires_at=form.expires_at(now), by=by, now=now
        )
    except Invalid as refusal:
        db.session.rollback()
        show_refusal(form, refusal)
        return _page(form), 422
    db.session.commit()
    return _page(TokenForm(formdata=None), made=made, made_name=form.name.data)


@pages.post("/account/tokens/<int(max=2147483647):token_id>/revoke/")
@login_needed
def revoke(token_id: int) -> Response:
    revoke_token(fresh(), token_id, by=viewer(), now=utc_now())
    db.session.commit()
    flash("The token has been revoked.")
    return redirect(link("accounts.tokens"), 303)


def _page(form: TokenForm, *, made: str = "", made_name: str = "") -> str:
    return render_template(
        "accounts/tokens.html",
        form=form,
        made=made,
        made_name=made_name,
        tokens=tokens_of(db.session(), viewer(), now=utc_now()),
        example=canonical_of("api_v4.packagelist"),
    )
