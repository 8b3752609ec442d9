"""Changing records by the API: what is taken, refused, held, tried, and asked again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.clock import utc_now
from pkgsite.models import ApiToken, Cell, Feature, Grid, GridPackage, Package, PendingEdit, Revision
from pkgsite.services.importing.records import _advance_id_sequence
from tests.api.api_client import ApiClient
from tests.factories import fill_cell, make_category, make_feature, make_grid, make_package
from tests.users import CSRF_SEED, CsrfClient, make_user

Make = Callable[..., Flask]
NEW = {"title": "Django Two", "category": "apps", "repo_url": "https://github.com/them/two", "pypi_url": "django-two"}
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


@pytest.fixture
def ada_client(app: Flask, session: Session) -> ApiClient:
    """A person's program, on a site with a package in a grid."""
    one = make_package(session, id=1, repo_url="https://github.com/us/one", pypi_url="django-one")
    make_package(session, "other", id=2)
    grid = make_grid(session, id=10, packages=(one,))
    fill_cell(session, make_feature(session, grid, id=20), one, "yes")
    for model in (Package, Grid, Feature):
        _advance_id_sequence(session, model)
    return ApiClient(app, session, make_user(session, "ada"))


@pytest.fixture
def moderator_client(app: Flask, session: Session) -> ApiClient:
    return ApiClient(app, session, make_user(session, "mo", role="moderator"))


def test_a_package_is_added(ada_client: ApiClient, session: Session) -> None:
    answer = ada_client.post("packages/", NEW)
    assert answer.status_code == 201, answer.json
    assert answer.json["slug"] == "django-two"
    assert answer.headers["Location"] == f"http://localhost/api/v4/packages/{answer.json['id']}/"
    read = ada_client.get(f"packages/{answer.json['id']}/")
    assert (read.json, read.headers["ETag"]) == (answer.json, answer.headers["ETag"])
    assert answer.headers["Cache-Control"] == "private, no-cache"
    revision = session.scalars(select(Revision).order_by(Revision.id.desc())).first()
    assert revision is not None
    assert (revision.action, revision.via, revision.object_id) == ("add", "api", answer.json["id"])


def test_a_category_is_named_by_address_id_or_slug(ada_client: ApiClient, session: Session) -> None:
    other = make_category(session, "tools", id=77)
    session.commit()
    for number, named in enumerate(("http://localhost/api/v4/categories/77/", 77, "77", "tools")):
        answer = ada_client.patch("packages/1/", {"category": named, "title": f"One {number}"})
        assert answer.json["category"] == f"http://localhost/api/v4/categories/{other.id}/"
        ada_client.patch("packages/1/", {"category": "apps"})
    refused = ada_client.patch("packages/1/", {"category": "http://localhost/api/v4/categories/78/"})
    assert (refused.status_code, refused.json) == (400, {"category": ["Category not found."]})


def test_a_part_of_a_package_is_changed(ada_client: ApiClient, session: Session) -> None:
    before = ada_client.get("packages/django-one/").json
    answer = ada_client.patch("packages/django-one/?reason=It+has+a+name", {"title": "The One"})
    assert answer.status_code == 200
    assert {name for name in before if before[name] != answer.json[name]} == {"title", "modified"}
    revision = session.scalars(select(Revision)).one()
    assert (revision.before, revision.after) == ({"title": "django-one"}, {"title": "The One"})
    assert (revision.via, revision.reason) == ("api", "It has a name")


def test_what_was_read_can_be_put_back(ada_client: ApiClient, session: Session) -> None:
    record = ada_client.get("packages/1/").json
    assert ada_client.put("packages/1/", record).json == record
    assert session.scalar(select(func.count()).select_from(Revision)) == 0
    answer = ada_client.put("packages/1/", record | {"title": "The One"})
    assert answer.json["title"] == "The One"
    assert answer.json["pypi_url"] == record["pypi_url"]
    grid = ada_client.get("grids/10/").json
    assert ada_client.put("grids/10/", grid).json == grid
    feature = ada_client.get("grids/10/features/20/").json
    assert ada_client.put("grids/10/features/20/", feature).json == feature


