"""What a person says of themselves, and who took part in what."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from pkgsite.errors import Forbidden, Invalid, NotFound
from pkgsite.models import Favourite, Grid, Identity, User
from pkgsite.services.changeset import Changeset
from pkgsite.services.people.profiles import ProfileLink, own_profile, profile_list, profile_page, update_profile
from pkgsite.services.permissions import ANONYMOUS
from tests.factories import NOW, make_grid, make_package
from tests.users import make_user, viewer_of


def link_account(session: Session, user: User, login: str, provider: str = "github") -> None:
    subject = f"{provider}-{login}"
    session.add(Identity(user_id=user.id, provider=provider, subject=subject, login=login, created_at=NOW))
    session.flush()


def titles(session: Session, user: User, which: str = "contributed") -> list[str]:
    page = profile_list(session, user.username, which, viewer_of(user), page="1")
    return [record.title for record in page.list.records]


def test_contributed_means_ones_own_login_on_that_host(session: Session) -> None:
    ada = make_user(session, "ada")
    link_account(session, ada, "bob_x")
    link_account(session, ada, "Grace Hopper", "gitlab")
    for title, url, people in (
        ("exact", "https://github.com/o/exact", ["x", "bob_x"]),
        ("Case", "https://github.com/o/case", ["Bob_X"]),
        ("longer", "https://github.com/o/longer", ["bob_xy", "abob_x"]),
        ("wildcard", "https://github.com/o/wildcard", ["bobbx"]),
        ("elsewhere", "https://codeberg.org/o/elsewhere", ["bob_x"]),
        ("namesake", "https://gitlab.com/o/namesake", ["Grace Hopper", "bob_x"]),
        ("nobody", "https://github.com/o/nobody", []),
    ):
        make_package(session, title.lower(), title=title, repo_url=url, participants=people)
    make_package(session, "hidden", repo_url="https://github.com/o/h", participants=["bob_x"], hidden_at=NOW)
    assert titles(session, ada) == ["Case", "exact"]
    assert titles(session, make_user(session, "eve")) == []


def test_lists_hold_what_a_person_did(session: Session) -> None:
    ada, bob = make_user(session, "ada"), make_user(session, "bob")
    mine = make_package(session, "mine", created_by_id=ada.id)
    theirs, grid = make_package(session, "theirs", created_by_id=bob.id), make_grid(session, "caching")
    session.add(Favourite(user_id=ada.id, package_id=theirs.id, created_at=NOW))
    viewer, ids = viewer_of(ada), (mine.id, theirs.id, grid.id)
    session.commit()
    with Changeset(session, by=viewer, now=NOW) as changeset:
        changeset.edit(theirs, {"title": "Theirs"})
        changeset.edit(session.get_one(Grid, ids[2]), {"title": "Caches"})
    page = profile_page(session, "ADA", viewer)
    assert (page.username, page.edit_count, page.is_own) == ("ada", 1, True)
    assert [ref.id for ref in page.added.refs] == [ids[0]]
    assert [ref.id for ref in page.edited.refs] == [ids[1]]
    assert [ref.id for ref in page.grids.refs] == [ids[2]]
    assert page.favourites is not None
    assert [ref.id for ref in page.favourites.refs] == [ids[1]]
    assert profile_page(session, "ada", ANONYMOUS).favourites is None
    assert titles(session, ada, "added") == ["mine"]
    assert titles(session, ada, "edited") == ["Theirs"]
    assert titles(session, ada, "favorites") == ["Theirs"]


def test_a_list_on_the_page_is_cut_and_counted(session: Session) -> None:
    ada = make_user(session)
    for number in range(25):
        make_package(session, f"p-{number:02}", created_by_id=ada.id)
    page = profile_page(session, "ada", ANONYMOUS)
    assert (page.added.count, len(page.added.refs)) == (25, 20)
    assert len(profile_list(session, "ada", "added", ANONYMOUS, page="2").list.records) == 5


def test_favourites_are_shared_by_choice(session: Session) -> None:
    ada, mod = make_user(session), viewer_of(make_user(session, "mod", role="moderator"))
    with pytest.raises(Forbidden):
        profile_list(session, "ada", "favorites", mod, page="1")
    update_profile(session, by=viewer_of(ada), shares_favourites=True, links=[])
    assert profile_list(session, "ada", "favorites", ANONYMOUS, page="1").list.records == []
    with pytest.raises(NotFound):
        profile_list(session, "ada", "secrets", ANONYMOUS, page="1")


@pytest.mark.parametrize("name", ["nobody", "closed", ""])
def test_there_is_no_page_of_who_is_not_here(session: Session, name: str) -> None:
    make_user(session, "closed", is_active=False)
    with pytest.raises(NotFound):
        profile_page(session, name, ANONYMOUS)


def test_links_are_kept_in_order_without_empty_ones(session: Session) -> None:
    ada = make_user(session)
    links = [
        ProfileLink(" Blog ", "https://a.example/x "),
        ProfileLink("", " "),
        ProfileLink("Code", "http://b.example"),
    ]
    update_profile(session, by=viewer_of(ada), shares_favourites=True, links=links)
    kept = own_profile(session, viewer_of(ada))
    assert kept.links == [ProfileLink("Blog", "https://a.example/x"), ProfileLink("Code", "http://b.example")]
    assert kept.shares_favourites is True


@pytest.mark.parametrize(
    ("label", "url", "field"),
    [
        ("", "https://a.example", "links-0-label"),
        ("Blog", "", "links-0-url"),
        ("Blog", "javascript:alert(1)", "links-0-url"),
        ("Blog", "//a.example", "links-0-url"),
        ("Blog", "ftp://a.example", "links-0-url"),
        ("Blog", "https://a.example/\u202e", "links-0-url"),
        ("Blog", "https://a.example/" + "x" * 200, "links-0-url"),
        ("x" * 51, "https://a.example", "links-0-label"),
        ("a\x00b", "https://a.example", "links-0-label"),
        ("a\u202eb", "https://a.example", "links-0-label"),
    ],
)
def test_a_bad_link_is_refused_on_its_field(session: Session, label: str, url: str, field: str) -> None:
    ada = make_user(session)
    with pytest.raises(Invalid) as error:
        update_profile(session, by=viewer_of(ada), shares_favourites=False, links=[ProfileLink(label, url)])
    assert list(error.value.problems) == [field]
    assert ada.links == []


def test_ten_links_are_enough(session: Session) -> None:
    ada = make_user(session)
    links = [ProfileLink("Blog", "https://a.example")] * 11
    with pytest.raises(Invalid) as error:
        update_profile(session, by=viewer_of(ada), shares_favourites=False, links=links)
    assert "links" in error.value.problems


def test_only_who_is_logged_in_has_a_profile_to_change(session: Session) -> None:
    with pytest.raises(Forbidden):
        update_profile(session, by=ANONYMOUS, shares_favourites=True, links=[])
