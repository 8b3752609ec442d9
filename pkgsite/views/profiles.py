"""The public pages of people."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template
from werkzeug.wrappers import Response

from pkgsite.errors import Invalid
from pkgsite.extensions import db
from pkgsite.forms.profiles import ProfileForm, form_of
from pkgsite.services.people.profiles import own_profile, profile_list, profile_page, save_profile
from pkgsite.views.links import link
from pkgsite.views.query_params import page_number
from pkgsite.views.viewer import login_needed, viewer

pages = Blueprint("profiles", __name__, url_prefix="/profiles")


@pages.get("/<slug:username>/")
def detail(username: str) -> str:
    return render_template("profiles/detail.html", page=profile_page(db.session(), username, viewer()))


@pages.get("/<slug:username>/<any(contributed, added, edited, favorites):which>/")
def listing(username: str, which: str) -> str:
    page = profile_list(db.session(), username, which, viewer(), page=page_number())
    return render_template("profiles/listing.html", page=page.list, profile=page)


@pages.get("/edit/")
@login_needed
def edit() -> str:
    return render_template("profiles/edit.html", form=form_of(own_profile(db.session(), viewer())), is_refused=False)


@pages.post("/edit/")
@login_needed
def save() -> Response | tuple[str, int]:
    form = ProfileForm()
    if not form.validate_on_submit():
        return render_template("profiles/edit.html", form=form, is_refused=True), 422
    by = viewer()
    try:
        save_profile(db.session(), by=by, shares_favourites=form.shares_favourites.data, links=form.wanted_links())
    except Invalid as refusal:
        form.refuse(refusal)
        return render_template("profiles/edit.html", form=form, is_refused=True), 422
    db.session.commit()
    flash("Profile saved.")
    return redirect(link("profiles.detail", username=by.username), 303)
