"""Importing another site: what is imported, kept and reported, without a network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.clients.base import RecordPage
from pkgsite.errors import Conflict
from pkgsite.models import Category, Grid, GridPackage, ImportProgress, Package, PackageSlugRedirect, Revision
from pkgsite.rules.records import RecordParser
from pkgsite.services.importing.records import Outcome
from pkgsite.services.importing.site_import import CHECK, DONE, STAGES, ImportCursor, import_page, load_import_cursor
from tests.factories import NOW, add_to_grid, fill_cell, make_category, make_feature, make_grid, make_package
from tests.fakes.v4_site import FakeV4Site

URL = "http://h.example/api/v4/"
LATER = NOW + timedelta(days=1)


def read_page(fake: FakeV4Site, cursor: ImportCursor) -> RecordPage:
    """Return a page, like the client."""
    query = {"QUERY_STRING": f"limit=100&offset={cursor.offset}", "HTTP_HOST": "h.example"}
    envelope = fake.page(cursor.collection, query)
    records = [RecordParser().parse(cursor.collection, record) for record in envelope["results"]]
    return RecordPage(envelope["count"], records, is_last=envelope["next"] is None)


def run_import(session: Session, fake: FakeV4Site, *, now: datetime = NOW) -> ImportCursor:
    """Import everything, with a commit after each page, like the command."""
    cursor = load_import_cursor(session, URL)
    session.commit()
    while cursor.stage != DONE:
        cursor = import_page(session, cursor, read_page(fake, cursor), now=now)
        session.commit()
    return cursor


def outcomes(cursor: ImportCursor, stage: str) -> tuple[int, ...]:
    """Return the numbers of added, changed, unchanged and skipped records."""
    tally = cursor.tally(stage)
    return (*(tally.count(outcome) for outcome in Outcome), len(tally.skipped))


def warnings(cursor: ImportCursor) -> list[str]:
    return [warning for stage in STAGES for warning in cursor.tally(stage).warnings]


def edit_as_user(session: Session, kind: str, object_id: int, **after: Any) -> None:
    """Record that a user edited these fields of an object."""
    session.add(Revision(at=NOW, object_type=kind, object_id=object_id, action="edit", before={}, after=after))


def memberships(session: Session, package_id: int) -> list[tuple[int, int]]:
    """Return the ids of a package's grids with their positions, in order."""
    rows = session.execute(
        select(GridPackage.grid_id, GridPackage.position)
        .where(GridPackage.package_id == package_id)
        .order_by(GridPackage.position)
    )
    return [(row.grid_id, row.position) for row in rows]


@pytest.fixture
def fake() -> FakeV4Site:
    """A site with one category, two grids and a package."""
    site = FakeV4Site()
    site.add_category(1, "apps")
    site.add_grid(7, "caching")
    site.add_grid(9, "security")
    site.add_package(12, "django-foo", grids=(9, 7))
    return site


# Imported values


def test_a_package_is_imported_with_all_its_values(session: Session, fake: FakeV4Site) -> None:
    cursor = run_import(session, fake)
    assert [outcomes(cursor, stage) for stage in STAGES[:3]] == [(1, 0, 0, 0), (2, 0, 0, 0), (1, 0, 0, 0)]
    assert warnings(cursor) == []
    package = session.get_one(Package, 12)
    assert {column.key: getattr(package, column.key) for column in Package.__table__.columns} == {
        "id": 12,
        "title": "django-foo",
        "slug": "django-foo",
        "category_id": 1,
        "repo_url": "https://github.com/example/12",
        "pypi_url": "http://pypi.python.org/pypi/django-foo",
        "documentation_url": "",
        "deprecated_at": None,
        "replaced_by_id": None,
        "hidden_at": None,
        "merged_into_id": None,
        "description": "Does one thing :rocket:",
        "repo_description": "Does one thing :rocket:",
        "stars": 511,
        "forks": 70,
        "archived_at": None,
        "last_commit_at": datetime(2025, 12, 4, 12, 52, 57, tzinfo=UTC),
        "commit_count": None,
        "commits_over_52": [0] * 51 + [3],
        "participants": ["gasman", "kaedroho"],
        "participants_complete": True,
        "pypi_version": "6.4.1",
        "released_at": None,
        "pypi_downloads": None,
        "licence": None,
        "licences": None,
        "classifiers": None,
        "requires_python": None,
        "supports_python3": None,
        "development_status": None,
        # API v4 does not have these facts; this site fetches them itself.
        "repo_identity": None,
        "repo_directory": "",
        "has_too_many_participants": False,
        "repo_moved_to": None,
        "missing_since": None,
        "open_issues": None,
        "topics": None,
        "default_branch": None,
        "repo_licence": None,
        "requires_dist": None,
        "project_urls": None,
        "index_summary": None,
        "declared": None,
        "index_documentation_url": None,
        "vulnerabilities": None,
        "archived_at_from_host": None,
        "is_fork": None,
        "parent_url": None,
        "is_mirror": None,
        "homepage_url": None,
        "index_status": None,
        "index_status_reason": None,
        "score": 511,  # calculated by this site from the facts above
        "scored_at": NOW,
        "created_at": datetime(2014, 2, 18, 14, 0, 3, 904872, UTC),
        "created_by_id": None,
        "modified_at": datetime(2026, 1, 28, 18, 56, 56, 732864, UTC),
        "modified_by_id": None,
        "changed_at": NOW,
        "last_fetched_at": datetime(2026, 2, 15, 19, 35, 30, 283665, UTC),
        "version": 1,
    }
    assert memberships(session, 12) == [(9, 0), (7, 1)]


