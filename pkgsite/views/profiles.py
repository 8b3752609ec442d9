"""The public pages of people."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template
from werkzeug.wrappers import Response

from pkgsite.errors import Invalid
from pkgsite.extensions import db
from pkgsite.forms.profiles import ProfileForm, profile_form
from pkgsite.services.people.profiles import own_profile, profile_list, profile_page, update_profile
from pkgsite.views.links import link
from pkgsite.views.query_params import page_param
from pkgsite.views.viewer import current_viewer, login_required

pages = Blueprint("profiles", __name__, url_prefix="/profiles")


@pages.get("/<slug:username>/")
def detail(username: str) -> str:
    return render_template("profiles/detail.html", page=profile_page(db.session(), username, current_viewer()))


@pages.get("/<slug:username>/<any(contributed, added, edited, favorites):list_name>/")
def package_list(username: str, list_name: str) -> str:
    page = profile_list(db.session(), username, list_name, current_viewer(), page=page_param())
    return render_template("profiles/package_list.html", page=page.list, profile=page)


@pages.get("/edit/")
@login_required
def edit() -> str:
    return render_template(
        "profiles/edit.html", form=profile_form(own_profile(db.session(), current_viewer())), has_errors=False
    )


@pages.post("/edit/")
@login_required
def update() -> Response | tuple[str, int]:
    form = ProfileForm()
    if not form.validate_on_submit():
        return render_template("profiles/edit.html", form=form, has_errors=True), 422
    by = current_viewer()
    try:
        update_profile(db.session(), by=by, shares_favourites=form.shares_favourites.data, links=form.submitted_links())
    except Invalid as refusal:
        form.show_errors(refusal)
        return render_template("profiles/edit.html", form=form, has_errors=True), 422
    db.session.commit()
    flash("Profile saved.")
    return redirect(link("profiles.detail", username=by.username), 303)
