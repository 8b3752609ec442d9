"""Adding and editing packages: accepted and rejected values, and what is stored."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.errors import Conflict, Forbidden, Invalid, NotFound
from pkgsite.extensions import db, gateways
from pkgsite.models import GridPackage, Package, PackageSlugRedirect, Revision, SourceState, User
from pkgsite.rules.freshness import Priority
from pkgsite.services.changeset import Changeset
from pkgsite.services.packages.edits import AddPackage, EditPackage
from pkgsite.services.packages.fields import PackageChanges, parse_project_name
from tests.factories import NOW, make_category, make_grid, make_package, make_source_state
from tests.users import make_user, viewer_of

HERE = {"title": "One", "category": "apps", "repo_url": "https://github.com/Owner/One"}


@pytest.fixture
def ada(session: Session) -> User:
    make_category(session, "apps")
    user = make_user(session)
    session.commit()
    return user


def begin(session: Session, user: User, **options: Any) -> Changeset:
    by = viewer_of(user)
    session.rollback()
    return Changeset(session, by=by, now=NOW, gateways=gateways(), **options)


def add(session: Session, user: User, grid: str | None = None, **changes: Any) -> Package:
    changeset = begin(session, user)
    try:
        with changeset:
            package = AddPackage(cast(PackageChanges, {**HERE, **changes}), grid).apply(changeset)
    except Exception:
        session.rollback()
        raise
    session.commit()
    return package


def change(session: Session, user: User, package: Package, version: int | None = None, **changes: Any) -> Package:
    package_id = package.id
    changeset = begin(session, user)
    try:
        with changeset:
            changed = EditPackage(package_id, cast(PackageChanges, changes), version).apply(changeset)
    except Exception:
        session.rollback()
        raise
    session.commit()
    return changed


def problems(session: Session, user: User, package: Package | None = None, **changes: Any) -> dict[str, list[str]]:
    with pytest.raises(Invalid) as error:
        change(session, user, package, **changes) if package else add(session, user, **changes)
    return error.value.problems


def test_a_new_package_has_its_creator_and_is_refreshed_first(session: Session, ada: User) -> None:
    package = add(session, ada, title="  Django\x00 One ", pypi_url="pip install Django_One")
    assert (package.title, package.slug, package.pypi_url) == (
        "Django One",
        "django-one",
        "https://pypi.org/project/Django_One/",
    )
    assert (package.repo_url, package.created_by_id) == ("https://github.com/Owner/One", ada.id)
    states = session.scalars(select(SourceState).where(SourceState.package_id == package.id)).all()
    assert {state.source for state in states} == {"repo", "activity", "people", "index", "downloads"}
    assert {(state.next_due_at, state.priority) for state in states} == {(NOW, Priority.USER_REQUEST)}
    [revision] = session.scalars(select(Revision))
    assert (revision.object_type, revision.action, revision.user_id) == ("package", "add", ada.id)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("git@github.com:Owner/One.git", "https://github.com/Owner/One"),
        ("ssh://git@github.com/Owner/One", "https://github.com/Owner/One"),
        ("http://www.github.com/Owner/One/tree/main/docs", "https://github.com/Owner/One"),
        ("https://git.example.org:8443/a/b", "https://git.example.org:8443/a/b"),
        ("gitlab.com/group/sub/One", "https://gitlab.com/group/sub/One"),
    ],
)
def test_repository_urls_are_normalised(session: Session, ada: User, written: str, kept: str) -> None:
    assert add(session, ada, repo_url=written).repo_url == kept


@pytest.mark.parametrize(
    ("written", "directory"),
    [
        ({"repo_url": "https://github.com/Owner/One/tree/main/packages/core"}, "packages/core"),
        (
            {"repo_url": "https://github.com/Owner/One/tree/main/x", "repo_directory": "/packages//core/"},
            "packages/core",
        ),
        ({"repo_directory": "./core"}, "core"),
        ({"repo_url": "https://github.com/Owner/One/tree/main"}, ""),
    ],
)
def test_the_directory_is_kept_beside_the_repository(
    session: Session, ada: User, written: dict[str, Any], directory: str
) -> None:
    package = add(session, ada, **written)
    assert (package.repo_url, package.repo_directory) == ("https://github.com/Owner/One", directory)
    assert change(session, ada, package, repo_url="http://github.com/owner/one").repo_directory == directory
    assert change(session, ada, package, repo_url="https://github.com/owner/one/tree/main/b").repo_directory == "b"
    assert change(session, ada, package, repo_directory=None).repo_directory == ""
    change(session, ada, package, repo_directory="c")
    assert change(session, ada, package, repo_url="https://github.com/owner/two").repo_directory == ""


@pytest.mark.parametrize("directory", ["../x", "https://github.com/a/b", "x" * 201])
def test_invalid_directories_are_rejected(session: Session, ada: User, directory: str) -> None:
    assert list(problems(session, ada, repo_directory=directory)) == ["repo_directory"]


@pytest.mark.parametrize(
    ("projects", "is_allowed"),
    [
        (("one", "two"), True),
        (("One.x", "one-x"), False),
        (("one", ""), False),
        (("", "two"), False),
        (("", ""), False),
    ],
)
def test_packages_in_one_repository_need_different_projects(
    session: Session, ada: User, projects: tuple[str, str], is_allowed: bool
) -> None:
    first = add(session, ada, pypi_url=projects[0])
    other = {"title": "Two", "repo_url": "git@github.com:owner/one.git", "pypi_url": projects[1]}
    if is_allowed:
        second = add(session, ada, **cast("dict[str, Any]", other))
        assert (first.repo_url, second.repo_url) == (HERE["repo_url"], "https://github.com/owner/one")
        assert "need different PyPI projects" in problems(session, ada, second, pypi_url="")["pypi_url"][0]
    else:
        assert "“One” (one)" in str(problems(session, ada, **cast("dict[str, Any]", other)))


@pytest.mark.parametrize(
    "written", ["javascript:alert(1)//a/b", "file:///etc/passwd", "https://github.com/one", "x", "https://[::1/a/b"]
)
def test_urls_that_are_not_repositories_are_rejected(session: Session, ada: User, written: str) -> None:
    assert "repo_url" in problems(session, ada, repo_url=written)


@pytest.mark.parametrize(
    ("present", "pasted"),
    [
        ({"repo_url": "http://www.GitHub.com/owner/ONE.git/"}, {}),
        ({"repo_url": "https://github.com/owner/old", "repo_moved_to": "https://github.com/Owner/One"}, {}),
        ({"pypi_url": "https://pypi.python.org/pypi/Django_One/"}, {"pypi_url": "django.one"}),
        ({"pypi_url": "django--one"}, {"pypi_url": "Django-One"}),
    ],
)
def test_a_listed_package_cannot_be_added_again(
    session: Session, ada: User, present: dict[str, str], pasted: dict[str, str]
) -> None:
    there = make_package(session, "there", title="There", **present)
    if "pypi_url" in present:
        make_source_state(session, there, "index", target="django-one")
    session.commit()
    errors = problems(session, ada, **cast("dict[str, Any]", pasted))
    assert list(errors) == ["pypi_url" if pasted else "repo_url"]
    assert "“There” (there)" in errors["pypi_url" if pasted else "repo_url"][0]


def test_a_hidden_package_can_be_added_again_but_not_a_merged_one(session: Session, ada: User) -> None:
    hidden = make_package(session, "spam", repo_url=HERE["repo_url"], hidden_at=NOW)
    session.commit()
    added = add(session, ada)
    hidden.merged_into_id = added.id
    added.repo_url = "https://github.com/else/where"
    session.commit()
    assert "One" in problems(session, ada, title="Again")["repo_url"][0]
    assert change(session, ada, added, repo_url=HERE["repo_url"]).repo_url == HERE["repo_url"]


@pytest.mark.parametrize(
    ("slug", "words"),
    [
        ("TAKEN", "used by another package"),
        ("old-one", "used by another package"),
        ("a/b", "Use letters"),
        ("<b>", "Use letters"),
        ("..", "Use letters"),
        ("שלום", "Use letters"),
        ("123", "digits only"),
        ("p", "reserved"),
        ("x" * 51, "50 characters or fewer"),
    ],
)
def test_invalid_slugs_are_rejected(session: Session, ada: User, slug: str, words: str) -> None:
    taken = make_package(session, "Taken")
    session.add(PackageSlugRedirect(slug="Old-One", package_id=taken.id, created_at=NOW))
    session.commit()
    assert words in problems(session, ada, slug=slug)["slug"][0]


def test_the_suggested_slug_is_free(session: Session, ada: User) -> None:
    make_package(session, "one")
    session.commit()
    assert add(session, ada).slug == "one-2"
    assert add(session, ada, title="…", repo_url="https://github.com/a/b").slug == "package"
    assert add(session, ada, title="42", repo_url="https://github.com/a/c").slug == "package-42"


def test_all_missing_fields_are_reported_together(session: Session, ada: User) -> None:
    errors = problems(session, ada, title="\u200b", category="none", repo_url="", documentation_url="ftp://x")
    assert set(errors) == {"title", "category", "repo_url", "documentation_url"}


def test_no_package_is_added_to_a_locked_grid(session: Session, ada: User) -> None:
    make_grid(session, "open")
    make_grid(session, "locked", is_locked=True)
    session.commit()
    with pytest.raises(Forbidden):
        add(session, ada, grid="locked")
    with pytest.raises(NotFound):
        add(session, ada, grid="none")
    assert session.scalars(select(Package)).all() == []
    package = add(session, ada, grid="open")
    assert session.scalars(select(GridPackage.package_id)).all() == [package.id]
    assert [one.object_type for one in session.scalars(select(Revision).order_by(Revision.id))] == [
        "package",
        "membership",
    ]


def test_absent_fields_keep_their_value_and_none_clears_them(session: Session, ada: User) -> None:
    package = add(session, ada, documentation_url="docs.example.org/x", pypi_url="one")
    assert package.documentation_url == "https://docs.example.org/x"
    assert change(session, ada, package, title="Two").documentation_url == "https://docs.example.org/x"
    changed = change(session, ada, package, documentation_url=None, pypi_url=None)
    assert (changed.documentation_url, changed.pypi_url, changed.title) == (None, "", "Two")
    assert "repo_url" in problems(session, ada, package, repo_url=None)
    assert set(session.scalars(select(SourceState.source))) == {"repo", "activity", "people"}


def test_a_former_slug_redirects_to_the_package(session: Session, ada: User) -> None:
    package = change(session, ada, add(session, ada), slug="Better")
    assert session.scalars(select(PackageSlugRedirect.slug)).all() == ["one"]
    assert change(session, ada, package, slug="one").slug == "one"
    assert session.scalars(select(PackageSlugRedirect.slug)).all() == ["Better"]


def test_an_edit_of_an_older_version_conflicts(session: Session, ada: User) -> None:
    package = add(session, ada)
    change(session, ada, package, version=1, title="Two")
    with pytest.raises(Conflict):
        change(session, ada, package, version=1, title="Three")
    assert session.get_one(Package, package.id).title == "Two"


def test_a_deprecated_package_keeps_the_date(session: Session, ada: User) -> None:
    package = add(session, ada)
    package.deprecated_at = NOW.replace(year=2020)
    session.commit()
    assert change(session, ada, package, is_deprecated=True).deprecated_at == NOW.replace(year=2020)
    assert change(session, ada, package, is_deprecated=False).deprecated_at is None
    assert change(session, ada, package, is_deprecated=True).deprecated_at == NOW


def test_which_packages_can_replace_a_package(session: Session, ada: User) -> None:
    package = add(session, ada)
    other, third = make_package(session, "Other"), make_package(session, "third")
    make_package(session, "hidden", hidden_at=NOW)
    session.commit()
    other_id, third_id = other.id, third.id
    for typed in ("other", "/packages/p/Other/", "https://site.example/packages/p/Other/?x=1#y"):
        assert change(session, ada, package, replaced_by=typed).replaced_by_id == other_id
        assert change(session, ada, package, replaced_by=None).replaced_by_id is None
    for typed, words in (("one", "can't replace itself"), ("none", "No package"), ("hidden", "No package")):
        assert words in problems(session, ada, package, replaced_by=typed)["replaced_by"][0]
    change(session, ada, package, replaced_by="other")
    change(session, ada, session.get_one(Package, other_id), replaced_by="third")
    assert (
        "already replaced by this package"
        in problems(session, ada, session.get_one(Package, third_id), replaced_by="one")["replaced_by"][0]
    )


def test_a_hidden_package_is_not_found_by_users(session: Session, ada: User) -> None:
    hidden = make_package(session, "hidden", hidden_at=NOW, repo_url="https://github.com/a/b")
    boss = make_user(session, "boss", role="moderator")
    session.commit()
    with pytest.raises(NotFound):
        change(session, ada, hidden, title="Mine")
    assert change(session, boss, hidden, title="Theirs").title == "Theirs"


def test_an_imported_invalid_url_can_stay(session: Session, ada: User) -> None:
    odd = make_package(session, "a#b", repo_url="https://example.org/", documentation_url="docs", pypi_url="not a name")
    session.commit()
    same = {"slug": "a#b", "repo_url": "https://example.org/", "documentation_url": "docs", "pypi_url": "not a name"}
    assert change(session, ada, odd, title="Odd", **cast("dict[str, Any]", same)).title == "Odd"


def test_two_users_add_the_same_package_at_the_same_time(app: Flask, session: Session, ada: User) -> None:
    by = viewer_of(ada)
    session.rollback()
    ready, came = threading.Barrier(2), []

    def work() -> None:
        with app.app_context():
            ready.wait(10)
            changeset = Changeset(db.session(), by=by, now=NOW, gateways=gateways())
            try:
                with changeset:
                    AddPackage(cast(PackageChanges, HERE)).apply(changeset)
                db.session.commit()
                came.append("added")
            except Invalid as refusal:
                db.session.rollback()
                came.append(next(iter(refusal.problems)))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(came) == ["added", "repo_url"]
    assert len(session.scalars(select(Package)).all()) == 1


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("django-q", "django-q"),
        ("pip install Django-Q[sentry]>=1.0", "Django-Q"),
        ("$ python3 -m pip install -U 'django-q==1'", "django-q"),
        ("uv add django-q", "django-q"),
        ("https://pypi.org/project/django-q/#history", "django-q"),
        ("pypi.org/project/django-q", "django-q"),
        ("http://pypi.python.org/pypi/django-q/1.0", "django-q"),
        ("https://github.com/a/b", ""),
        ("<script>", ""),
        ("", ""),
    ],
)
def test_project_names_are_parsed(written: str, name: str) -> None:
    assert parse_project_name(written) == name