def test_a_second_import_changes_nothing(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    cursor = run_import(session, fake, now=LATER)
    assert [outcomes(cursor, stage) for stage in STAGES[:3]] == [(0, 0, 1, 0), (0, 0, 2, 0), (0, 0, 1, 0)]
    assert session.get_one(Package, 12).changed_at == NOW
    assert session.get_one(Grid, 7).changed_at == NOW
    assert session.scalars(select(ImportProgress)).all() == []


def test_scores_are_calculated_from_the_imported_facts(session: Session, fake: FakeV4Site) -> None:
    for stars in range(50):
        fake.add_package(100 + stars, f"p{stars}", repo_watchers=stars, last_updated="2024-12-04T07:52:57-05:00")
    run_import(session, fake)
    scores = {row.stars: row.score for row in session.execute(select(Package.stars, Package.score))}
    # Fourteen full months without a commit reduce the score by 40 %, rounded down.
    assert scores == {511: 511} | {stars: stars * 6 // 10 for stars in range(50)}
    fake.lists["packages"][0]["repo_watchers"] = 600
    run_import(session, fake, now=LATER)
    assert session.get_one(Package, 12).score == 600


def test_changes_on_the_other_site_are_imported(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    fake.lists["categories"][0]["description"] = "Apps."
    fake.lists["grids"][0]["title"] = "Caches"
    fake.lists["packages"][0] |= {"title": "Foo", "documentation_url": None, "grids": [7]}
    cursor = run_import(session, fake, now=LATER)
    assert [outcomes(cursor, stage) for stage in STAGES[:3]] == [(0, 1, 0, 0), (0, 1, 1, 0), (0, 1, 0, 0)]
    package = session.get_one(Package, 12)
    assert (package.title, package.documentation_url, package.changed_at) == ("Foo", None, LATER)
    assert memberships(session, 12) == [(7, 0)]
    assert session.get_one(Grid, 9).changed_at == LATER  # it has lost a package
    assert session.get_one(Category, 1).description == "Apps."


def test_a_new_order_of_grids_is_imported(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    fake.lists["packages"][0]["grids"] = [7, 9]
    cursor = run_import(session, fake, now=LATER)
    assert outcomes(cursor, "packages") == (0, 1, 0, 0)
    assert memberships(session, 12) == [(7, 0), (9, 1)]


def test_new_ids_are_higher_than_imported_ones(session: Session, fake: FakeV4Site) -> None:
    for _ in range(2):  # after a second import, too
        run_import(session, fake)
        largest = session.scalar(select(func.max(Package.id))) or 0
        package = make_package(session, f"ours-{largest}")
        assert package.id > largest
        assert make_category(session, f"ours-{largest}").id > 1
        assert make_grid(session, f"ours-{largest}").id > 9
        session.commit()


def test_an_import_does_not_lower_the_next_id(session: Session, fake: FakeV4Site) -> None:
    category = make_category(session, "ours")
    for index in range(30):
        make_package(session, f"ours-{index}", category=category)
    session.query(Package).delete()
    session.commit()
    fake.lists["categories"][0]["id"] = 5
    fake.lists["packages"][0]["category"] = 5
    run_import(session, fake)
    assert make_package(session, "ours").id == 31


@pytest.mark.parametrize("slug", ["#", "django__q", "Django-CMS", "master", "ünïcode", "2012"])
def test_unusual_slugs_are_imported(session: Session, fake: FakeV4Site, slug: str) -> None:
    fake.add_package(13, slug)
    assert outcomes(run_import(session, fake), "packages") == (2, 0, 0, 0)
    assert session.get_one(Package, 13).slug == slug


def test_packages_with_the_same_repository_are_imported(session: Session, fake: FakeV4Site) -> None:
    for package_id in (13, 14):
        fake.add_package(package_id, f"p{package_id}", repo_url="http://bitbucket.org/gone/for-good")
    assert outcomes(run_import(session, fake), "packages") == (3, 0, 0, 0)


# Invalid and conflicting records


def test_invalid_records_are_skipped_with_a_warning(session: Session, fake: FakeV4Site) -> None:
    fake.add_package(13, "no-title", title=None)
    fake.add_package(14, "long-title", title="x" * 101)
    fake.add_package(15, "no-slug")["slug"] = ""
    fake.add_package(16, "Django-FOO")
    fake.add_package(17, "stranger", category=3)
    fake.add_package(18, "lonely", grids=(9, 55))
    del fake.add_package(19, "without-times")["created"]
    fake.lists["packages"].append({"slug": "only-a-slug"})
    fake.lists["packages"].append(None)
    cursor = run_import(session, fake)
    assert outcomes(cursor, "packages") == (2, 0, 0, 8)
    first, second, *others = cursor.tally("packages").warnings
    assert first == "package without ID: skipped (is not an object)"
    assert second.startswith("package without ID “only-a-slug”: skipped (category is missing; grids is missing; ")
    assert others == [
        "package 19 “without-times”: skipped (created is missing)",
        "package 18 “lonely”: not added to unknown grids: 55",
        "package 17 “stranger”: skipped (unknown category 3)",
        "package 15: skipped (slug is empty)",
        "package 14 “long-title”: skipped (title is longer than 100 characters)",
        "package 13 “no-title”: skipped (title is not a string)",
        "package 12 “django-foo”: skipped (its slug is used by package 16 “Django-FOO” on this site)",
    ]
    assert memberships(session, 18) == [(9, 0)]


def test_a_record_whose_slug_or_id_is_in_use_is_skipped(session: Session, fake: FakeV4Site) -> None:
    category = make_category(session, "ours", id=40)
    make_package(session, "Django-Foo", id=1, category=category)
    make_package(session, "ours", id=13, category=category)
    session.commit()
    fake.add_package(13, "theirs")
    cursor = run_import(session, fake)
    assert outcomes(cursor, "packages") == (0, 0, 0, 2)
    assert cursor.tally("packages").warnings == [
        "package 13 “theirs”: skipped (its ID is used by “ours” on this site)",
        "package 12 “django-foo”: skipped (its slug is used by package 1 “Django-Foo” on this site)",
    ]
    assert session.get_one(Package, 13).title == "ours"


def test_ids_of_skipped_records_are_not_resolved_to_local_ones(session: Session, fake: FakeV4Site) -> None:
    """Category 1 and grid 9 are different ones on this site, and must not get the imported packages."""
    make_category(session, "ours", id=1)
    make_grid(session, "our-grid", id=9)
    session.commit()
    fake.add_category(2, "frameworks")
    fake.add_package(13, "django-bar", category=2, grids=(7, 9))
    cursor = run_import(session, fake)
    assert warnings(cursor) == [
        "category 1 “apps”: skipped (its ID is used by “ours” on this site)",
        "grid 9 “security”: skipped (its ID is used by “our-grid” on this site)",
        "package 13 “django-bar”: not added to unknown grids: 9",
        "package 12 “django-foo”: skipped (unknown category 1)",
    ]
    assert memberships(session, 13) == [(7, 0)]


def test_an_imported_slug_may_be_a_former_one_of_another_package(session: Session, fake: FakeV4Site) -> None:
    renamed = make_package(session, "new-name", id=3)
    session.add(PackageSlugRedirect(slug="django-foo", package_id=renamed.id, created_at=NOW))
    session.commit()
    fake.lists["categories"][0] |= {"id": renamed.category_id}
    fake.lists["packages"][0] |= {"category": renamed.category_id}
    assert outcomes(run_import(session, fake), "packages") == (1, 0, 0, 0)


def test_differences_from_a_grids_own_package_list_are_only_reported(session: Session, fake: FakeV4Site) -> None:
    fake.lists["grids"][0]["packages"] = [12, 99]
    fake.lists["grids"][1]["packages"] = []
    cursor = run_import(session, fake)
    assert warnings(cursor) == [
        "grid 9 “security”: packages that are in the grid only on this site: 12",
        "grid 7 “caching”: packages missing from the grid on this site: 99",
    ]
    assert memberships(session, 12) == [(9, 0), (7, 1)]


# User edits on this site


def test_user_edits_are_kept_with_a_warning(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    package = session.get_one(Package, 12)
    package.title, package.description, package.modified_at = "Our title", "Our words", LATER
    session.get_one(Grid, 7).description = "Our grid"
    session.get_one(Category, 1).title = "Our apps"
    edit_as_user(session, "package", 12, title="Our title")
    edit_as_user(session, "package", 12, description="Our words")
    edit_as_user(session, "grid", 7, description="Our grid")
    edit_as_user(session, "category", 1, title="Our apps")
    session.commit()
    fake.lists["packages"][0]["repo_url"] = "https://gitlab.com/example/12"
    cursor = run_import(session, fake, now=LATER)
    assert warnings(cursor) == [
        "category 1 “apps”: kept values edited on this site: title",
        "grid 7 “caching”: kept values edited on this site: description",
        "package 12 “django-foo”: kept values edited on this site: description, title",
    ]
    assert [outcomes(cursor, stage) for stage in STAGES[:3]] == [(0, 0, 1, 0), (0, 0, 2, 0), (0, 1, 0, 0)]
    assert (package.title, package.description) == ("Our title", "Our words")
    assert package.repo_url == "https://gitlab.com/example/12"  # not edited on this site
    assert package.modified_at == LATER  # the time of the user's edit, which is later


def test_a_user_edit_with_the_imported_value_causes_no_warning(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    edit_as_user(session, "package", 12, title="django-foo")
    session.commit()
    assert warnings(run_import(session, fake)) == []


def test_a_slug_that_a_user_changed_is_kept(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    session.get_one(Package, 12).slug = "django-bar"
    edit_as_user(session, "package", 12, slug="django-bar")
    session.commit()
    fake.lists["packages"][0]["repo_watchers"] = 600
    cursor = run_import(session, fake)
    assert warnings(cursor) == ["package 12 “django-foo”: kept values edited on this site: slug"]
    assert (session.get_one(Package, 12).slug, session.get_one(Package, 12).stars) == ("django-bar", 600)


def test_a_package_that_a_user_deleted_stays_deleted(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    session.delete(session.get_one(Package, 12))
    session.add(Revision(at=NOW, object_type="package", object_id=12, action="delete", before={"slug": "django-foo"}))
    session.commit()
    cursor = run_import(session, fake)
    assert cursor.tally("packages").warnings == ["package 12 “django-foo”: skipped (deleted on this site)"]
    assert session.get(Package, 12) is None


def test_a_membership_that_a_user_removed_stays_removed(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    session.delete(session.scalars(select(GridPackage).where(GridPackage.grid_id == 9)).one())
    pair = {"grid_id": 9, "package_id": 12}
    session.add(Revision(at=NOW, object_type="membership", object_id=1, action="delete", before=pair))
    session.commit()
    cursor = run_import(session, fake)
    assert warnings(cursor) == ["package 12 “django-foo”: removed from grid 9 on this site, not added again"]
    assert [grid_id for grid_id, _ in memberships(session, 12)] == [7]


def test_a_membership_that_a_user_added_is_kept(session: Session, fake: FakeV4Site) -> None:
    fake.add_grid(10, "forms")
    run_import(session, fake)
    add_to_grid(session, session.get_one(Grid, 10), session.get_one(Package, 12))
    pair = {"grid_id": 10, "package_id": 12}
    session.add(Revision(at=NOW, object_type="membership", object_id=1, action="add", after=pair))
    session.commit()
    cursor = run_import(session, fake)
    assert warnings(cursor) == ["package 12 “django-foo”: kept in grid 10 (added on this site)"]
    assert outcomes(cursor, "packages") == (0, 0, 1, 0)
    assert memberships(session, 12) == [(9, 0), (7, 1), (10, 2)]


def test_a_membership_with_cells_is_kept_if_the_other_site_removes_it(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    cell = fill_cell(session, make_feature(session, session.get_one(Grid, 9)), session.get_one(Package, 12), "yes")
    session.commit()
    fake.lists["packages"][0]["grids"] = [7]
    cursor = run_import(session, fake)
    assert cursor.tally("packages").warnings == ["package 12 “django-foo”: kept in grid 9 (has cells)"]
    session.refresh(cell)
    assert memberships(session, 12) == [(7, 0), (9, 1)]


def test_memberships_in_local_grids_are_kept(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    ours = make_grid(session, "ours", packages=(session.get_one(Package, 12),))
    session.commit()
    cursor = run_import(session, fake)
    assert warnings(cursor) == []
    assert memberships(session, 12) == [(9, 0), (7, 1), (ours.id, 2)]


# Age of facts


def test_newer_facts_on_this_site_are_kept(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    package = session.get_one(Package, 12)
    package.stars, package.last_fetched_at = 1000, NOW
    session.commit()
    fake.lists["packages"][0] |= {"title": "Foo", "repo_watchers": 600}
    cursor = run_import(session, fake)
    assert (package.stars, package.title) == (1000, "Foo")
    assert cursor.tally("packages").newer_facts_kept == 1
    fake.lists["packages"][0] |= {"last_fetched": None}
    run_import(session, fake)
    assert (package.stars, package.last_fetched_at) == (1000, NOW)
    fake.lists["packages"][0] |= {"last_fetched": NOW.isoformat()}
    run_import(session, fake)
    assert package.stars == 600


def test_a_new_list_of_participants_counts_as_complete(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    package = session.get_one(Package, 12)
    package.participants_complete = False
    session.commit()
    assert outcomes(run_import(session, fake), "packages") == (0, 0, 1, 0)
    assert not package.participants_complete
    fake.lists["packages"][0]["participants"].append("theju")
    run_import(session, fake)
    assert package.participants_complete


# Resuming


def test_a_stage_restarts_if_its_list_has_changed(session: Session, fake: FakeV4Site) -> None:
    fake.max_per_page = 1
    fake.add_package(13, "bad", title="")
    cursor = ImportCursor(URL)
    while (cursor.stage, cursor.offset) != ("packages", 1):
        cursor = import_page(session, cursor, read_page(fake, cursor), now=NOW)
        session.commit()
    fake.add_package(14, "django-new")
    cursor = import_page(session, cursor, read_page(fake, cursor), now=NOW)
    session.commit()
    assert (cursor.stage, cursor.offset, cursor.tally("packages").skipped) == ("packages", 0, [])
    cursor = run_import(session, fake)
    assert outcomes(cursor, "packages") == (2, 0, 0, 1)
    assert warnings(cursor) == ["package 13 “bad”: skipped (title is empty)"]


def test_an_import_continues_with_a_warning_if_the_list_keeps_changing(session: Session, fake: FakeV4Site) -> None:
    fake.max_per_page = 1
    cursor = ImportCursor(URL)
    requests = 0
    while cursor.stage != CHECK:
        if cursor.stage == "packages":
            requests += 1
            if requests < 20:
                fake.add_package(100 + requests, f"p{requests}")
        cursor = import_page(session, cursor, read_page(fake, cursor), now=NOW)
        session.commit()
    assert warnings(cursor) == ["the list of packages kept changing during the import; some may be missing"]
    assert session.get(Package, 12) is not None  # the last one in the list


def test_a_concurrent_import_of_the_same_site_fails(session: Session, fake: FakeV4Site) -> None:
    cursor = ImportCursor(URL)
    page = read_page(fake, cursor)
    import_page(session, cursor, page, now=NOW)
    session.commit()
    with pytest.raises(Conflict, match=f"Another import of {URL} is already running"):
        import_page(session, cursor, page, now=NOW)