def test_put_needs_the_whole(ada_client: ApiClient) -> None:
    words = ["This field is required. PUT replaces the entire record; use PATCH to change some fields."]
    answer = ada_client.put("packages/1/", {"title": "x", "slug": "one", "category": "apps"})
    assert (answer.status_code, answer.json) == (
        400,
        {"repo_url": words, "pypi_url": words, "documentation_url": words},
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": None}, "title"),
        ({"title": 5}, "title"),
        ({"title": "x" * 101}, "title"),
        ({"titel": "One"}, "titel"),
        ({"repo_url": "javascript:alert(1)"}, "repo_url"),
        ({"repo_url": "", "pypi_url": ""}, "repo_url"),
        ({"documentation_url": "not one"}, "documentation_url"),
        ({"category": "nothing"}, "category"),
        ({"category": ["apps"]}, "category"),
        ({"is_deprecated": "yes"}, "is_deprecated"),
        ({"replaced_by": "django-one"}, "replaced_by"),
        ({"grids": ["http://localhost/api/v4/grids/11/"]}, "grids"),
        ({"slug": "99"}, "slug"),
    ],
)
def test_what_is_wrong_is_said_of_its_field(ada_client: ApiClient, session: Session, body: dict, field: str) -> None:
    answer = ada_client.patch("packages/1/", body)
    assert (answer.status_code, list(answer.json)) == (400, [field])
    assert all(words.endswith(".") for words in answer.json[field])
    assert session.scalar(select(func.count()).select_from(Revision)) == 0


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"data": b"{", "content_type": "application/json"}, 400),
        ({"data": b"[1]", "content_type": "application/json"}, 400),
        ({"data": b'{"title": "\\ud800"}', "content_type": "application/json"}, 400),
        ({"data": b"\xff\xfe", "content_type": "application/json"}, 400),
        ({"data": b"<xml/>", "content_type": "text/xml"}, 415),
        ({"data": b'{"title": "x"}'}, 415),
        ({"data": b"x" * (1 << 20) + b"x", "content_type": "application/json"}, 413),
    ],
)
def test_bodies_that_are_none(ada_client: ApiClient, options: dict, status: int) -> None:
    answer = ada_client.request("PATCH", "packages/1/", **options)
    assert (answer.status_code, list(answer.json)) == (status, ["detail"])


def test_a_form_is_a_body_too(ada_client: ApiClient) -> None:
    assert ada_client.request("PATCH", "packages/1/", data={"title": "Of a form"}).json["title"] == "Of a form"


def test_what_is_here_already_clashes(ada_client: ApiClient) -> None:
    answer = ada_client.post("packages/", NEW | {"repo_url": "http://www.github.com/us/one.git"})
    assert answer.status_code == 409
    assert "already listed" in answer.json["repo_url"][0]
    assert ada_client.patch("packages/2/", {"slug": "django-one"}).status_code == 409
    assert ada_client.post("grids/", {"title": "Again", "slug": "caching"}).status_code == 409
    both = ada_client.post("packages/", {"title": "", "category": "apps", "repo_url": "https://github.com/us/one"})
    assert (both.status_code, sorted(both.json)) == (400, ["repo_url", "title"])


def test_records_that_are_not_there(ada_client: ApiClient, session: Session) -> None:
    session.get_one(Package, 2).hidden_at = utc_now()
    session.commit()
    for path in ("packages/9/", "packages/2/", "packages/no-such/", "grids/11/", "grids/10/features/21/"):
        answer = ada_client.patch(path, {"title": "x"})
        assert (answer.status_code, list(answer.json)) == (404, ["detail"])


def test_a_slug_of_old_leads_on_by_the_same_method(ada_client: ApiClient) -> None:
    ada_client.patch("packages/1/", {"slug": "one"})
    moved = ada_client.patch("packages/django-one/?dry_run=1", {"title": "x"})
    assert (moved.status_code, moved.headers["Location"]) == (308, "/api/v4/packages/one/?dry_run=1")
    ada_client.patch("grids/10/", {"slug": "caches"})
    moved = ada_client.get("grids/caching/features/20/")
    assert (moved.status_code, moved.headers["Location"]) == (301, "/api/v4/grids/caches/features/20/")


