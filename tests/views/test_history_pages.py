"""History pages, the Atom feed, and the forms that undo changes and restore versions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.clock import utc_now
from pkgsite.models import Cell, Feature, Grid, GridPackage, Package, Revision, User, UsingSite
from pkgsite.services.changeset import Changeset
from tests.factories import NOW, add_to_grid, make_category, make_grid, make_package
from tests.queries import recorded_queries
from tests.users import CsrfClient, make_user, viewer_of
from tests.views.conftest import FetchPage, link_targets, visible_text

ATOM = "{http://www.w3.org/2005/Atom}"
MALICIOUS_TEXT = """<script>alert('x')</script> & "quoted" {{ 7*7 }}"""


class HistoryScenario:
    """A grid, two packages and three users. Each changeset is made a minute after the one before."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.ada, self.bob = make_user(session, "ada"), make_user(session, "bob")
        self.mod = make_user(session, "mod", role="moderator")
        make_category(session, "apps", title="App")
        make_category(session, "tools", title="Tool")
        self.one = make_package(session, "one", title="Package One")
        self.two = make_package(session, "two", title="Package Two")
        self.grid = make_grid(session, "caching", (self.one,))
        self.count = 0
        session.commit()

    @contextmanager
    def changeset(self, by: User, reason: str = "") -> Iterator[Changeset]:
        self.count += 1
        viewer = viewer_of(by)
        self.session.rollback()
        with Changeset(self.session, by=viewer, now=NOW + timedelta(minutes=self.count), reason=reason) as changeset:
            yield changeset
        self.session.commit()

    def edit_package(self, by: User, **values: object) -> int:
        with self.changeset(by) as changeset:
            changeset.edit(self.one, values)
        return self.last()

    def add_feature(self, by: User, title: str = "Is fast") -> Feature:
        feature = Feature(grid_id=self.grid.id, title=title, description="", position=0)
        feature.created_at = feature.modified_at = NOW
        with self.changeset(by) as changeset:
            changeset.add(feature)
        return feature

    def fill_cell(self, by: User, feature: Feature, text: str) -> Cell:
        member = self.session.scalars(select(GridPackage).where(GridPackage.grid_id == self.grid.id)).first()
        assert member is not None
        cell = Cell(grid_package_id=member.id, feature_id=feature.id, text=text)
        cell.created_at = cell.modified_at = NOW
        with self.changeset(by) as changeset:
            changeset.add(cell)
        return cell

    def last(self) -> int:
        """Return the id of the newest changeset."""
        return self.session.scalar(select(func.max(func.coalesce(Revision.head_id, Revision.id)))) or 0

    def count_revisions(self) -> int:
        return self.session.scalar(select(func.count()).select_from(Revision)) or 0


@pytest.fixture
def scenario(session: Session) -> HistoryScenario:
    return HistoryScenario(session)


def entry_texts(html: str) -> list[str]:
    """Return the text of each changeset on a page."""
    return [visible_text(part) for part in html.split('<li class="change"')[1:]]


def test_a_packages_history_shows_each_field_before_and_after(scenario: HistoryScenario, fetch_page: FetchPage) -> None:
    tools = 2
    scenario.edit_package(
        scenario.ada, title="Package I", category_id=tools, deprecated_at=NOW, replaced_by_id=scenario.two.id,
        documentation_url="https://docs.example.org/",
    )  # fmt: skip
    html = fetch_page("/packages/one/history/")
    text = visible_text(html)
    assert "ada , change 1" in text
    assert "Package Package I changed" in text
    assert "title Package One I" in text
    assert "Package <del>One</del><ins>I</ins>" in html
    assert "category App → Tool" in text
    assert "deprecated since 1 Mar 2026" in text
    assert "replaced by Package Two" in text
    assert "documentation https://docs.example.org/" in text
    assert '<a href="/profiles/ada/">ada</a>' in html
    assert "Undo" not in text


