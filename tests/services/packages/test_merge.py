"""Merging two packages: no content is lost, and the merge can be reverted."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.errors import Forbidden, Invalid, Moved, NotFound
from pkgsite.extensions import gateways
from pkgsite.models import (
    Cell,
    Favourite,
    Flag,
    GridPackage,
    Package,
    PackageSlugRedirect,
    Revision,
    Usage,
    User,
    UsingSite,
)
from pkgsite.services.changeset import Changeset
from pkgsite.services.history.revert import revert
from pkgsite.services.moderation.packages import hide_package, merge_package, unhide_package
from pkgsite.services.packages.merge import plan_merge
from pkgsite.services.packages.records import package_by_slug
from tests.factories import NOW, fill_cell, make_feature, make_grid, make_package, make_source_state
from tests.users import make_user, viewer_of


@dataclass
class MergeScenario:
    moderator: User
    ada: User
    flag_id: int


@pytest.fixture
def scenario(session: Session) -> MergeScenario:
    """Two packages to merge, which share one grid, some users and some favourites; the duplicate is in another grid."""
    moderator = make_user(session, "mod", role="moderator")
    ada, bob = make_user(session), make_user(session, "bob")
    duplicate = make_package(session, "duplicate", repo_url="https://github.com/a/b")
    survivor = make_package(session, "survivor", repo_url="https://github.com/a/c", replaced_by_id=duplicate.id)
    replaced = make_package(session, "replaced", replaced_by_id=duplicate.id)
    alone = make_grid(session, "alone", (duplicate,))
    both = make_grid(session, "both", (survivor, duplicate, replaced))
    fill_cell(session, make_feature(session, alone, "Speed"), duplicate, "fast")
    conflicting, empty, missing, kept = (make_feature(session, both, title) for title in ("A", "B", "C", "D"))
    for feature, package, text in (
        (conflicting, duplicate, "theirs"), (conflicting, survivor, "ours"),
        (empty, duplicate, "filled"), (empty, survivor, ""),
        (missing, duplicate, "new"),
        (kept, survivor, "kept"), (kept, duplicate, ""),
    ):  # fmt: skip
        fill_cell(session, feature, package, text)
    for model in (Usage, Favourite):
        session.add_all(
            model(user_id=user.id, package_id=package.id, created_at=NOW)
            for user, package in ((ada, duplicate), (ada, survivor), (bob, duplicate))
        )
    for package, url in (
        (duplicate, "https://x.example/"),
        (duplicate, "https://y.example"),
        (survivor, "https://X.example"),
    ):
        session.add(UsingSite(package_id=package.id, title=url, url=url, is_approved=True, created_at=NOW))
    session.add(PackageSlugRedirect(slug="older", package_id=duplicate.id, created_at=NOW))
    flag = Flag(package_id=duplicate.id, user_id=ada.id, kind="duplicate", reason="twice", created_at=NOW)
    session.add(flag)
    make_source_state(session, duplicate, "repo", target="a/b")
    session.commit()
    return MergeScenario(moderator, ada, flag.id)


def begin_changeset(session: Session, user: User, reason: str = "The same thing.") -> Changeset:
    by = viewer_of(user)
    session.rollback()
    return Changeset(session, by=by, now=NOW, gateways=gateways(), reason=reason)


def merge(session: Session, scenario: MergeScenario, slug: str = "duplicate", into: str = "survivor") -> None:
    changeset = begin_changeset(session, scenario.moderator)
    with changeset:
        merge_package(changeset, slug=slug, into=into, flag_ids=[scenario.flag_id])
    session.commit()


def cells(session: Session, slug: str) -> dict[str, list[str]]:
    """Return the texts of a package's cells, by grid id."""
    rows = session.execute(
        select(GridPackage.grid_id, Cell.text)
        .join(Cell, Cell.grid_package_id == GridPackage.id)
        .join(Package, Package.id == GridPackage.package_id)
        .where(Package.slug == slug)
        .order_by(Cell.feature_id)
    )
    texts: dict[str, list[str]] = {}
    for grid_id, text in rows:
        texts.setdefault(str(grid_id), []).append(text)
    return texts


def test_the_preview_shows_the_effects_of_the_merge(session: Session, scenario: MergeScenario) -> None:
    plan = plan_merge(session, "duplicate", "/packages/p/survivor/")
    alone, both = plan.grids
    assert (alone.slug, alone.is_moved) == ("alone", True)
    assert (both.is_moved, both.filled_features, both.conflicting_features) == (False, ("B", "C"), ("A",))
    assert (plan.site_count, plan.usage_count, plan.favourite_count) == (1, 1, 1)
    assert [package.slug for package in plan.replaced_packages] == ["replaced"]