def test_who_may_do_what(app: Flask, ada_client: ApiClient, session: Session) -> None:
    reader = ApiClient(app, session, make_user(session, "bo"), scope="read")
    assert reader.get("packages/1/").headers["Allow"] == "GET, HEAD, OPTIONS"
    refused = reader.patch("packages/1/", {"title": "x"})
    assert (refused.status_code, refused.json) == (403, {"detail": "This token is read-only."})
    assert ada_client.get("packages/1/").headers["Allow"] == "GET, PUT, PATCH, HEAD, OPTIONS"
    assert ada_client.get("packages/").headers["Allow"] == "GET, POST, HEAD, OPTIONS"
    assert ada_client.get("grids/10/").headers["Allow"] == "GET, PUT, PATCH, HEAD, OPTIONS"
    assert ada_client.get("categories/").headers["Allow"] == "GET, HEAD, OPTIONS"
    assert ada_client.delete("packages/1/").status_code == 405
    assert ada_client.delete("packages/1/").headers["Allow"] == "GET, PUT, PATCH, HEAD, OPTIONS"
    assert ada_client.post("categories/", {"title": "x"}).status_code == 405
    assert ada_client.delete("grids/10/").status_code == 403
    assert ada_client.patch("grids/10/", {"is_locked": True}).status_code == 403
    assert session.scalar(select(func.count()).select_from(Revision)) == 0


def test_moderators_may_more(ada_client: ApiClient, moderator_client: ApiClient, session: Session) -> None:
    assert moderator_client.get("grids/10/").headers["Allow"] == "GET, PUT, PATCH, DELETE, HEAD, OPTIONS"
    assert moderator_client.patch("grids/10/", {"is_locked": True, "header": True}).json["is_locked"] is True
    assert ada_client.get("grids/10/").headers["Allow"] == "GET, HEAD, OPTIONS"
    for method, path, body in (
        ("PATCH", "grids/10/", {"title": "x"}),
        ("POST", "grids/10/features/", {"title": "x"}),
        ("PATCH", "grids/10/features/20/", {"title": "x"}),
        ("PATCH", "grids/10/features/20/cells/1/", {"text": "x"}),
        ("POST", "grids/10/packages/", {"package": "other"}),
        ("DELETE", "grids/10/packages/1/", None),
    ):
        answer = ada_client.request(method, path, json=body)
        assert (answer.status_code, "locked" in answer.json["detail"]) == (403, True)
    assert moderator_client.delete("grids/10/").status_code == 204
    assert session.scalars(select(Grid)).all() == []


@pytest.mark.parametrize("method", UNSAFE)
def test_nobody_changes_nothing(ada_client: ApiClient, app: Flask, method: str) -> None:
    client = app.test_client()
    for path in ("", "packages/", "packages/1/", "grids/", "grids/10/", "categories/", "search/", "packages/99/"):
        answer = client.open(f"/api/v4/{path}", method=method, json={"title": "x"})
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
        assert answer.json == {"detail": f'Method "{method}" not allowed.'}
    answer = client.open("/api/v4/grids/10/features/", method="POST", json={"title": "x"})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Token realm=api")


def test_tokens_that_open_nothing(ada_client: ApiClient, session: Session) -> None:
    token = session.scalars(select(ApiToken)).one()
    for change in ({"expires_at": utc_now() - timedelta(seconds=1)}, {"expires_at": None, "revoked_at": utc_now()}):
        for name, value in change.items():
            setattr(token, name, value)
        session.commit()
        for method in ("GET", "PATCH"):
            answer = ada_client.request(method, "packages/1/", json={"title": "x"})
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Token realm=api")
    answer = ada_client.client.patch("/api/v4/packages/1/", headers={"Authorization": "Bearer pkgs_none"})
    assert answer.status_code == 401


