"""Histories as people read them, and the ways back through pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from tests.views.conftest import link_targets, visible_text

ATOM = "{http://www.w3.org/2005/Atom}"
MALICIOUS_TEXT = """<script>alert('x')</script> & "quoted" {{ 7*7 }}"""


class HistoryScenario:
    """A grid with two packages, three people, and a clock that goes on with each act."""

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
        return self.session.scalar(select(func.max(func.coalesce(Revision.head_id, Revision.id)))) or 0

    def count_revisions(self) -> int:
        return self.session.scalar(select(func.count()).select_from(Revision)) or 0


@pytest.fixture
def scenario(session: Session) -> HistoryScenario:
    return HistoryScenario(session)


Get = Callable[[str], str]


def entry_texts(html: str) -> list[str]:
    """Return the words of each act on a page."""
    return [visible_text(part) for part in html.split('<li class="act"')[1:]]


def test_a_packages_history_tells_each_field_before_and_after(scenario: HistoryScenario, fetch_page: Get) -> None:
    tools = 2
    scenario.edit_package(
        scenario.ada, title="Package I", category_id=tools, deprecated_at=NOW, replaced_by_id=scenario.two.id,
        documentation_url="https://docs.example.org/",
    )  # fmt: skip
    html = fetch_page("/packages/one/history/")
    words = visible_text(html)
    assert "ada , change 1" in words
    assert "Package Package I changed" in words
    assert "title Package One I" in words
    assert "Package <del>One</del><ins>I</ins>" in html
    assert "category App → Tool" in words
    assert "deprecated since 1 Mar 2026" in words
    assert "replaced by Package Two" in words
    assert "documentation https://docs.example.org/" in words
    assert '<a href="/profiles/ada/">ada</a>' in html
    assert "Undo" not in words


def test_objects_are_named_by_what_they_belong_to_also_when_gone(scenario: HistoryScenario, fetch_page: Get) -> None:
    feature = scenario.add_feature(scenario.ada)
    cell = scenario.fill_cell(scenario.bob, feature, "yes, since 2.0")
    with scenario.changeset(scenario.mod, "not a feature") as changeset:
        changeset.delete(feature)
    words = entry_texts(fetch_page("/grids/caching/history/"))
    assert len(words) == 3
    assert "not a feature" in words[0]
    assert "Feature “ Is fast ” in grid Caching removed" in words[0]
    assert "Cell of Package One for “ Is fast ” in grid Caching removed" in words[0]
    assert "text yes, since 2.0" in words[0]
    assert "Cell of Package One for “ Is fast ” in grid Caching added" in words[1]
    assert "Feature “ Is fast ” in grid Caching added history title Is fast" in words[2]
    for path in (f"/history/feature/{feature.id}/", f"/history/cell/{cell.id}/"):
        assert "removed" in visible_text(fetch_page(path).partition("<main")[2].partition("</header>")[0])
    with scenario.changeset(scenario.mod) as changeset:
        changeset.delete(scenario.session.get_one(Grid, scenario.grid.id))
    gone = fetch_page(f"/history/grid/{scenario.grid.id}/")
    assert "Grid “ Caching ” removed" in visible_text(gone)
    assert "Package Package One in grid “ Caching ” removed" in entry_texts(gone)[0]


def test_the_history_of_each_kind_is_there_before_anything_changed(scenario: HistoryScenario, fetch_page: Get) -> None:
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
def test_there_is_no_history_of_what_never_was(scenario: HistoryScenario, client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_an_old_slug_leads_to_the_history(scenario: HistoryScenario, client: FlaskClient) -> None:
    scenario.edit_package(scenario.ada, slug="renamed")
    moved = client.get("/packages/one/history/?before=3")
    assert (moved.status_code, moved.headers["Location"]) == (301, "/packages/renamed/history/?before=3")


def test_strangers_text_is_text(scenario: HistoryScenario, fetch_page: Get) -> None:
    feature = scenario.add_feature(scenario.ada, MALICIOUS_TEXT)
    with scenario.changeset(scenario.ada, reason=MALICIOUS_TEXT) as changeset:
        changeset.edit(feature, {"title": f"{MALICIOUS_TEXT} again", "description": MALICIOUS_TEXT + "‮"})
    for path in ("/grids/caching/history/", "/changes/", f"/changes/{scenario.last()}/", "/changes/feed/"):
        html = fetch_page(path)
        assert "<script>alert" not in html, path
        assert "{{ 7*7 }}" in html, path


def test_somebody_who_has_left_is_not_named(scenario: HistoryScenario, fetch_page: Get) -> None:
    scenario.edit_package(scenario.ada, title="Else")
    scenario.session.delete(scenario.session.get_one(User, scenario.ada.id))
    scenario.session.commit()
    words = visible_text(fetch_page("/changes/"))
    assert "deleted user" in words
    assert "ada" not in words.split()


def test_a_hidden_packages_history_is_for_moderators(
    scenario: HistoryScenario, app: Flask, client: FlaskClient
) -> None:
    scenario.edit_package(scenario.ada, title="Secret words")
    secret = scenario.last()
    with scenario.changeset(scenario.mod) as changeset:
        changeset.edit(scenario.two, {"title": "Two again", "replaced_by_id": scenario.one.id})
    with scenario.changeset(scenario.mod) as changeset:
        changeset.edit(scenario.one, {"hidden_at": NOW})
    for path in ("/packages/one/history/", "/history/package/1/", f"/changes/{secret}/"):
        assert client.get(path).status_code == 404, path
        assert CsrfClient(app, scenario.ada).get(path).status_code == 404, path
        assert "Secret words" in CsrfClient(app, scenario.mod).get(path).text, path
    assert CsrfClient(app, scenario.ada).post(f"/changes/{secret}/undo/").status_code == 404
    for path in ("/changes/", "/changes/?kind=package", "/changes/feed/", "/packages/two/history/"):
        text = client.get(path).text
        assert "Secret words" not in text, path
        assert "a hidden package" in text, path
    assert "Secret words" in CsrfClient(app, scenario.mod).get("/changes/").text
    assert "Secret words" not in CsrfClient(app, scenario.mod).get("/changes/feed/").text, (
        "the feed is the same for all"
    )


def test_a_site_that_nobody_approved_is_not_advertised_by_its_history(scenario: HistoryScenario, app: Flask) -> None:
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
    scenario: HistoryScenario, fetch_page: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pkgsite.views.history.utc_now", lambda: NOW + timedelta(days=10))
    scenario.edit_package(scenario.ada, title="Old news")
    scenario.count += 9 * 24 * 60
    feature = scenario.add_feature(scenario.bob)
    scenario.edit_package(scenario.mod, title="By a moderator")
    with scenario.changeset(scenario.mod) as changeset:
        changeset.delete(feature)
    heads = {
        "": 4, "?kind=package": 2, "?kind=feature": 2, "?kind=cell": 0, "?by=ADA": 1, "?by=mod&kind=feature": 1,
        "?days=0": 0, "?days=1": 3, "?not_moderators=1": 2, "?by=nobody": 0, "?before=2": 1,
        "?kind=x": 4, "?days=x": 4, "?before=x": 4, "?before=" + "9" * 40: 4, "?days=9999999999": 4,
    }  # fmt: skip
    assert {query: len(entry_texts(fetch_page("/changes/" + query))) for query in heads} == heads
    assert "There is no user named “nobody”" in fetch_page("/changes/?by=nobody")
    assert "Ignored unknown type “x”" in fetch_page("/changes/?kind=x")


def test_a_filter_finds_acts_by_their_parts(scenario: HistoryScenario, fetch_page: Get) -> None:
    feature = scenario.add_feature(scenario.ada)
    scenario.fill_cell(scenario.ada, feature, "yes")
    with scenario.changeset(scenario.mod) as changeset:
        changeset.delete(feature)
    assert len(entry_texts(fetch_page("/changes/?kind=cell"))) == 2


@pytest.mark.long
def test_long_histories_come_in_stretches(scenario: HistoryScenario, fetch_page: Get) -> None:
    for number in range(120):
        scenario.edit_package(scenario.ada, title=f"Title {number}")
    for path in ("/changes/", "/packages/one/history/"):
        seen: list[str] = []
        address = path
        while True:
            html = fetch_page(address)
            seen += [entry.split("change ")[1].split(" ")[0] for entry in entry_texts(html)]
            older = [link for link in link_targets(html) if "before=" in link and not link.endswith("before=")]
            if not older:
                break
            address = older[-1]
        assert [number.rstrip(",") for number in seen] == [str(number) for number in range(120, 0, -1)], path


def test_a_large_act_is_told_in_part_in_lists_and_whole_on_its_page(scenario: HistoryScenario, fetch_page: Get) -> None:
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


@pytest.mark.parametrize("acts", [2, 50])
def test_pages_cost_the_same_whatever_the_history(scenario: HistoryScenario, app: Flask, acts: int) -> None:
    gone = scenario.add_feature(scenario.ada)
    scenario.fill_cell(scenario.ada, gone, "yes")
    for number in range(acts):
        by = (scenario.ada, scenario.bob)[number % 2]
        scenario.edit_package(by, title=f"T{number}", category_id=2 - number % 2, replaced_by_id=scenario.two.id)
        other = scenario.add_feature(by, f"F{number}")
        scenario.fill_cell(by, other, "no")
    with scenario.changeset(scenario.mod) as changeset:
        changeset.delete(gone)
    mod, client = CsrfClient(app, scenario.mod), app.test_client()
    costs = {}
    for who, path in (
        (client, "/changes/"), (client, "/changes/feed/"), (client, "/packages/one/history/"),
        (client, "/grids/caching/history/"), (client, "/changes/2/"), (mod, "/changes/"),
        (mod, "/changes/by/ada/undo/"), (mod, "/history/grid/1/restore/2/"),
    ):  # fmt: skip
        with recorded_queries(app) as statements:
            assert who.get(path).status_code == 200, path
        key = f"{path} by {'a moderator' if who is mod else 'anybody'}"
        costs[key] = len([one for one in statements if not one.startswith(("BEGIN", "UPDATE login"))])
    assert costs == {
        "/changes/ by anybody": 8, "/changes/feed/ by anybody": 8, "/packages/one/history/ by anybody": 15,
        "/grids/caching/history/ by anybody": 13, "/changes/2/ by anybody": 7, "/changes/ by a moderator": 9,
        "/changes/by/ada/undo/ by a moderator": 11, "/history/grid/1/restore/2/ by a moderator": 13,
    }  # fmt: skip


def test_the_feed_is_atom(scenario: HistoryScenario, client: FlaskClient) -> None:
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


def test_who_has_the_feed_is_told_so(scenario: HistoryScenario, client: FlaskClient) -> None:
    for number in range(20):
        scenario.edit_package(scenario.ada, title=f"Title {number}")
    for packing in ("identity", "gzip"):
        headers = {"Accept-Encoding": packing}
        first = client.get("/changes/feed/", headers=headers)
        tag, since = first.headers["ETag"], first.headers["Last-Modified"]
        assert client.get("/changes/feed/", headers=headers | {"If-None-Match": tag}).status_code == 304
        assert client.get("/changes/feed/", headers=headers | {"If-Modified-Since": since}).status_code == 304
        scenario.edit_package(scenario.ada, title=f"Newer, {packing}")
        assert client.get("/changes/feed/", headers=headers | {"If-None-Match": tag}).status_code == 200
        assert client.get("/changes/feed/", headers=headers | {"If-Modified-Since": since}).status_code == 200


def test_who_sees_an_undo_button(scenario: HistoryScenario, app: Flask) -> None:
    number = scenario.edit_package(scenario.ada, title="Else")
    action = f'action="/changes/{number}/undo/"'
    for path in ("/changes/", "/packages/one/history/", f"/changes/{number}/"):
        assert action in CsrfClient(app, scenario.ada).get(path).text, path
        assert action in CsrfClient(app, scenario.mod).get(path).text, path
        assert action not in CsrfClient(app, scenario.bob).get(path).text, path
        assert action not in app.test_client().get(path).text, path


def test_an_edit_is_undone_with_one_click(scenario: HistoryScenario, app: Flask) -> None:
    for who in (scenario.ada, scenario.mod):
        number = scenario.edit_package(scenario.ada, title="Else")
        response = CsrfClient(app, who).post(f"/changes/{number}/undo/", {"reason": "a slip"})
        assert response.status_code == 303
        assert response.headers["Location"] == f"/changes/{scenario.last()}/"
        scenario.session.expire_all()
        assert scenario.session.get_one(Package, scenario.one.id).title == "Package One"
        newest = scenario.session.get_one(Revision, scenario.last())
        assert (newest.user_id, newest.reason) == (who.id, f"Reverts change {number}. a slip")


def test_an_undo_is_refused_to_others(scenario: HistoryScenario, app: Flask) -> None:
    number = scenario.edit_package(scenario.ada, title="Else")
    path = f"/changes/{number}/undo/"
    assert app.test_client().post(path).status_code == 403, "no token"
    assert CsrfClient(app, scenario.ada).client.post(path).status_code == 403, "no token"
    assert CsrfClient(app).post(path).status_code == 403, "nobody"
    assert CsrfClient(app, scenario.bob).post(path).status_code == 403, "another's"
    assert CsrfClient(app, scenario.ada).get(path).status_code == 405
    assert CsrfClient(app, scenario.mod).post("/changes/999/undo/").status_code == 404
    assert scenario.count_revisions() == 1


def test_an_undo_that_came_too_late_names_what_is_in_the_way(scenario: HistoryScenario, app: Flask) -> None:
    first = scenario.edit_package(scenario.ada, title="First")
    second = scenario.edit_package(scenario.bob, title="Second")
    visitor = CsrfClient(app, scenario.mod)
    shown = visitor.get(f"/changes/{first}/").text
    assert "Undo this change</button>" not in shown
    assert f'href="/changes/{second}/"' in shown
    refused = visitor.post(f"/changes/{first}/undo/")
    assert refused.status_code == 409
    assert "Nothing has been changed." in refused.text
    assert f'href="/changes/{second}/"' in refused.text
    assert scenario.count_revisions() == 2
    scenario.session.expire_all()
    assert scenario.session.get_one(Package, scenario.one.id).title == "Second"


def test_an_undo_that_needs_what_another_has_now_says_so(scenario: HistoryScenario, app: Flask) -> None:
    number = scenario.edit_package(scenario.ada, slug="moved")
    with scenario.changeset(scenario.bob) as changeset:
        changeset.edit(scenario.two, {"slug": "one"})
    refused = CsrfClient(app, scenario.ada).post(f"/changes/{number}/undo/")
    assert refused.status_code == 409
    assert "another package now uses the slug one" in refused.text


def test_what_only_moderators_do_is_not_undone_by_who_was_one(scenario: HistoryScenario, app: Flask) -> None:
    number = scenario.edit_package(scenario.mod, deprecated_at=NOW)
    with scenario.changeset(scenario.mod) as changeset:
        changeset.edit(scenario.grid, {"is_locked": True})
    lock = scenario.last()
    scenario.session.get_one(User, scenario.mod.id).role = "user"
    scenario.session.commit()
    assert CsrfClient(app, scenario.mod).post(f"/changes/{lock}/undo/").status_code == 403
    assert CsrfClient(app, scenario.mod).post(f"/changes/{number}/undo/").status_code == 303


def test_a_locked_grid_is_not_changed_by_undoing(scenario: HistoryScenario, app: Flask) -> None:
    feature = scenario.add_feature(scenario.ada)
    number = scenario.last()
    with scenario.changeset(scenario.mod) as changeset:
        changeset.edit(scenario.grid, {"is_locked": True})
    assert CsrfClient(app, scenario.ada).post(f"/changes/{number}/undo/").status_code == 403
    assert CsrfClient(app, scenario.mod).post(f"/changes/{number}/undo/").status_code == 303
    scenario.session.expire_all()
    assert scenario.session.scalar(select(Feature.id).where(Feature.id == feature.id)) is None


def test_a_restore_shows_what_it_undoes_and_does_it(scenario: HistoryScenario, app: Flask) -> None:
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
def test_a_restore_of_what_has_changed_since_shows_the_form_anew(
    scenario: HistoryScenario, app: Flask, seen: str
) -> None:
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


def test_who_may_restore(scenario: HistoryScenario, app: Flask) -> None:
    scenario.edit_package(scenario.bob, title="Bob's")
    base = scenario.edit_package(scenario.ada, title="Ada's")
    newest = scenario.edit_package(scenario.ada, title="Ada's again")
    path, early = (
        f"/history/package/{scenario.one.id}/restore/{base}/",
        f"/history/package/{scenario.one.id}/restore/1/",
    )
    with scenario.changeset(scenario.bob) as changeset:
        changeset.edit(scenario.grid, {"title": "Other"})  # nothing to do with it
    ada = CsrfClient(app, scenario.ada)
    assert f'href="{path}"' in ada.get("/packages/one/history/").text
    assert f'href="{early}"' in ada.get("/packages/one/history/").text, "both later edits are her own"
    bob = CsrfClient(app, scenario.bob)
    assert "/restore/" not in bob.get("/packages/one/history/").text
    assert "/restore/" not in app.test_client().get("/packages/one/history/").text
    assert bob.get(path).status_code == 403
    assert bob.post(path, {"seen": newest}).status_code == 403
    assert app.test_client().get(path).status_code == 302
    assert CsrfClient(app).post(path, {"seen": newest}).status_code == 403
    assert ada.client.post(path, data={"seen": newest}).status_code == 403, "no token"
    assert ada.get(f"/history/package/{scenario.two.id}/restore/{base}/").status_code == 404
    assert ada.get(f"/history/package/{scenario.one.id}/restore/99/").status_code == 404
    assert ada.post(path, {"seen": newest}).status_code == 303
    scenario.session.expire_all()
    assert scenario.session.get_one(Package, scenario.one.id).title == "Ada's"


def test_everything_by_a_person_is_undone_at_once(scenario: HistoryScenario, app: Flask) -> None:
    feature = scenario.add_feature(scenario.bob, "Spam")
    scenario.edit_package(scenario.bob, title="Spam")
    with scenario.changeset(scenario.bob) as changeset:
        changeset.edit(scenario.two, {"title": "Spam"})
    kept = scenario.last()
    with scenario.changeset(scenario.ada) as changeset:
        changeset.edit(scenario.two, {"title": "Mended"})
    mod = CsrfClient(app, scenario.mod)
    path = "/changes/by/bob/undo/"
    assert f'href="{path}"' in mod.get("/changes/?by=bob").text
    form = mod.get(path)
    assert "2 changes would be taken back, 1 kept" in visible_text(form.text).replace(" ,", ",")
    assert [f"change {kept}" in entry for entry in entry_texts(form.text)] == [True]
    response = mod.post(path, {"reason": "spam"})
    assert (response.status_code, response.headers["Location"]) == (303, "/changes/?by=bob")
    assert "2 changes undone. 1 kept because" in mod.get("/changes/").text
    scenario.session.expire_all()
    assert scenario.session.scalar(select(Feature.id).where(Feature.id == feature.id)) is None
    assert scenario.session.get_one(Package, scenario.one.id).title == "Package One"
    assert scenario.session.get_one(Package, scenario.two.id).title == "Mended"


def test_everything_of_some_days_is_undone(scenario: HistoryScenario, app: Flask) -> None:
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


def test_only_moderators_undo_a_persons_edits_at_once(scenario: HistoryScenario, app: Flask) -> None:
    scenario.edit_package(scenario.bob, title="Else")
    path = "/changes/by/bob/undo/"
    assert app.test_client().get(path).status_code == 302
    assert CsrfClient(app).post(path).status_code == 403
    for who in (scenario.ada, scenario.bob):
        assert CsrfClient(app, who).get(path).status_code == 403
        assert CsrfClient(app, who).post(path).status_code == 403
    assert CsrfClient(app, scenario.mod).client.post(path).status_code == 403, "no token"
    assert CsrfClient(app, scenario.mod).get("/changes/by/nobody/undo/").status_code == 404
    assert CsrfClient(app, scenario.mod).post("/changes/by/a%00b/undo/").status_code == 404
    assert scenario.count_revisions() == 1
