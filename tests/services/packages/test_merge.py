"""Merging two packages: nothing that anybody wrote or said is lost, and all of it can be taken back."""

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
    boss: User
    ada: User
    flag_id: int


@pytest.fixture
def scenario(session: Session) -> MergeScenario:
    """Two records of one package, alone and together in grids, with people who use and like one or both."""
    boss, ada, bob = make_user(session, "boss", role="moderator"), make_user(session), make_user(session, "bob")
    loser = make_package(session, "loser", repo_url="https://github.com/a/b")
    survivor = make_package(session, "survivor", repo_url="https://github.com/a/c", replaced_by_id=loser.id)
    follower = make_package(session, "follower", replaced_by_id=loser.id)
    alone = make_grid(session, "alone", (loser,))
    both = make_grid(session, "both", (survivor, loser, follower))
    fill_cell(session, make_feature(session, alone, "Speed"), loser, "fast")
    said, empty, missing, ours = (make_feature(session, both, title) for title in ("A", "B", "C", "D"))
    for feature, package, text in (
        (said, loser, "theirs"), (said, survivor, "ours"), (empty, loser, "filled"), (empty, survivor, ""),
        (missing, loser, "new"), (ours, survivor, "kept"), (ours, loser, ""),
    ):  # fmt: skip
        fill_cell(session, feature, package, text)
    for model in (Usage, Favourite):
        session.add_all(
            model(user_id=user.id, package_id=package.id, created_at=NOW)
            for user, package in ((ada, loser), (ada, survivor), (bob, loser))
        )
    for package, url in ((loser, "https://x.example/"), (loser, "https://y.example"), (survivor, "https://X.example")):
        session.add(UsingSite(package_id=package.id, title=url, url=url, is_approved=True, created_at=NOW))
    session.add(PackageSlugRedirect(slug="older", package_id=loser.id, created_at=NOW))
    flag = Flag(package_id=loser.id, user_id=ada.id, kind="duplicate", reason="twice", created_at=NOW)
    session.add(flag)
    make_source_state(session, loser, "repo", target="a/b")
    session.commit()
    return MergeScenario(boss, ada, flag.id)


def begin(session: Session, user: User, reason: str = "The same thing.") -> Changeset:
    by = viewer_of(user)
    session.rollback()
    return Changeset(session, by=by, now=NOW, gateways=gateways(), reason=reason)


def merge(session: Session, scenario: MergeScenario, slug: str = "loser", into: str = "survivor") -> None:
    changeset = begin(session, scenario.boss)
    with changeset:
        merge_package(changeset, slug=slug, into=into, flag_ids=[scenario.flag_id])
    session.commit()


def cells(session: Session, slug: str) -> dict[str, list[str]]:
    """Return what a package's cells say, by the id of the grid."""
    rows = session.execute(
        select(GridPackage.grid_id, Cell.text)
        .join(Cell, Cell.grid_package_id == GridPackage.id)
        .join(Package, Package.id == GridPackage.package_id)
        .where(Package.slug == slug)
        .order_by(Cell.feature_id)
    )
    found: dict[str, list[str]] = {}
    for grid_id, text in rows:
        found.setdefault(str(grid_id), []).append(text)
    return found


def test_the_preview_says_what_the_merge_does(session: Session, scenario: MergeScenario) -> None:
    plan = plan_merge(session, "loser", "/packages/p/survivor/")
    alone, both = plan.grids
    assert (alone.slug, alone.is_moved) == ("alone", True)
    assert (both.is_moved, both.filled_features, both.conflicting_features) == (False, ("B", "C"), ("A",))
    assert (plan.site_count, plan.usage_count, plan.favourite_count) == (1, 1, 1)
    assert [other.slug for other in plan.replaced_packages] == ["follower"]