def test_a_session_needs_its_token_beside_it(app: Flask, session: Session) -> None:
    make_package(session, id=1, repo_url="https://github.com/us/one")
    user = make_user(session)
    session.commit()
    visitor = CsrfClient(app, user)
    refused = visitor.client.patch("/api/v4/packages/1/", json={"title": "x"})
    assert (refused.status_code, "X-CSRFToken" in refused.json["detail"]) == (403, True)
    headers = {"X-CSRFToken": visitor._token}
    assert visitor.client.patch("/api/v4/packages/1/", json={"title": "x"}, headers=headers).status_code == 200
    assert CSRF_SEED not in refused.get_data(as_text=True)


def test_the_later_of_two_is_told(ada_client: ApiClient, moderator_client: ApiClient) -> None:
    for path, one, two in (
        ("packages/1/", {"title": "A"}, {"title": "B"}),
        ("grids/10/", {"description": "A"}, {"description": "B"}),
        ("grids/10/features/20/", {"title": "A"}, {"title": "B"}),
        ("grids/10/features/20/cells/1/", {"text": "A"}, {"text": "B"}),
    ):
        tag = {"If-Match": ada_client.get(path).headers["ETag"]}
        assert moderator_client.get(path).headers["ETag"] == tag["If-Match"]
        done, late = ada_client.patch(path, one, headers=tag), moderator_client.patch(path, two, headers=tag)
        assert (done.status_code, late.status_code) == (200, 412)
        assert "Fetch it again" in late.json["detail"]
        again = moderator_client.patch(path, two, headers={"If-Match": done.headers["ETag"]})
        assert (again.status_code, *[again.json[name] for name in two]) == (200, *two.values())
        assert moderator_client.patch(path, one, headers={"If-Match": "*"}).status_code == 200
        assert moderator_client.patch(path, one, headers={"If-Match": "W/" + again.headers["ETag"]}).status_code == 412


def test_a_site_may_ask_for_conditions(make_app: Make, session: Session) -> None:
    app = make_app(API_REQUIRE_IF_MATCH="on")
    make_package(session, id=1, repo_url="https://github.com/us/one")
    ada = ApiClient(app, session, make_user(session))
    refused = ada.patch("packages/1/", {"title": "x"})
    assert (refused.status_code, "If-Match" in refused.json["detail"]) == (428, True)
    tag = ada.get("packages/1/").headers["ETag"]
    assert ada.patch("packages/1/", {"title": "x"}, headers={"If-Match": tag}).status_code == 200


def test_a_trial_shows_what_would_change(ada_client: ApiClient, moderator_client: ApiClient, session: Session) -> None:
    answer = ada_client.patch("packages/1/?dry_run=1", {"title": "The One", "pypi_url": "the-one"})
    assert (answer.status_code, answer.json["dry_run"]) == (200, True)
    assert answer.json["changes"]["title"] == {"before": "django-one", "after": "The One"}
    assert set(answer.json["changes"]) == {"title", "pypi_url"}
    made = ada_client.post("packages/?dry_run=1", NEW).json["changes"]
    assert made["title"] == {"before": None, "after": "Django Two"}
    gone = moderator_client.delete("grids/10/?dry_run=1").json["changes"]
    assert gone["title"] == {"before": "Caching", "after": None}
    assert ada_client.patch("packages/1/?dry_run=1", {"title": ""}).status_code == 400
    assert session.scalar(select(func.count()).select_from(Revision)) == 0
    assert session.scalar(select(func.count()).select_from(Package)) == 2