def test_a_merge_moves_everything_without_duplicates(session: Session, scenario: MergeScenario) -> None:
    merge(session, scenario)
    duplicate, survivor = (
        session.scalars(select(Package).where(Package.slug == slug)).one() for slug in ("duplicate", "survivor")
    )
    assert duplicate.hidden_at == NOW
    assert duplicate.merged_into_id == survivor.id
    assert list(cells(session, "survivor").values()) == [["fast"], ["ours", "filled", "new", "kept"]]
    assert cells(session, "duplicate") == {}
    for model in (Usage, Favourite):
        assert len(session.scalars(select(model).where(model.package_id == survivor.id)).all()) == 2
    urls = select(UsingSite.url).where(UsingSite.package_id == survivor.id).order_by(UsingSite.url)
    assert {url.lower() for url in session.scalars(urls)} == {"https://x.example", "https://y.example"}
    assert survivor.replaced_by_id is None
    replaced = session.scalars(select(Package).where(Package.slug == "replaced")).one()
    assert replaced.replaced_by_id == survivor.id
    flag = session.get_one(Flag, scenario.flag_id)
    assert (flag.closed_by_id, flag.outcome) == (scenario.moderator.id, "Merged into “survivor”. The same thing.")
    heads = session.scalars(select(Revision).where(Revision.head_id.is_(None))).all()
    assert [head.reason for head in heads] == ["The same thing."]


@pytest.mark.parametrize("slug", ["duplicate", "older"])
def test_slugs_of_the_duplicate_redirect_to_the_survivor(session: Session, scenario: MergeScenario, slug: str) -> None:
    merge(session, scenario)
    with pytest.raises(Moved) as moved:
        package_by_slug(session, slug)
    assert moved.value.slug == "survivor"


def test_slugs_redirect_through_several_merges(session: Session, scenario: MergeScenario) -> None:
    merge(session, scenario)
    merge(session, scenario, "survivor", "replaced")
    with pytest.raises(Moved) as moved:
        package_by_slug(session, "older")
    assert moved.value.slug == "replaced"
    changeset = begin_changeset(session, scenario.moderator)
    with changeset:
        hide_package(changeset, slug="replaced")
    session.commit()
    with pytest.raises(NotFound):
        package_by_slug(session, "duplicate")


def test_a_merge_can_be_reverted_in_one_step(session: Session, scenario: MergeScenario) -> None:
    before = [cells(session, slug) for slug in ("duplicate", "survivor")]
    rows = session.execute(select(Cell.id, Cell.text).order_by(Cell.id)).all()
    merge(session, scenario)
    head_id = session.scalars(select(Revision.id).where(Revision.head_id.is_(None))).one()
    changeset = begin_changeset(session, scenario.moderator, "")
    with changeset:
        revert(changeset, head_id)
    session.commit()
    assert [cells(session, slug) for slug in ("duplicate", "survivor")] == before
    assert session.execute(select(Cell.id, Cell.text).order_by(Cell.id)).all() == rows
    assert package_by_slug(session, "duplicate").slug == "duplicate"


def test_an_invalid_merge_changes_nothing(session: Session, scenario: MergeScenario) -> None:
    for into in ("", "none", "duplicate", "\x00"):
        with pytest.raises(Invalid) as error:
            merge(session, scenario, into=into)
        assert list(error.value.problems) == ["into"]
    with pytest.raises(NotFound):
        merge(session, scenario, "none", "survivor")
    changeset = begin_changeset(session, scenario.ada)
    with pytest.raises(Forbidden), changeset:
        merge_package(changeset, slug="duplicate", into="survivor")
    changeset = begin_changeset(session, scenario.moderator, " ")
    with pytest.raises(Invalid), changeset:
        merge_package(changeset, slug="duplicate", into="survivor")
    session.rollback()
    assert session.scalars(select(Revision)).all() == []


def test_a_merged_package_can_be_shown_again(session: Session, scenario: MergeScenario) -> None:
    merge(session, scenario)
    changeset = begin_changeset(session, scenario.moderator)
    with changeset:
        package = unhide_package(changeset, slug="duplicate")
    session.commit()
    assert (package.hidden_at, package.merged_into_id) == (None, None)
    assert package_by_slug(session, "duplicate").slug == "duplicate"


@pytest.mark.parametrize(("project", "is_shown"), [("two", True), ("one", False), ("", False)])
def test_packages_of_one_repository_can_be_shown_if_their_projects_differ(
    session: Session, scenario: MergeScenario, project: str, is_shown: bool
) -> None:
    make_package(session, "first", repo_url="https://github.com/acme/mono", pypi_url="https://pypi.org/project/One/")
    make_package(session, "hidden", repo_url="https://github.com/acme/mono", pypi_url=project, hidden_at=NOW)
    session.commit()
    changeset = begin_changeset(session, scenario.moderator)
    if is_shown:
        with changeset:
            assert unhide_package(changeset, slug="hidden").hidden_at is None
    else:
        with pytest.raises(Invalid, match="first"), changeset:
            unhide_package(changeset, slug="hidden")


def test_a_package_cannot_be_unhidden_if_another_has_its_repository(session: Session, scenario: MergeScenario) -> None:
    make_package(session, "hidden", hidden_at=NOW, repo_url="http://github.com/A/C/")
    session.commit()
    changeset = begin_changeset(session, scenario.moderator)
    with pytest.raises(Invalid) as error, changeset:
        unhide_package(changeset, slug="hidden")
    assert "“survivor”" in error.value.problems["reason"][0]