def test_deleted_objects_are_still_labelled_with_their_parents(
    scenario: HistoryScenario, fetch_page: FetchPage
) -> None:
    feature = scenario.add_feature(scenario.ada)
    cell = scenario.fill_cell(scenario.bob, feature, "yes, since 2.0")
    with scenario.changeset(scenario.mod, "not a feature") as changeset:
        changeset.delete(feature)
    text = entry_texts(fetch_page("/grids/caching/history/"))
    assert len(text) == 3
    assert "not a feature" in text[0]
    assert "Feature “ Is fast ” in grid Caching removed" in text[0]
    assert "Cell of Package One for “ Is fast ” in grid Caching removed" in text[0]
    assert "text yes, since 2.0" in text[0]
    assert "Cell of Package One for “ Is fast ” in grid Caching added" in text[1]
    assert "Feature “ Is fast ” in grid Caching added History title Is fast" in text[2]
    for path in (f"/history/feature/{feature.id}/", f"/history/cell/{cell.id}/"):
        assert "removed" in visible_text(fetch_page(path).partition("<main")[2].partition("</header>")[0])
    with scenario.changeset(scenario.mod) as changeset:
        changeset.delete(scenario.session.get_one(Grid, scenario.grid.id))
    deleted_feature = fetch_page(f"/history/grid/{scenario.grid.id}/")
    assert "Grid “ Caching ” removed" in visible_text(deleted_feature)
    assert "Package Package One in grid “ Caching ” removed" in entry_texts(deleted_feature)[0]


def test_unchanged_objects_of_each_kind_have_an_empty_history(scenario: HistoryScenario, fetch_page: FetchPage) -> None:
    session = scenario.session
    add_to_grid(session, scenario.grid, scenario.two)
    site = UsingSite(
        package_id=scenario.one.id, title="A site", url="https://a.example", created_at=NOW, is_approved=True
    )
    session.add(site)
    session.commit()
    for path in ("/history/membership/1/", f"/history/site/{site.id}/", "/history/package/1/", "/history/grid/1/"):
        assert "No changes yet" in fetch_page(path), path