def test_everything_moves_and_nothing_twice(session: Session, scenario: MergeScenario) -> None:
    merge(session, scenario)
    loser, survivor = (
        session.scalars(select(Package).where(Package.slug == slug)).one() for slug in ("loser", "survivor")
    )
    assert loser.hidden_at == NOW
    assert loser.merged_into_id == survivor.id
    assert list(cells(session, "survivor").values()) == [["fast"], ["ours", "filled", "new", "kept"]]
    assert cells(session, "loser") == {}
    for model in (Usage, Favourite):
        assert len(session.scalars(select(model).where(model.package_id == survivor.id)).all()) == 2
    urls = select(UsingSite.url).where(UsingSite.package_id == survivor.id).order_by(UsingSite.url)
    assert {url.lower() for url in session.scalars(urls)} == {"https://x.example", "https://y.example"}
    assert survivor.replaced_by_id is None
    follower = session.scalars(select(Package).where(Package.slug == "follower")).one()
    assert follower.replaced_by_id == survivor.id
    flag = session.get_one(Flag, scenario.flag_id)
    assert (flag.closed_by_id, flag.outcome) == (scenario.boss.id, "Merged into “survivor”. The same thing.")
    heads = session.scalars(select(Revision).where(Revision.head_id.is_(None))).all()
    assert [head.reason for head in heads] == ["The same thing."]


@pytest.mark.parametrize("slug", ["loser", "older"])
def test_its_slugs_lead_to_the_survivor(session: Session, scenario: MergeScenario, slug: str) -> None:
    merge(session, scenario)
    with pytest.raises(Moved) as moved:
        package_by_slug(session, slug)
    assert moved.value.slug == "survivor"


def test_a_survivor_that_is_merged_itself_leads_on(session: Session, scenario: MergeScenario) -> None:
    merge(session, scenario)
    merge(session, scenario, "survivor", "follower")
    with pytest.raises(Moved) as moved:
        package_by_slug(session, "older")
    assert moved.value.slug == "follower"
    changeset = begin(session, scenario.boss)
    with changeset:
        hide_package(changeset, slug="follower")
    session.commit()
    with pytest.raises(NotFound):
        package_by_slug(session, "loser")


def test_a_merge_is_undone_as_a_whole(session: Session, scenario: MergeScenario) -> None:
    before = [cells(session, slug) for slug in ("loser", "survivor")]
    ids = session.execute(select(Cell.id, Cell.text).order_by(Cell.id)).all()
    merge(session, scenario)
    head = session.scalars(select(Revision.id).where(Revision.head_id.is_(None))).one()
    changeset = begin(session, scenario.boss, "")
    with changeset:
        revert(changeset, head)
    session.commit()
    assert [cells(session, slug) for slug in ("loser", "survivor")] == before
    assert session.execute(select(Cell.id, Cell.text).order_by(Cell.id)).all() == ids
    assert package_by_slug(session, "loser").slug == "loser"


def test_what_can_t_be_merged(session: Session, scenario: MergeScenario) -> None:
    for into in ("", "none", "loser", "\x00"):
        with pytest.raises(Invalid) as error:
            merge(session, scenario, into=into)
        assert list(error.value.problems) == ["into"]
    with pytest.raises(NotFound):
        merge(session, scenario, "none", "survivor")
    changeset = begin(session, scenario.ada)
    with pytest.raises(Forbidden), changeset:
        merge_package(changeset, slug="loser", into="survivor")
    changeset = begin(session, scenario.boss, " ")
    with pytest.raises(Invalid), changeset:
        merge_package(changeset, slug="loser", into="survivor")
    session.rollback()
    assert session.scalars(select(Revision)).all() == []


def test_a_package_is_not_shown_again_beside_one_with_its_repository(session: Session, scenario: MergeScenario) -> None:
    make_package(session, "hidden", hidden_at=NOW, repo_url="http://github.com/A/C/")
    session.commit()
    changeset = begin(session, scenario.boss)
    with pytest.raises(Invalid) as error, changeset:
        unhide_package(changeset, slug="hidden")
    assert "“survivor”" in error.value.problems["reason"][0]
