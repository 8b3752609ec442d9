"""User profiles and the form to edit them."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from pkgsite.models import Favourite, Identity, User
from pkgsite.services.changeset import Changeset
from tests.factories import NOW, make_grid, make_package
from tests.queries import recorded_queries
from tests.users import CsrfClient, make_user, viewer_of
from tests.views.conftest import row_titles, visible_text

MALICIOUS_TEXT = """<script>alert('x')</script> & "q" """


def logged_in(session: Session, app: Flask, user: User) -> CsrfClient:
    session.commit()
    return CsrfClient(app, user)


def test_a_profile_shows_the_users_contributions(session: Session, client: FlaskClient) -> None:
    links = [{"label": MALICIOUS_TEXT, "url": "https://a.example/"}, {"label": "bad", "url": "javascript:alert(1)"}]
    ada = make_user(session, "ada", role="moderator", links=links)
    session.add(Identity(user_id=ada.id, provider="gitlab", subject="7", login="ada.l", created_at=NOW))
    package = make_package(session, "one", title=MALICIOUS_TEXT, created_by_id=ada.id)
    session.add(Favourite(user_id=ada.id, package_id=package.id, created_at=NOW))
    session.commit()
    response = client.get("/profiles/ada/")
    content = visible_text(response.text)
    assert response.status_code == 200
    assert "ada moderator" in content
    assert "Member since 1 Mar 2026" in content
    assert '<a href="https://gitlab.com/ada.l" rel="me nofollow noopener">ada.l</a>' in response.text
    assert "<script>alert" not in response.text
    assert "javascript:" not in response.text
    assert 'href="https://a.example/" rel="nofollow noopener ugc"' in response.text
    assert "Favourites" not in content
    assert "example.org" not in content, "email addresses are private"
    assert "Edit profile" not in content
    assert '<link rel="canonical" href="http://localhost/profiles/ada/">' in client.get("/profiles/ADA/").text


@pytest.mark.parametrize("path", ["/profiles/nobody/", "/profiles/closed/", "/profiles/a%00b/", "/profiles/ada/x/",
                                  "/profiles/" + "x" * 5000 + "/", "/profiles/nobody/added/"])  # fmt: skip
def test_unknown_and_disabled_users_have_no_profile(session: Session, client: FlaskClient, path: str) -> None:
    make_user(session, "ada")
    make_user(session, "closed", is_active=False)
    session.commit()
    assert client.get(path).status_code == 404


def test_profile_lists_have_their_own_pages(session: Session, client: FlaskClient) -> None:
    ada = make_user(session)
    for number in range(25):
        make_package(session, f"p-{number:02}", created_by_id=ada.id)
    session.commit()
    assert "All 25" in client.get("/profiles/ada/").text
    assert row_titles(client.get("/profiles/ada/added/").text) == [f"p-{n:02}" for n in range(20)]
    assert row_titles(client.get("/profiles/ada/added/?page=2").text) == [f"p-{n:02}" for n in range(20, 25)]
    for list_name in ("contributed", "edited"):
        assert "No packages yet" in client.get(f"/profiles/ada/{list_name}/").text


def test_favourites_are_private_unless_shared(session: Session, app: Flask) -> None:
    ada, bob = make_user(session, "ada"), make_user(session, "bob", role="staff")
    package = make_package(session, "one", title="Liked one")
    session.add(Favourite(user_id=ada.id, package_id=package.id, created_at=NOW))
    session.commit()
    path = "/profiles/ada/favorites/"
    assert CsrfClient(app, ada).get(path).status_code == 200
    assert "Liked one" in CsrfClient(app, ada).get("/profiles/ada/").text
    assert CsrfClient(app, bob).get(path).status_code == 403
    assert CsrfClient(app).get(path).status_code == 403
    assert "Liked one" not in CsrfClient(app).get("/profiles/ada/").text
    assert CsrfClient(app, ada).post("/profiles/edit/", {"shares_favourites": "y"}).status_code == 303
    assert row_titles(CsrfClient(app).get(path).text) == ["Liked one"]


def test_a_user_edits_their_own_profile(session: Session, app: Flask) -> None:
    ada = logged_in(session, app, make_user(session, "ada"))
    form = ada.get("/profiles/edit/")
    assert form.text.count('name="links-') == 6
    response = ada.post("/profiles/edit/", {"links-0-label": "Blog", "links-0-url": "https://blog.example",
                                            "links-1-label": "", "links-1-url": ""})  # fmt: skip
    assert (response.status_code, response.headers["Location"]) == (303, "/profiles/ada/")
    page = ada.get("/profiles/ada/").text
    assert "Profile saved." in page
    assert 'href="https://blog.example"' in page
    assert "Edit profile" in page
    assert 'value="https://blog.example"' in ada.get("/profiles/edit/").text
    ada.post("/profiles/edit/", {"links-0-label": "", "links-0-url": ""})
    assert "blog.example" not in ada.get("/profiles/ada/").text


def test_an_invalid_form_keeps_the_submitted_values(session: Session, app: Flask) -> None:
    ada = logged_in(session, app, make_user(session, "ada"))
    invalid = {"links-0-label": MALICIOUS_TEXT, "links-0-url": "nonsense"}
    valid = {"links-1-label": "Fine", "links-1-url": "https://fine.example"}
    response = ada.post("/profiles/edit/", {"shares_favourites": "y"} | invalid | valid)
    assert response.status_code == 422
    assert "Nothing has been saved." in response.text
    assert "Enter a URL that starts with https:// or http://." in response.text
    assert 'value="nonsense"' in response.text
    assert 'value="https://fine.example"' in response.text
    assert "<script>alert" not in response.text
    session.expire_all()
    user = session.query(User).one()
    assert (user.links, user.shares_favourites) == ([], False)


@pytest.mark.parametrize(
    "evil", ["\x00", "a\x00b", "\u202e", "x" * 10_000, MALICIOUS_TEXT, "'; DROP TABLE user; --", "\ud7ff"]
)
def test_hostile_text_never_breaks_the_form(session: Session, app: Flask, evil: str) -> None:
    ada = logged_in(session, app, make_user(session, "ada"))
    many = {f"links-{n}-{part}": "https://a.example" for n in range(30) for part in ("label", "url")}
    for data in (
        {"links-0-label": evil, "links-0-url": "https://a.example"},
        {"links-0-label": "Blog", "links-0-url": evil},
        {f"links-{evil}-label": "x"},
        {"shares_favourites": evil},
        many,
    ):
        assert ada.post("/profiles/edit/", data).status_code in {303, 422}
        assert "<script>alert" not in ada.get("/profiles/ada/").text


def test_only_the_user_can_edit_their_profile(session: Session, app: Flask, client: FlaskClient) -> None:
    ada = make_user(session, "ada")
    session.commit()
    assert client.get("/profiles/edit/").headers["Location"] == "/account/login/?next=/profiles/edit/"
    assert CsrfClient(app).post("/profiles/edit/", {"shares_favourites": "y"}).status_code == 401
    assert CsrfClient(app, ada).client.post("/profiles/edit/", data={"shares_favourites": "y"}).status_code == 403


def test_moderators_can_find_and_undo_a_users_changes(session: Session, app: Flask) -> None:
    ada, mod = make_user(session, "ada"), make_user(session, "mod", role="moderator")
    package, viewer = make_package(session, "one"), viewer_of(ada)
    session.commit()
    with Changeset(session, by=viewer, now=NOW) as changeset:
        changeset.edit(package, {"title": "Else"})
    session.commit()
    html = CsrfClient(app, mod).get("/profiles/ada/").text
    assert 'href="/changes/?by=ada"' in html
    assert 'href="/changes/by/ada/undo/"' in html
    assert "/undo/" not in CsrfClient(app, ada).get("/profiles/ada/").text
    assert "1 change" in visible_text(CsrfClient(app).get("/profiles/ada/").text)


@pytest.mark.parametrize("rows", [1, 50])
def test_a_profile_has_a_fixed_number_of_queries(session: Session, app: Flask, rows: int) -> None:
    ada = make_user(session, "ada", shares_favourites=True)
    session.add(Identity(user_id=ada.id, provider="github", subject="1", login="ada", created_at=NOW))
    for number in range(rows):
        package = make_package(session, f"p-{number}", created_by_id=ada.id, participants=["ada"],
                               repo_url=f"https://github.com/o/{number}")  # fmt: skip
        make_grid(session, f"g-{number}", (package,))
        session.add(Favourite(user_id=ada.id, package_id=package.id, created_at=NOW))
    session.commit()
    session.close()
    client, query_counts = app.test_client(), {}
    for path in ("/profiles/ada/", "/profiles/ada/contributed/", "/profiles/ada/added/", "/profiles/ada/edited/",
                 "/profiles/ada/favorites/"):  # fmt: skip
        with recorded_queries(app) as statements:
            assert client.get(path).status_code == 200
        query_counts[path] = len(statements)
    assert query_counts == {
        "/profiles/ada/": 8, "/profiles/ada/contributed/": 6, "/profiles/ada/added/": 5, "/profiles/ada/edited/": 4,
        "/profiles/ada/favorites/": 5,
    }  # fmt: skip