@pytest.mark.parametrize(
    "path",
    [
        "/packages/nope/history/", "/grids/nope/history/", "/history/package/99/", "/history/user/1/",
        "/history/grid/2147483648/", "/changes/99/", "/changes/99999999999999999999/", "/history/cell/1/",
        "/history/membership/99/", "/history/a%00b/1/", "/changes/by/nobody/",
    ],
)  # fmt: skip
def test_unknown_objects_have_no_history(scenario: HistoryScenario, client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_an_old_slug_redirects_to_the_history(scenario: HistoryScenario, client: FlaskClient) -> None:
    scenario.edit_package(scenario.ada, slug="renamed")
    moved = client.get("/packages/one/history/?before=3")
    assert (moved.status_code, moved.headers["Location"]) == (301, "/packages/renamed/history/?before=3")


def test_user_supplied_text_is_escaped(scenario: HistoryScenario, fetch_page: FetchPage) -> None:
    feature = scenario.add_feature(scenario.ada, MALICIOUS_TEXT)
    with scenario.changeset(scenario.ada, reason=MALICIOUS_TEXT) as changeset:
        changeset.edit(feature, {"title": f"{MALICIOUS_TEXT} again", "description": MALICIOUS_TEXT + "‮"})
    for path in ("/grids/caching/history/", "/changes/", f"/changes/{scenario.last()}/", "/changes/feed/"):
        html = fetch_page(path)
        assert "<script>alert" not in html, path
        assert "{{ 7*7 }}" in html, path


def test_a_deleted_user_is_not_named(scenario: HistoryScenario, fetch_page: FetchPage) -> None:
    scenario.edit_package(scenario.ada, title="Else")
    scenario.session.delete(scenario.session.get_one(User, scenario.ada.id))
    scenario.session.commit()
    text = visible_text(fetch_page("/changes/"))
    assert "deleted user" in text
    assert "ada" not in text.split()


def test_a_hidden_packages_history_is_for_moderators(
    scenario: HistoryScenario, app: Flask, client: FlaskClient
) -> None:
    scenario.edit_package(scenario.ada, title="Secret words")
    change_id = scenario.last()
    with scenario.changeset(scenario.mod) as changeset:
        changeset.edit(scenario.two, {"title": "Two again", "replaced_by_id": scenario.one.id})
    with scenario.changeset(scenario.mod) as changeset:
        changeset.edit(scenario.one, {"hidden_at": NOW})
    for path in ("/packages/one/history/", "/history/package/1/", f"/changes/{change_id}/"):
        assert client.get(path).status_code == 404, path
        assert CsrfClient(app, scenario.ada).get(path).status_code == 404, path
        assert "Secret words" in CsrfClient(app, scenario.mod).get(path).text, path
    assert CsrfClient(app, scenario.ada).post(f"/changes/{change_id}/undo/").status_code == 404
    for path in ("/changes/", "/changes/?kind=package", "/changes/feed/", "/packages/two/history/"):
        text = client.get(path).text
        assert "Secret words" not in text, path
        assert "a hidden package" in text, path
    assert "Secret words" in CsrfClient(app, scenario.mod).get("/changes/").text
    assert "Secret words" not in CsrfClient(app, scenario.mod).get("/changes/feed/").text, (
        "the feed is the same for all users"
    )


def test_the_history_hides_site_links_that_are_not_approved(scenario: HistoryScenario, app: Flask) -> None:
    site = UsingSite(package_id=scenario.one.id, title="Buy now", url="https://spam.example", created_at=NOW)
    with scenario.changeset(scenario.ada) as changeset:
        changeset.add(site)
    for path in ("/changes/", "/packages/one/history/", "/changes/feed/"):
        assert "Buy now" not in app.test_client().get(path).text, path
    assert app.test_client().get(f"/history/site/{site.id}/").status_code == 404
    assert CsrfClient(app, scenario.bob).get("/changes/1/").status_code == 404
    assert "Buy now" in CsrfClient(app, scenario.mod).get("/changes/").text
    with scenario.changeset(scenario.mod) as changeset:
        changeset.edit(site, {"is_approved": True})
    html = app.test_client().get(f"/history/site/{site.id}/").text
    assert "approved pending review → yes" in visible_text(html)


def test_recent_changes_can_be_filtered(
    scenario: HistoryScenario, fetch_page: FetchPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pkgsite.views.history.utc_now", lambda: NOW + timedelta(days=10))
    scenario.edit_package(scenario.ada, title="Old news")
    scenario.count += 9 * 24 * 60
    feature = scenario.add_feature(scenario.bob)
    scenario.edit_package(scenario.mod, title="By a moderator")
    with scenario.changeset(scenario.mod) as changeset:
        changeset.delete(feature)
    counts = {
        "": 4, "?kind=package": 2, "?kind=feature": 2, "?kind=cell": 0, "?by=ADA": 1, "?by=mod&kind=feature": 1,
        "?days=0": 0, "?days=1": 3, "?not_moderators=1": 2, "?by=nobody": 0, "?before=2": 1,
        "?kind=x": 4, "?days=x": 4, "?before=x": 4, "?before=" + "9" * 40: 4, "?days=9999999999": 4,
    }  # fmt: skip
    assert {query: len(entry_texts(fetch_page("/changes/" + query))) for query in counts} == counts
    assert "There is no user named “nobody”" in fetch_page("/changes/?by=nobody")
    assert "Ignored unknown type “x”" in fetch_page("/changes/?kind=x")


def test_the_kind_filter_matches_any_part_of_a_changeset(scenario: HistoryScenario, fetch_page: FetchPage) -> None:
    feature = scenario.add_feature(scenario.ada)
    scenario.fill_cell(scenario.ada, feature, "yes")
    with scenario.changeset(scenario.mod) as changeset:
        changeset.delete(feature)
    assert len(entry_texts(fetch_page("/changes/?kind=cell"))) == 2


@pytest.mark.long
def test_long_histories_are_paginated(scenario: HistoryScenario, fetch_page: FetchPage) -> None:
    for change_id in range(120):
        scenario.edit_package(scenario.ada, title=f"Title {change_id}")
    for path in ("/changes/", "/packages/one/history/"):
        seen: list[str] = []
        page_path = path
        while True:
            html = fetch_page(page_path)
            seen += [entry.split("change ")[1].split(" ")[0] for entry in entry_texts(html)]
            older = [link for link in link_targets(html) if "before=" in link and not link.endswith("before=")]
            if not older:
                break
            page_path = older[-1]
        assert [change_id.rstrip(",") for change_id in seen] == [str(change_id) for change_id in range(120, 0, -1)], (
            path
        )


def test_a_large_change_is_shortened_in_lists_and_complete_on_its_page(
    scenario: HistoryScenario, fetch_page: FetchPage
) -> None:
    features = [Feature(grid_id=scenario.grid.id, title=f"F{n:02}", description="", position=n) for n in range(30)]
    with scenario.changeset(scenario.ada) as changeset:
        for feature in features:
            feature.created_at = feature.modified_at = NOW
            changeset.add(feature)
    html = fetch_page("/changes/")
    assert len(entry_texts(html)) == 1
    assert "… and 10 more." in visible_text(html)
    assert "F29" not in html
    assert "F29" in fetch_page("/changes/1/")


@pytest.mark.parametrize("changes", [2, 50])
def test_query_counts_do_not_depend_on_the_length_of_the_history(
    scenario: HistoryScenario, app: Flask, changes: int
) -> None:
    deleted_feature = scenario.add_feature(scenario.ada)
    scenario.fill_cell(scenario.ada, deleted_feature, "yes")
    for change_id in range(changes):
        by = (scenario.ada, scenario.bob)[change_id % 2]
        scenario.edit_package(by, title=f"T{change_id}", category_id=2 - change_id % 2, replaced_by_id=scenario.two.id)
        other = scenario.add_feature(by, f"F{change_id}")
        scenario.fill_cell(by, other, "no")
    with scenario.changeset(scenario.mod) as changeset:
        changeset.delete(deleted_feature)
    mod, client = CsrfClient(app, scenario.mod), app.test_client()
    query_counts = {}
    for visitor, path in (
        (client, "/changes/"), (client, "/changes/feed/"), (client, "/packages/one/history/"),
        (client, "/grids/caching/history/"), (client, "/changes/2/"), (mod, "/changes/"),
        (mod, "/changes/by/ada/undo/"), (mod, "/history/grid/1/restore/2/"),
    ):  # fmt: skip
        with recorded_queries(app) as statements:
            assert visitor.get(path).status_code == 200, path
        key = f"{path} as moderator" if visitor is mod else path
        query_counts[key] = len([statement for statement in statements if not statement.startswith("UPDATE login")])
    assert query_counts == {
        "/changes/": 8, "/changes/feed/": 8, "/packages/one/history/": 15,
        "/grids/caching/history/": 13, "/changes/2/": 7, "/changes/ as moderator": 9,
        "/changes/by/ada/undo/ as moderator": 11, "/history/grid/1/restore/2/ as moderator": 13,
    }  # fmt: skip


def test_the_feed_is_valid_atom(scenario: HistoryScenario, client: FlaskClient) -> None:
    empty = ElementTree.fromstring(client.get("/changes/feed/").data)
    assert empty.findtext(f"{ATOM}updated") == "1970-01-01T00:00:00+00:00"
    feature = scenario.add_feature(scenario.ada, MALICIOUS_TEXT)
    with scenario.changeset(scenario.bob, reason="a\x0breason") as changeset:
        changeset.edit(feature, {"title": "Better"})
    response = client.get("/changes/feed/?kind=feature")
    assert response.content_type == "application/atom+xml; charset=utf-8"
    assert "Cookie" not in response.headers.get("Vary", "")
    feed = ElementTree.fromstring(response.data)
    assert feed.tag == f"{ATOM}feed"
    assert feed.findtext(f"{ATOM}id") == "http://localhost/changes/feed/?kind=feature"
    entries = feed.findall(f"{ATOM}entry")
    assert [entry.findtext(f"{ATOM}id") for entry in entries] == [
        "http://localhost/changes/2/", "http://localhost/changes/1/",
    ]  # fmt: skip
    assert entries[0].findtext(f"{ATOM}title") == "Feature “Better” in grid “Caching” changed"
    assert entries[0].findtext(f"{ATOM}author/{ATOM}name") == "bob"
    assert f"title: {MALICIOUS_TEXT} → Better" in (entries[0].findtext(f"{ATOM}summary") or "")
    assert entries[0].findtext(f"{ATOM}updated") == "2026-03-01T12:32:15+00:00"
    assert feed.findtext(f"{ATOM}updated") == "2026-03-01T12:32:15+00:00"
    assert len(ElementTree.fromstring(client.get("/changes/feed/?by=ada").data).findall(f"{ATOM}entry")) == 1


def test_the_feed_supports_conditional_requests(scenario: HistoryScenario, client: FlaskClient) -> None:
    for change_id in range(20):
        scenario.edit_package(scenario.ada, title=f"Title {change_id}")
    for encoding in ("identity", "gzip"):
        headers = {"Accept-Encoding": encoding}
        first = client.get("/changes/feed/", headers=headers)
        etag, last_modified = first.headers["ETag"], first.headers["Last-Modified"]
        assert client.get("/changes/feed/", headers=headers | {"If-None-Match": etag}).status_code == 304
        assert client.get("/changes/feed/", headers=headers | {"If-Modified-Since": last_modified}).status_code == 304
        scenario.edit_package(scenario.ada, title=f"Newer, {encoding}")
        assert client.get("/changes/feed/", headers=headers | {"If-None-Match": etag}).status_code == 200
        assert client.get("/changes/feed/", headers=headers | {"If-Modified-Since": last_modified}).status_code == 200


def test_who_sees_an_undo_button(scenario: HistoryScenario, app: Flask) -> None:
    change_id = scenario.edit_package(scenario.ada, title="Else")
    action = f'action="/changes/{change_id}/undo/"'
    for path in ("/changes/", "/packages/one/history/", f"/changes/{change_id}/"):
        assert action in CsrfClient(app, scenario.ada).get(path).text, path
        assert action in CsrfClient(app, scenario.mod).get(path).text, path
        assert action not in CsrfClient(app, scenario.bob).get(path).text, path
        assert action not in app.test_client().get(path).text, path


def test_a_change_can_be_undone(scenario: HistoryScenario, app: Flask) -> None:
    for client in (scenario.ada, scenario.mod):
        change_id = scenario.edit_package(scenario.ada, title="Else")
        response = CsrfClient(app, client).post(f"/changes/{change_id}/undo/", {"reason": "a mistake"})
        assert response.status_code == 303
        assert response.headers["Location"] == f"/changes/{scenario.last()}/"
        scenario.session.expire_all()
        assert scenario.session.get_one(Package, scenario.one.id).title == "Package One"
        newest = scenario.session.get_one(Revision, scenario.last())
        assert (newest.user_id, newest.reason) == (client.id, f"Reverts change {change_id}. a mistake")


def test_others_cannot_undo_a_change(scenario: HistoryScenario, app: Flask) -> None:
    change_id = scenario.edit_package(scenario.ada, title="Else")
    path = f"/changes/{change_id}/undo/"
    assert app.test_client().post(path).status_code == 401, "no token"
    assert CsrfClient(app, scenario.ada).client.post(path).status_code == 403, "no token"
    assert CsrfClient(app).post(path).status_code == 401, "anonymous"
    assert CsrfClient(app, scenario.bob).post(path).status_code == 403, "another user's change"
    assert CsrfClient(app, scenario.ada).get(path).status_code == 405
    assert CsrfClient(app, scenario.mod).post("/changes/999/undo/").status_code == 404
    assert scenario.count_revisions() == 1


def test_a_conflicting_undo_names_the_later_change(scenario: HistoryScenario, app: Flask) -> None:
    first = scenario.edit_package(scenario.ada, title="First")
    second = scenario.edit_package(scenario.bob, title="Second")
    visitor = CsrfClient(app, scenario.mod)
    page = visitor.get(f"/changes/{first}/").text
    assert "Undo this change</button>" not in page
    assert f'href="/changes/{second}/"' in page
    rejected = visitor.post(f"/changes/{first}/undo/")
    assert rejected.status_code == 409
    assert "Nothing has been changed." in rejected.text
    assert f'href="/changes/{second}/"' in rejected.text
    assert scenario.count_revisions() == 2
    scenario.session.expire_all()
    assert scenario.session.get_one(Package, scenario.one.id).title == "Second"


def test_an_undo_fails_if_the_old_slug_is_in_use(scenario: HistoryScenario, app: Flask) -> None:
    change_id = scenario.edit_package(scenario.ada, slug="moved")
    with scenario.changeset(scenario.bob) as changeset:
        changeset.edit(scenario.two, {"slug": "one"})
    rejected = CsrfClient(app, scenario.ada).post(f"/changes/{change_id}/undo/")
    assert rejected.status_code == 409
    assert "Another package now uses the slug one" in rejected.text


def test_a_former_moderator_cannot_undo_a_lock(scenario: HistoryScenario, app: Flask) -> None:
    change_id = scenario.edit_package(scenario.mod, deprecated_at=NOW)
    with scenario.changeset(scenario.mod) as changeset:
        changeset.edit(scenario.grid, {"is_locked": True})
    lock = scenario.last()
    scenario.session.get_one(User, scenario.mod.id).role = "user"
    scenario.session.commit()
    assert CsrfClient(app, scenario.mod).post(f"/changes/{lock}/undo/").status_code == 403
    assert CsrfClient(app, scenario.mod).post(f"/changes/{change_id}/undo/").status_code == 303


def test_only_moderators_can_undo_changes_to_a_locked_grid(scenario: HistoryScenario, app: Flask) -> None:
    feature = scenario.add_feature(scenario.ada)
    change_id = scenario.last()
    with scenario.changeset(scenario.mod) as changeset:
        changeset.edit(scenario.grid, {"is_locked": True})
    assert CsrfClient(app, scenario.ada).post(f"/changes/{change_id}/undo/").status_code == 403
    assert CsrfClient(app, scenario.mod).post(f"/changes/{change_id}/undo/").status_code == 303
    scenario.session.expire_all()
    assert scenario.session.scalar(select(Feature.id).where(Feature.id == feature.id)) is None


def test_a_restore_lists_the_changes_that_it_undoes(scenario: HistoryScenario, app: Flask) -> None:
    feature = scenario.add_feature(scenario.ada)
    cell = scenario.fill_cell(scenario.ada, feature, "yes")
    keep = scenario.last()
    with scenario.changeset(scenario.bob) as changeset:
        changeset.edit(cell, {"text": "no"})
    with scenario.changeset(scenario.bob) as changeset:
        changeset.delete(feature)
    feature_id, cell_id = feature.id, cell.id
    path = f"/history/feature/{feature_id}/restore/{keep}/"
    visitor = CsrfClient(app, scenario.mod)
    assert f'href="{path}"' in visitor.get(f"/history/feature/{feature_id}/").text
    form = visitor.get(path).text
    assert "Restoring will undo 2 later changes" in visible_text(form)
    assert len(entry_texts(form)) == 2
    seen = form.partition('name="seen" value="')[2].partition('"')[0]
    response = visitor.post(path, {"seen": seen, "reason": "as it was"})
    assert (response.status_code, response.headers["Location"]) == (303, f"/history/feature/{feature_id}/")
    scenario.session.expire_all()
    assert scenario.session.get_one(Cell, cell_id).text == "yes"
    again = visitor.get(path)
    assert again.status_code == 200
    assert "Restoring will undo 3 later changes" in visible_text(again.text)


@pytest.mark.parametrize("seen", ["", "x", "1", "9" * 30, "-5"])
def test_a_restore_after_a_newer_change_shows_the_form_again(scenario: HistoryScenario, app: Flask, seen: str) -> None:
    first = scenario.edit_package(scenario.ada, title="First")
    scenario.edit_package(scenario.bob, title="Second")
    path = f"/history/package/{scenario.one.id}/restore/{first}/"
    newest = scenario.edit_package(scenario.bob, title="Third")
    response = CsrfClient(app, scenario.mod).post(path, {"seen": seen, "reason": "my words"})
    assert response.status_code == 409
    assert "Nothing has been restored" in response.text
    assert f'name="seen" value="{newest}"' in response.text
    assert 'value="my words"' in response.text
    assert len(entry_texts(response.text)) == 2
    assert scenario.count_revisions() == 3


def test_who_can_restore(scenario: HistoryScenario, app: Flask) -> None:
    scenario.edit_package(scenario.bob, title="Bob's")
    base = scenario.edit_package(scenario.ada, title="Ada's")
    newest = scenario.edit_package(scenario.ada, title="Ada's again")
    path, early = (
        f"/history/package/{scenario.one.id}/restore/{base}/",
        f"/history/package/{scenario.one.id}/restore/1/",
    )
    with scenario.changeset(scenario.bob) as changeset:
        changeset.edit(scenario.grid, {"title": "Other"})  # unrelated to the package
    ada = CsrfClient(app, scenario.ada)
    assert f'href="{path}"' in ada.get("/packages/one/history/").text
    assert f'href="{early}"' in ada.get("/packages/one/history/").text, "both later edits are her own"
    bob = CsrfClient(app, scenario.bob)
    assert "/restore/" not in bob.get("/packages/one/history/").text
    assert "/restore/" not in app.test_client().get("/packages/one/history/").text
    assert bob.get(path).status_code == 403
    assert bob.post(path, {"seen": newest}).status_code == 403
    assert app.test_client().get(path).status_code == 302
    assert CsrfClient(app).post(path, {"seen": newest}).status_code == 401
    assert ada.client.post(path, data={"seen": newest}).status_code == 403, "no token"
    assert ada.get(f"/history/package/{scenario.two.id}/restore/{base}/").status_code == 404
    assert ada.get(f"/history/package/{scenario.one.id}/restore/99/").status_code == 404
    assert ada.post(path, {"seen": newest}).status_code == 303
    scenario.session.expire_all()
    assert scenario.session.get_one(Package, scenario.one.id).title == "Ada's"


def test_all_changes_of_a_user_are_undone_together(scenario: HistoryScenario, app: Flask) -> None:
    feature = scenario.add_feature(scenario.bob, "Spam")
    scenario.edit_package(scenario.bob, title="Spam")
    with scenario.changeset(scenario.bob) as changeset:
        changeset.edit(scenario.two, {"title": "Spam"})
    conflicting_id = scenario.last()
    with scenario.changeset(scenario.ada) as changeset:
        changeset.edit(scenario.two, {"title": "Fixed"})
    mod = CsrfClient(app, scenario.mod)
    path = "/changes/by/bob/undo/"
    assert f'href="{path}"' in mod.get("/changes/?by=bob").text
    form = mod.get(path)
    assert "2 changes will be undone. 1 can't be undone because" in visible_text(form.text)
    assert [f"change {conflicting_id}" in entry for entry in entry_texts(form.text)] == [True]
    response = mod.post(path, {"reason": "spam"})
    assert (response.status_code, response.headers["Location"]) == (303, "/changes/?by=bob")
    assert "2 changes undone. 1 was not undone" in mod.get("/changes/").text
    scenario.session.expire_all()
    assert scenario.session.scalar(select(Feature.id).where(Feature.id == feature.id)) is None
    assert scenario.session.get_one(Package, scenario.one.id).title == "Package One"
    assert scenario.session.get_one(Package, scenario.two.id).title == "Fixed"


def test_changes_of_the_last_days_are_undone_together(scenario: HistoryScenario, app: Flask) -> None:
    scenario.edit_package(scenario.bob, title="Long ago")
    bob = viewer_of(scenario.bob)
    scenario.session.rollback()
    with Changeset(scenario.session, by=bob, now=utc_now()) as changeset:
        changeset.edit(scenario.two, {"title": "Today"})
    scenario.session.commit()
    mod = CsrfClient(app, scenario.mod)
    assert "1 change will be undone." in visible_text(mod.get("/changes/by/BOB/undo/?days=2").text)
    assert mod.post("/changes/by/bob/undo/", {"days": "2"}).status_code == 303
    assert "1 change undone." in mod.get("/changes/").text
    scenario.session.expire_all()
    assert scenario.session.get_one(Package, scenario.one.id).title == "Long ago"
    assert scenario.session.get_one(Package, scenario.two.id).title == "Package Two"


def test_only_moderators_can_undo_all_changes_of_a_user(scenario: HistoryScenario, app: Flask) -> None:
    scenario.edit_package(scenario.bob, title="Else")
    path = "/changes/by/bob/undo/"
    assert app.test_client().get(path).status_code == 302
    assert CsrfClient(app).post(path).location == f"/account/login/?next={path}"
    for user in (scenario.ada, scenario.bob):
        assert CsrfClient(app, user).get(path).status_code == 403
        assert CsrfClient(app, user).post(path).status_code == 403
    assert CsrfClient(app, scenario.mod).client.post(path).status_code == 403, "no token"
    assert CsrfClient(app, scenario.mod).get("/changes/by/nobody/undo/").status_code == 404
    assert CsrfClient(app, scenario.mod).post("/changes/by/a%00b/undo/").status_code == 404
    assert scenario.count_revisions() == 1
