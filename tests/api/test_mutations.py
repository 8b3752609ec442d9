"""Writes through the API: validation, permissions, review, dry runs, conflicts and idempotency."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.api.resource import UNSAFE_METHODS
from pkgsite.clock import utc_now
from pkgsite.models import ApiToken, Cell, Feature, Grid, GridPackage, Package, PendingEdit, Revision
from pkgsite.services.importing.records import _advance_id_sequence
from tests.api.api_client import ApiClient
from tests.factories import fill_cell, make_category, make_feature, make_grid, make_package
from tests.users import CSRF_SEED, CsrfClient, make_user

AppFactory = Callable[..., Flask]
NEW_PACKAGE: dict[str, object] = {
    "title": "Django Two",
    "category": "apps",
    "repo_url": "https://github.com/them/two",
    "pypi_url": "django-two",
}


@pytest.fixture
def ada_client(app: Flask, session: Session) -> ApiClient:
    """A client with the token of a user, on a site with a package in a grid."""
    one = make_package(session, id=1, repo_url="https://github.com/us/one", pypi_url="django-one")
    make_package(session, "other", id=2)
    grid = make_grid(session, id=10, packages=(one,))
    fill_cell(session, make_feature(session, grid, id=20), one, "yes")
    models: tuple[Any, ...] = (Package, Grid, Feature)
    for model in models:
        _advance_id_sequence(session, model)
    return ApiClient(app, session, make_user(session, "ada"))


@pytest.fixture
def moderator_client(app: Flask, session: Session) -> ApiClient:
    return ApiClient(app, session, make_user(session, "mo", role="moderator"))


def test_post_creates_a_package(ada_client: ApiClient, session: Session) -> None:
    response = ada_client.post("packages/", NEW_PACKAGE)
    assert response.status_code == 201, response.get_json()
    assert response.get_json()["slug"] == "django-two"
    assert response.headers["Location"] == f"http://localhost/api/v4/packages/{response.get_json()['id']}/"
    read = ada_client.get(f"packages/{response.get_json()['id']}/")
    assert (read.get_json(), read.headers["ETag"]) == (response.get_json(), response.headers["ETag"])
    assert response.headers["Cache-Control"] == "private, no-cache"
    revision = session.scalars(select(Revision).order_by(Revision.id.desc())).first()
    assert revision is not None
    assert (revision.action, revision.via, revision.object_id) == ("add", "api", response.get_json()["id"])


def test_a_category_is_referenced_by_url_id_or_slug(ada_client: ApiClient, session: Session) -> None:
    other = make_category(session, "tools", id=77)
    session.commit()
    for number, reference in enumerate(("http://localhost/api/v4/categories/77/", 77, "77", "tools")):
        response = ada_client.patch("packages/1/", {"category": reference, "title": f"One {number}"})
        assert response.get_json()["category"] == f"http://localhost/api/v4/categories/{other.id}/"
        ada_client.patch("packages/1/", {"category": "apps"})
    unknown = ada_client.patch("packages/1/", {"category": "http://localhost/api/v4/categories/78/"})
    assert (unknown.status_code, unknown.get_json()) == (400, {"category": ["Category not found."]})


def test_patch_changes_some_fields_of_a_package(ada_client: ApiClient, session: Session) -> None:
    before = ada_client.get("packages/django-one/").get_json()
    response = ada_client.patch("packages/django-one/?reason=It+has+a+name", {"title": "The One"})
    assert response.status_code == 200
    assert {name for name in before if before[name] != response.get_json()[name]} == {"title", "modified"}
    revision = session.scalars(select(Revision)).one()
    assert (revision.before, revision.after) == ({"title": "django-one"}, {"title": "The One"})
    assert (revision.via, revision.reason) == ("api", "It has a name")


def test_sending_a_record_back_changes_nothing(ada_client: ApiClient, session: Session) -> None:
    record = ada_client.get("packages/1/").get_json()
    assert ada_client.put("packages/1/", record).get_json() == record
    assert session.scalar(select(func.count()).select_from(Revision)) == 0
    response = ada_client.put("packages/1/", record | {"title": "The One"})
    assert response.get_json()["title"] == "The One"
    assert response.get_json()["pypi_url"] == record["pypi_url"]
    grid = ada_client.get("grids/10/").get_json()
    assert ada_client.put("grids/10/", grid).get_json() == grid
    feature = ada_client.get("grids/10/features/20/").get_json()
    assert ada_client.put("grids/10/features/20/", feature).get_json() == feature


@pytest.mark.parametrize(
    ("read", "written"),
    [
        ("packages/1.json", "packages/1/"),
        ("packages/django-one.json", "packages/1.json"),
        ("packages/1/?format=json", "packages/django-one/"),
        ("packages/1/?expand=all", "packages/1/"),
        ("grids/10.json", "grids/10/"),
        ("grids/10/?expand=all", "grids/10/"),
        ("grids/10/?expand=features&format=json", "grids/10.json"),
        ("grids/10/features/20.json", "grids/10/features/20/"),
    ],
)
def test_a_record_is_accepted_as_it_was_read(ada_client: ApiClient, session: Session, read: str, written: str) -> None:
    record = ada_client.get(read).get_json()
    response = ada_client.put(written, record)
    assert (response.status_code, response.get_json()["title"]) == (200, record["title"])
    assert ada_client.patch(written, record).status_code == 200
    assert session.scalar(select(func.count()).select_from(Revision)) == 0


def test_other_links_than_the_records_are_refused(ada_client: ApiClient) -> None:
    record = ada_client.get("packages/1.json").get_json()
    for grids in ([], [*record["grids"], "/api/v4/grids/11/"], ["/api/v4/grids/9.json"]):
        response = ada_client.put("packages/1/", record | {"grids": grids})
        assert (response.status_code, list(response.get_json())) == (400, ["grids"])
    relative = record | {"grids": [10], "category": "/api/v4/categories/apps.json"}
    assert ada_client.put("packages/1/", relative).status_code == 200


def test_other_features_than_those_of_the_grid_are_refused(ada_client: ApiClient) -> None:
    grid = ada_client.get("grids/10/?expand=features").get_json()
    [feature, *others] = grid["features"]
    [cell, *cells] = feature["cells"]
    for changed in (
        others,
        [feature | {"title": "Other"}, *others],
        [feature | {"cells": [cell | {"text": "other"}, *cells]}, *others],
        [feature | {"cells": [cell | {"package": "/api/v4/packages/999/"}, *cells]}, *others],
        "feature",
        None,
    ):
        response = ada_client.put("grids/10/", grid | {"features": changed})
        assert (response.status_code, list(response.get_json())) == (400, ["features"])


def test_put_requires_every_field(ada_client: ApiClient) -> None:
    messages = ["This field is required. PUT replaces the entire record; use PATCH to change some fields."]
    response = ada_client.put("packages/1/", {"title": "x", "slug": "one", "category": "apps"})
    assert (response.status_code, response.get_json()) == (
        400,
        {"repo_url": messages, "pypi_url": messages, "documentation_url": messages},
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
def test_an_invalid_value_is_reported_for_its_field(
    ada_client: ApiClient, session: Session, body: dict[str, Any], field: str
) -> None:
    response = ada_client.patch("packages/1/", body)
    assert (response.status_code, list(response.get_json())) == (400, [field])
    assert all(message.endswith(".") for message in response.get_json()[field])
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
def test_an_invalid_body_is_rejected(ada_client: ApiClient, options: dict[str, Any], status: int) -> None:
    response = ada_client.request("PATCH", "packages/1/", **options)
    assert (response.status_code, list(response.get_json())) == (status, ["detail"])


def test_the_body_can_be_form_data(ada_client: ApiClient) -> None:
    response = ada_client.request("PATCH", "packages/1/", data={"title": "From a form"})
    assert response.get_json()["title"] == "From a form"


def test_a_duplicate_repository_or_slug_is_a_conflict(ada_client: ApiClient) -> None:
    for project in ("", "django-one", "https://pypi.org/project/Django_One/"):
        same = NEW_PACKAGE | {"repo_url": "http://www.github.com/us/one.git", "pypi_url": project}
        response = ada_client.post("packages/", same)
        assert response.status_code == 409
        assert all("already listed" in messages[0] for messages in response.get_json().values())
    assert ada_client.patch("packages/2/", {"slug": "django-one"}).status_code == 409
    assert ada_client.post("grids/", {"title": "Again", "slug": "caching"}).status_code == 409
    both = ada_client.post("packages/", {"title": "", "category": "apps", "repo_url": "https://github.com/us/one"})
    assert (both.status_code, sorted(both.get_json())) == (400, ["repo_url", "title"])


def test_a_repository_can_have_several_packages_with_different_projects(ada_client: ApiClient) -> None:
    core = NEW_PACKAGE | {"repo_url": "https://github.com/us/one/tree/main/packages/core", "pypi_url": "one-core"}
    response = ada_client.post("packages/", core)
    assert response.status_code == 201
    assert response.get_json()["repo_url"] == "https://github.com/us/one"
    assert response.get_json()["pypi_url"] == "https://pypi.org/project/one-core/"
    created = f"packages/{response.get_json()['id']}/"
    for pypi_url in ("", "django-one"):
        refused = ada_client.patch(created, {"pypi_url": pypi_url})
        assert (refused.status_code, list(refused.get_json())) == (400 if not pypi_url else 409, ["pypi_url"])
    assert ada_client.patch(created, {"pypi_url": "one-core-2"}).status_code == 200


def test_unknown_and_hidden_records_are_not_found(ada_client: ApiClient, session: Session) -> None:
    session.get_one(Package, 2).hidden_at = utc_now()
    session.commit()
    for path in ("packages/9/", "packages/2/", "packages/no-such/", "grids/11/", "grids/10/features/21/"):
        response = ada_client.patch(path, {"title": "x"})
        assert (response.status_code, list(response.get_json())) == (404, ["detail"])


def test_an_old_slug_redirects_and_keeps_the_method(ada_client: ApiClient) -> None:
    ada_client.patch("packages/1/", {"slug": "one"})
    moved = ada_client.patch("packages/django-one/?dry_run=1", {"title": "x"})
    assert (moved.status_code, moved.headers["Location"]) == (308, "/api/v4/packages/one/?dry_run=1")
    ada_client.patch("grids/10/", {"slug": "caches"})
    moved = ada_client.get("grids/caching/features/20/")
    assert (moved.status_code, moved.headers["Location"]) == (301, "/api/v4/grids/caches/features/20/")


def test_users_can_edit_and_read_only_tokens_cannot(app: Flask, ada_client: ApiClient, session: Session) -> None:
    reader = ApiClient(app, session, make_user(session, "bo"), scope="read")
    assert reader.get("packages/1/").headers["Allow"] == "GET, HEAD, OPTIONS"
    denied = reader.patch("packages/1/", {"title": "x"})
    assert (denied.status_code, denied.get_json()) == (403, {"detail": "This token is read-only."})
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


def test_moderators_can_lock_and_delete_grids(
    ada_client: ApiClient, moderator_client: ApiClient, session: Session
) -> None:
    assert moderator_client.get("grids/10/").headers["Allow"] == "GET, PUT, PATCH, DELETE, HEAD, OPTIONS"
    assert moderator_client.patch("grids/10/", {"is_locked": True, "header": True}).get_json()["is_locked"] is True
    assert ada_client.get("grids/10/").headers["Allow"] == "GET, HEAD, OPTIONS"
    for method, path, body in (
        ("PATCH", "grids/10/", {"title": "x"}),
        ("POST", "grids/10/features/", {"title": "x"}),
        ("PATCH", "grids/10/features/20/", {"title": "x"}),
        ("PATCH", "grids/10/features/20/cells/1/", {"text": "x"}),
        ("POST", "grids/10/packages/", {"package": "other"}),
        ("DELETE", "grids/10/packages/1/", None),
    ):
        response = ada_client.request(method, path, json=body)
        assert (response.status_code, "locked" in response.get_json()["detail"]) == (403, True)
    assert moderator_client.delete("grids/10/").status_code == 204
    assert session.scalars(select(Grid)).all() == []


@pytest.mark.parametrize("method", UNSAFE_METHODS)
def test_writes_without_credentials_are_rejected(ada_client: ApiClient, app: Flask, method: str) -> None:
    client = app.test_client()
    for path in ("", "packages/", "packages/1/", "grids/", "grids/10/", "categories/", "search/", "packages/99/"):
        response = client.open(f"/api/v4/{path}", method=method, json={"title": "x"})
        assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
        assert response.get_json() == {"detail": f'Method "{method}" not allowed.'}
    response = client.open("/api/v4/grids/10/features/", method="POST", json={"title": "x"})
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Token realm=api")


def test_expired_revoked_and_unknown_tokens_are_rejected(ada_client: ApiClient, session: Session) -> None:
    token = session.scalars(select(ApiToken)).one()
    for change in ({"expires_at": utc_now() - timedelta(seconds=1)}, {"expires_at": None, "revoked_at": utc_now()}):
        for name, value in change.items():
            setattr(token, name, value)
        session.commit()
        for method in ("GET", "PATCH"):
            response = ada_client.request(method, "packages/1/", json={"title": "x"})
            assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Token realm=api")
    response = ada_client.client.patch("/api/v4/packages/1/", headers={"Authorization": "Bearer pkgs_none"})
    assert response.status_code == 401


def test_a_session_must_send_its_csrf_token(app: Flask, session: Session) -> None:
    make_package(session, id=1, repo_url="https://github.com/us/one")
    user = make_user(session)
    session.commit()
    browser = CsrfClient(app, user)
    denied = browser.client.patch("/api/v4/packages/1/", json={"title": "x"})
    assert (denied.status_code, "X-CSRFToken" in denied.get_json()["detail"]) == (403, True)
    headers = {"X-CSRFToken": browser._token}
    assert browser.client.patch("/api/v4/packages/1/", json={"title": "x"}, headers=headers).status_code == 200
    assert CSRF_SEED not in denied.get_data(as_text=True)


def test_the_second_of_two_conflicting_changes_is_rejected(ada_client: ApiClient, moderator_client: ApiClient) -> None:
    for path, first, second in (
        ("packages/1/", {"title": "A"}, {"title": "B"}),
        ("grids/10/", {"description": "A"}, {"description": "B"}),
        ("grids/10/features/20/", {"title": "A"}, {"title": "B"}),
        ("grids/10/features/20/cells/1/", {"text": "A"}, {"text": "B"}),
    ):
        etag = {"If-Match": ada_client.get(path).headers["ETag"]}
        assert moderator_client.get(path).headers["ETag"] == etag["If-Match"]
        saved = ada_client.patch(path, first, headers=etag)
        rejected = moderator_client.patch(path, second, headers=etag)
        assert (saved.status_code, rejected.status_code) == (200, 412)
        assert "Fetch it again" in rejected.get_json()["detail"]
        retried = moderator_client.patch(path, second, headers={"If-Match": saved.headers["ETag"]})
        assert (retried.status_code, *[retried.get_json()[name] for name in second]) == (200, *second.values())
        assert moderator_client.patch(path, first, headers={"If-Match": "*"}).status_code == 200
        weak_etag = {"If-Match": "W/" + retried.headers["ETag"]}
        assert moderator_client.patch(path, first, headers=weak_etag).status_code == 412


def test_a_site_can_require_if_match(make_app: AppFactory, session: Session) -> None:
    app = make_app(API_REQUIRE_IF_MATCH="on")
    make_package(session, id=1, repo_url="https://github.com/us/one")
    ada = ApiClient(app, session, make_user(session))
    rejected = ada.patch("packages/1/", {"title": "x"})
    assert (rejected.status_code, "If-Match" in rejected.get_json()["detail"]) == (428, True)
    etag = ada.get("packages/1/").headers["ETag"]
    assert ada.patch("packages/1/", {"title": "x"}, headers={"If-Match": etag}).status_code == 200


def test_a_dry_run_returns_the_changes_without_saving_them(
    ada_client: ApiClient, moderator_client: ApiClient, session: Session
) -> None:
    response = ada_client.patch("packages/1/?dry_run=1", {"title": "The One", "pypi_url": "the-one"})
    assert (response.status_code, response.get_json()["dry_run"]) == (200, True)
    assert response.get_json()["changes"]["title"] == {"before": "django-one", "after": "The One"}
    assert set(response.get_json()["changes"]) == {"title", "pypi_url"}
    added = ada_client.post("packages/?dry_run=1", NEW_PACKAGE).get_json()["changes"]
    assert added["title"] == {"before": None, "after": "Django Two"}
    deleted = moderator_client.delete("grids/10/?dry_run=1").get_json()["changes"]
    assert deleted["title"] == {"before": "Caching", "after": None}
    assert ada_client.patch("packages/1/?dry_run=1", {"title": ""}).status_code == 400
    assert session.scalar(select(func.count()).select_from(Revision)) == 0
    assert session.scalar(select(func.count()).select_from(Package)) == 2


def test_a_repeated_request_with_an_idempotency_key_takes_effect_once(
    ada_client: ApiClient, moderator_client: ApiClient, session: Session
) -> None:
    key = {"Idempotency-Key": "4f1d"}
    first, repeated = (ada_client.post("packages/", NEW_PACKAGE, headers=key) for _ in range(2))
    assert (first.status_code, repeated.status_code) == (201, 201)
    assert (repeated.get_json(), repeated.headers["Location"]) == (first.get_json(), first.headers["Location"])
    assert "Idempotency-Replayed" not in first.headers
    assert repeated.headers["Idempotency-Replayed"] == "true"
    other = ada_client.post("packages/", NEW_PACKAGE | {"title": "Other"}, headers=key)
    assert (other.status_code, "different request" in other.get_json()["detail"]) == (409, True)
    assert moderator_client.post("grids/", {"title": "Mine"}, headers=key).status_code == 201
    key = {"Idempotency-Key": "a rejected request does not use up its key"}
    assert ada_client.post("grids/", {"title": ""}, headers=key).status_code == 400
    assert ada_client.post("grids/", {"title": "Now"}, headers=key).status_code == 201
    assert ada_client.post("grids/", {"title": "x"}, headers={"Idempotency-Key": "x" * 201}).status_code == 400
    assert session.scalar(select(func.count()).select_from(Package)) == 3


def test_the_first_edits_of_a_new_user_are_queued_for_review(make_app: AppFactory, session: Session) -> None:
    app = make_app(REVIEW_FIRST_EDITS="2")
    make_package(session, id=1, repo_url="https://github.com/us/one")
    ada = ApiClient(app, session, make_user(session))
    response = ada.patch("packages/1/", {"title": "x"})
    assert (response.status_code, "moderator" in response.get_json()["detail"]) == (202, True)
    pending = session.scalars(select(PendingEdit)).one()
    assert (pending.id, pending.action, pending.arguments["changes"]) == (
        response.get_json()["held"],
        "package.edit",
        {"title": "x"},
    )
    assert session.get_one(Package, 1).title == "django-one"


def test_packages_can_be_added_to_a_grid_and_removed(ada_client: ApiClient, session: Session) -> None:
    assert [package["id"] for package in ada_client.get("grids/10/packages/").get_json()["results"]] == [1]
    for reference in ("http://localhost/api/v4/packages/2/", 2, "other", "http://localhost/packages/p/other/"):
        added = ada_client.post("grids/10/packages/", {"package": reference})
        assert (added.status_code, added.get_json()["slug"]) == (201, "other")
        assert added.headers["Location"] == "http://localhost/api/v4/grids/10/packages/2/"
        assert ada_client.post("grids/10/packages/", {"package": reference}).status_code == 200
        assert "DELETE" in ada_client.get("grids/10/packages/2/").headers["Allow"]
        assert ada_client.delete("grids/10/packages/other/").status_code == 204
        assert ada_client.get("grids/10/packages/2/").status_code == 404
    assert ada_client.delete("grids/10/packages/1/").status_code == 403  # added by someone else
    assert "DELETE" not in ada_client.get("grids/10/packages/1/").headers["Allow"]
    for invalid in ("no-such", "", None, 99, "\0"):
        assert ada_client.post("grids/10/packages/", {"package": invalid}).status_code == 400
    unknown = ada_client.post("grids/10/packages/", {"package": "unknown"})
    assert (unknown.status_code, unknown.get_json()) == (400, {"package": ["Package not found."]})
    assert session.scalar(select(func.count()).select_from(GridPackage)) == 1


def test_features_and_cells_can_be_created_changed_and_deleted(ada_client: ApiClient, session: Session) -> None:
    added = ada_client.post("grids/10/features/", {"title": "Has tests", "description": "Many"})
    assert (added.status_code, added.get_json()["position"]) == (201, 1)
    path = f"grids/10/features/{added.get_json()['id']}/"
    assert added.headers["Location"].endswith(f"/api/v4/{path}")
    assert ada_client.patch(path, {"position": 0}).get_json()["position"] == 0
    assert ada_client.get("grids/10/features/20/").get_json()["position"] == 1
    titles = [feature["title"] for feature in ada_client.get("grids/10/features/").get_json()["results"]]
    assert titles == ["Has tests", "Is fast"]
    cell = ada_client.get(f"{path}cells/django-one/")
    assert cell.get_json()["text"] == ""
    filled = ada_client.put(
        f"{path}cells/1/", cell.get_json() | {"text": "yes!"}, headers={"If-Match": cell.headers["ETag"]}
    )
    assert (filled.status_code, filled.get_json()["text"]) == (200, "yes!")
    assert ada_client.get(path).get_json()["cells"][0]["text"] == "yes!"
    assert ada_client.patch(f"{path}cells/2/", {"text": "x"}).status_code == 404
    assert ada_client.patch(f"{path}cells/1/", {"text": "x" * 1001}).status_code == 400
    assert ada_client.delete("grids/10/features/20/").status_code == 403
    assert ada_client.delete(path).status_code == 204
    assert [feature.id for feature in session.scalars(select(Feature))] == [20]
    assert [cell.text for cell in session.scalars(select(Cell))] == ["yes"]


def test_options_describe_the_writable_fields(ada_client: ApiClient, app: Flask) -> None:
    actions = ada_client.request("OPTIONS", "packages/1/").get_json()["actions"]
    assert list(actions) == ["PUT", "PATCH"]
    assert actions["PATCH"]["title"] == {
        "type": "string",
        "required": True,
        "read_only": False,
        "label": "Title",
        "max_length": 100,
        "help_text": "Title",
    }
    assert "actions" not in app.test_client().options("/api/v4/packages/1/").get_json()


def test_an_unchanged_imported_value_is_accepted_even_if_it_is_invalid(ada_client: ApiClient, session: Session) -> None:
    session.get_one(Package, 1).title = ""  # a title is required
    session.commit()
    response = ada_client.patch("packages/1/", {"title": "", "documentation_url": "https://docs.example.org/"})
    assert response.status_code == 200, response.get_json()
    assert response.get_json()["documentation_url"] == "https://docs.example.org/"
    rejected = ada_client.patch("packages/1/", {"title": "x" * 101})
    assert (rejected.status_code, list(rejected.get_json())) == (400, ["title"])