def test_a_request_that_is_asked_again_is_done_once(
    ada_client: ApiClient, moderator_client: ApiClient, session: Session
) -> None:
    key = {"Idempotency-Key": "4f1d"}
    first, again = (ada_client.post("packages/", NEW, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.json, again.headers["Location"]) == (first.json, first.headers["Location"])
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    other = ada_client.post("packages/", NEW | {"title": "Other"}, headers=key)
    assert (other.status_code, "different request" in other.json["detail"]) == (409, True)
    assert moderator_client.post("grids/", {"title": "Mine"}, headers=key).status_code == 201
    refused = {"Idempotency-Key": "what was refused may be mended"}
    assert ada_client.post("grids/", {"title": ""}, headers=refused).status_code == 400
    assert ada_client.post("grids/", {"title": "Now"}, headers=refused).status_code == 201
    assert ada_client.post("grids/", {"title": "x"}, headers={"Idempotency-Key": "x" * 201}).status_code == 400
    assert session.scalar(select(func.count()).select_from(Package)) == 3


def test_a_newcomers_change_waits(make_app: Make, session: Session) -> None:
    app = make_app(REVIEW_FIRST_EDITS="2")
    make_package(session, id=1, repo_url="https://github.com/us/one")
    ada = ApiClient(app, session, make_user(session))
    answer = ada.patch("packages/1/", {"title": "x"})
    assert (answer.status_code, "moderator" in answer.json["detail"]) == (202, True)
    held = session.scalars(select(PendingEdit)).one()
    assert (held.id, held.action, held.arguments["changes"]) == (answer.json["held"], "package.edit", {"title": "x"})
    assert session.get_one(Package, 1).title == "django-one"


def test_packages_go_into_a_grid_and_out(ada_client: ApiClient, session: Session) -> None:
    assert [one["id"] for one in ada_client.get("grids/10/packages/").json["results"]] == [1]
    for named in ("http://localhost/api/v4/packages/2/", 2, "other", "http://localhost/packages/p/other/"):
        put = ada_client.post("grids/10/packages/", {"package": named})
        assert (put.status_code, put.json["slug"]) == (201, "other")
        assert put.headers["Location"] == "http://localhost/api/v4/grids/10/packages/2/"
        assert ada_client.post("grids/10/packages/", {"package": named}).status_code == 200
        assert "DELETE" in ada_client.get("grids/10/packages/2/").headers["Allow"]
        assert ada_client.delete("grids/10/packages/other/").status_code == 204
        assert ada_client.get("grids/10/packages/2/").status_code == 404
    assert ada_client.delete("grids/10/packages/1/").status_code == 403  # somebody else put it there
    assert "DELETE" not in ada_client.get("grids/10/packages/1/").headers["Allow"]
    for nothing in ("no-such", "", None, 99, "\0"):
        assert ada_client.post("grids/10/packages/", {"package": nothing}).status_code == 400
    assert session.scalar(select(func.count()).select_from(GridPackage)) == 1


def test_features_and_cells(ada_client: ApiClient, session: Session) -> None:
    made = ada_client.post("grids/10/features/", {"title": "Has tests", "description": "Many"})
    assert (made.status_code, made.json["position"]) == (201, 1)
    path = f"grids/10/features/{made.json['id']}/"
    assert made.headers["Location"].endswith(f"/api/v4/{path}")
    assert ada_client.patch(path, {"position": 0}).json["position"] == 0
    assert ada_client.get("grids/10/features/20/").json["position"] == 1
    titles = [one["title"] for one in ada_client.get("grids/10/features/").json["results"]]
    assert titles == ["Has tests", "Is fast"]
    cell = ada_client.get(f"{path}cells/django-one/")
    assert cell.json["text"] == ""
    filled = ada_client.put(f"{path}cells/1/", cell.json | {"text": "yes!"}, headers={"If-Match": cell.headers["ETag"]})
    assert (filled.status_code, filled.json["text"]) == (200, "yes!")
    assert ada_client.get(path).json["cells"][0]["text"] == "yes!"
    assert ada_client.patch(f"{path}cells/2/", {"text": "x"}).status_code == 404
    assert ada_client.patch(f"{path}cells/1/", {"text": "x" * 1001}).status_code == 400
    assert ada_client.delete("grids/10/features/20/").status_code == 403
    assert ada_client.delete(path).status_code == 204
    assert [one.id for one in session.scalars(select(Feature))] == [20]
    assert [one.text for one in session.scalars(select(Cell))] == ["yes"]


def test_options_tell_what_may_be_written(ada_client: ApiClient, app: Flask) -> None:
    told = ada_client.request("OPTIONS", "packages/1/").json["actions"]
    assert list(told) == ["PUT", "PATCH"]
    assert told["PATCH"]["title"] == {
        "type": "string",
        "required": True,
        "read_only": False,
        "label": "Title",
        "max_length": 100,
        "help_text": "Title",
    }
    assert "actions" not in app.test_client().options("/api/v4/packages/1/").json
