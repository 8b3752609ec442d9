"""What an import takes in, what it leaves alone, and what it says about it; without a network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.clients.base import RecordPage
from pkgsite.clients.v4_site import RECORD_PARSERS
from pkgsite.errors import Conflict
from pkgsite.models import Category, Grid, GridPackage, ImportProgress, Package, PackageSlugRedirect, Revision
from pkgsite.services.importing.records import Outcome
from pkgsite.services.importing.site_import import CHECK, DONE, STAGES, ImportCursor, import_page, load_import_cursor
from tests.factories import NOW, add_to_grid, fill_cell, make_category, make_feature, make_grid, make_package
from tests.fakes.v4_site import FakeV4Site

URL = "http://h.example/api/v4/"
LATER = NOW + timedelta(days=1)


def read_page(fake: FakeV4Site, state: ImportCursor) -> RecordPage:
    """Return a page as the client would."""
    query = {"QUERY_STRING": f"limit=100&offset={state.offset}", "HTTP_HOST": "h.example"}
    envelope = fake.page(state.collection, query)
    records = [RECORD_PARSERS[state.collection](record) for record in envelope["results"]]
    return RecordPage(envelope["count"], records, is_last=envelope["next"] is None)


def run_import(session: Session, fake: FakeV4Site, *, now: datetime = NOW) -> ImportCursor:
    """Import everything, with a commit after each page, as the command does."""
    state = load_import_cursor(session, URL)
    session.commit()
    while state.stage != DONE:
        state = import_page(session, state, read_page(fake, state), now=now)
        session.commit()
    return state


def outcomes(state: ImportCursor, noun: str) -> tuple[int, int, int, int]:
    """Return how many were added, changed, unchanged and skipped."""
    tally = state.tally(noun)
    return (*(tally.count(outcome) for outcome in Outcome), len(tally.skipped))  # type: ignore[return-value]


def remarks(state: ImportCursor) -> list[str]:
    return [remark for stage in STAGES for remark in state.tally(stage).warnings]


def edit_as_user(session: Session, noun: str, number: int, **after: Any) -> None:
    """Record that a person changed these fields of an object."""
    session.add(Revision(at=NOW, object_type=noun, object_id=number, action="edit", before={}, after=after))


def members(session: Session, package_id: int) -> list[tuple[int, int]]:
    """Return the grids of a package with its position in them, in order."""
    rows = session.execute(
        select(GridPackage.grid_id, GridPackage.position)
        .where(GridPackage.package_id == package_id)
        .order_by(GridPackage.position)
    )
    return [(row.grid_id, row.position) for row in rows]


@pytest.fixture
def fake() -> FakeV4Site:
    """A site of one category, two grids and a package."""
    site = FakeV4Site()
    site.add_category(1, "apps")
    site.add_grid(7, "caching")
    site.add_grid(9, "security")
    site.add_package(12, "django-foo", grids=(9, 7))
    return site


# What comes in


def test_a_package_comes_in_as_it_is_there(session: Session, fake: FakeV4Site) -> None:
    state = run_import(session, fake)
    assert [outcomes(state, noun) for noun in STAGES[:3]] == [(1, 0, 0, 0), (2, 0, 0, 0), (1, 0, 0, 0)]
    assert remarks(state) == []
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
        # What no API v4 tells, this site's own refresh does.
        "repo_moved_to": None,
        "missing_since": None,
        "open_issues": None,
        "topics": None,
        "default_branch": None,
        "repo_licence": None,
        "requires_dist": None,
        "project_urls": None,
        "index_documentation_url": None,
        "vulnerabilities": None,
        "score": 511,  # reckoned here, of the facts above
        "created_at": datetime(2014, 2, 18, 14, 0, 3, 904872, UTC),
        "created_by_id": None,
        "modified_at": datetime(2026, 1, 28, 18, 56, 56, 732864, UTC),
        "modified_by_id": None,
        "changed_at": NOW,
        "last_fetched_at": datetime(2026, 2, 15, 19, 35, 30, 283665, UTC),
        "version": 1,
    }
    assert members(session, 12) == [(9, 0), (7, 1)]


def test_a_second_run_changes_nothing(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    state = run_import(session, fake, now=LATER)
    assert [outcomes(state, noun) for noun in STAGES[:3]] == [(0, 0, 1, 0), (0, 0, 2, 0), (0, 0, 1, 0)]
    assert session.get_one(Package, 12).changed_at == NOW
    assert session.get_one(Grid, 7).changed_at == NOW
    assert session.scalars(select(ImportProgress)).all() == []


def test_scores_are_there_at_once_and_follow_the_facts(session: Session, fake: FakeV4Site) -> None:
    for number in range(50):
        fake.add_package(100 + number, f"p{number}", repo_watchers=number, last_updated="2024-12-04T07:52:57-05:00")
    run_import(session, fake)
    scores = {row.stars: row.score for row in session.execute(select(Package.stars, Package.score))}
    # Fourteen whole months without a commit take four tenths; what remains loses its fraction.
    assert scores == {511: 511} | {stars: stars * 6 // 10 for stars in range(50)}
    fake.lists["packages"][0]["repo_watchers"] = 600
    run_import(session, fake, now=LATER)
    assert session.get_one(Package, 12).score == 600


def test_what_has_changed_there_changes_here(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    fake.lists["categories"][0]["description"] = "Apps."
    fake.lists["grids"][0]["title"] = "Caches"
    fake.lists["packages"][0] |= {"title": "Foo", "documentation_url": None, "grids": [7]}
    state = run_import(session, fake, now=LATER)
    assert [outcomes(state, noun) for noun in STAGES[:3]] == [(0, 1, 0, 0), (0, 1, 1, 0), (0, 1, 0, 0)]
    package = session.get_one(Package, 12)
    assert (package.title, package.documentation_url, package.changed_at) == ("Foo", None, LATER)
    assert members(session, 12) == [(7, 0)]
    assert session.get_one(Grid, 9).changed_at == LATER  # it has lost a package
    assert session.get_one(Category, 1).description == "Apps."


def test_a_new_order_of_grids_is_taken(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    fake.lists["packages"][0]["grids"] = [7, 9]
    state = run_import(session, fake, now=LATER)
    assert outcomes(state, "packages") == (0, 1, 0, 0)
    assert members(session, 12) == [(7, 0), (9, 1)]


def test_a_package_may_be_added_after_an_import(session: Session, fake: FakeV4Site) -> None:
    """Ids made here go on after those that came in, also where they came in twice."""
    for _ in range(2):
        run_import(session, fake)
        largest = session.scalar(select(func.max(Package.id))) or 0
        package = make_package(session, f"ours-{largest}")
        assert package.id > largest
        assert make_category(session, f"ours-{largest}").id > 1
        assert make_grid(session, f"ours-{largest}").id > 9
        session.commit()


def test_ids_that_are_ahead_stay_ahead(session: Session, fake: FakeV4Site) -> None:
    category = make_category(session, "ours")
    for number in range(30):
        make_package(session, f"ours-{number}", category=category)
    session.query(Package).delete()
    session.commit()
    fake.lists["categories"][0]["id"] = 5
    fake.lists["packages"][0]["category"] = 5
    run_import(session, fake)
    assert make_package(session, "ours").id == 31


@pytest.mark.parametrize("slug", ["#", "django__q", "Django-CMS", "master", "ünïcode", "2012"])
def test_hard_slugs_come_in(session: Session, fake: FakeV4Site, slug: str) -> None:
    fake.add_package(13, slug)
    assert outcomes(run_import(session, fake), "packages") == (2, 0, 0, 0)
    assert session.get_one(Package, 13).slug == slug


def test_packages_may_share_a_repository_that_is_gone(session: Session, fake: FakeV4Site) -> None:
    for number in (13, 14):
        fake.add_package(number, f"p{number}", repo_url="http://bitbucket.org/gone/for-good")
    assert outcomes(run_import(session, fake), "packages") == (3, 0, 0, 0)


# What does not fit


def test_records_that_do_not_fit_are_named_and_the_rest_goes_in(session: Session, fake: FakeV4Site) -> None:
    fake.add_package(13, "no-title", title=None)
    fake.add_package(14, "long-title", title="x" * 101)
    fake.add_package(15, "no-slug")["slug"] = ""
    fake.add_package(16, "Django-FOO")
    fake.add_package(17, "stranger", category=3)
    fake.add_package(18, "lonely", grids=(9, 55))
    del fake.add_package(19, "without-times")["created"]
    fake.lists["packages"].append({"slug": "only-a-slug"})
    fake.lists["packages"].append(None)
    state = run_import(session, fake)
    assert outcomes(state, "packages") == (2, 0, 0, 8)
    found = state.tally("packages").warnings
    assert found[0] == "package without ID: skipped (is not an object)"
    assert found[1].startswith("package without ID “only-a-slug”: skipped (category is missing; grids is missing; ")
    assert found[2:] == [
        "package 19 “without-times”: skipped (created is missing)",
        "package 18 “lonely”: not added to unknown grids: 55",
        "package 17 “stranger”: skipped (unknown category 3)",
        "package 15: skipped (slug is empty)",
        "package 14 “long-title”: skipped (title is longer than 100 characters)",
        "package 13 “no-title”: skipped (title is not a string)",
        "package 12 “django-foo”: skipped (its slug is used by package 16 “Django-FOO” on this site)",
    ]
    assert members(session, 18) == [(9, 0)]


def test_a_slug_or_an_id_that_means_another_here(session: Session, fake: FakeV4Site) -> None:
    category = make_category(session, "ours", id=40)
    make_package(session, "Django-Foo", id=1, category=category)
    make_package(session, "ours", id=13, category=category)
    session.commit()
    fake.add_package(13, "theirs")
    state = run_import(session, fake)
    assert outcomes(state, "packages") == (0, 0, 0, 2)
    assert state.tally("packages").warnings == [
        "package 13 “theirs”: skipped (its ID is used by “ours” on this site)",
        "package 12 “django-foo”: skipped (its slug is used by package 1 “Django-Foo” on this site)",
    ]
    assert session.get_one(Package, 13).title == "ours"


def test_what_was_skipped_is_not_taken_for_its_namesake_here(session: Session, fake: FakeV4Site) -> None:
    """Category 1 and grid 9 mean something else here: their packages must not end up in those."""
    make_category(session, "ours", id=1)
    make_grid(session, "our-grid", id=9)
    session.commit()
    fake.add_category(2, "frameworks")
    fake.add_package(13, "django-bar", category=2, grids=(7, 9))
    state = run_import(session, fake)
    assert remarks(state) == [
        "category 1 “apps”: skipped (its ID is used by “ours” on this site)",
        "grid 9 “security”: skipped (its ID is used by “our-grid” on this site)",
        "package 13 “django-bar”: not added to unknown grids: 9",
        "package 12 “django-foo”: skipped (unknown category 1)",
    ]
    assert members(session, 13) == [(7, 0)]


def test_a_live_slug_wins_over_an_old_one(session: Session, fake: FakeV4Site) -> None:
    renamed = make_package(session, "new-name", id=3)
    session.add(PackageSlugRedirect(slug="django-foo", package_id=renamed.id, created_at=NOW))
    session.commit()
    fake.lists["categories"][0] |= {"id": renamed.category_id}
    fake.lists["packages"][0] |= {"category": renamed.category_id}
    assert outcomes(run_import(session, fake), "packages") == (1, 0, 0, 0)


def test_a_grids_own_list_is_only_compared(session: Session, fake: FakeV4Site) -> None:
    fake.lists["grids"][0]["packages"] = [12, 99]
    fake.lists["grids"][1]["packages"] = []
    state = run_import(session, fake)
    assert remarks(state) == [
        "grid 9 “security”: packages that are in the grid only on this site: 12",
        "grid 7 “caching”: packages missing from the grid on this site: 99",
    ]
    assert members(session, 12) == [(9, 0), (7, 1)]


# What people did here


def test_what_a_person_changed_is_kept_and_told(session: Session, fake: FakeV4Site) -> None:
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
    state = run_import(session, fake, now=LATER)
    assert remarks(state) == [
        "category 1 “apps”: kept values edited on this site: title",
        "grid 7 “caching”: kept values edited on this site: description",
        "package 12 “django-foo”: kept values edited on this site: description, title",
    ]
    assert [outcomes(state, noun) for noun in STAGES[:3]] == [(0, 0, 1, 0), (0, 0, 2, 0), (0, 1, 0, 0)]
    assert (package.title, package.description) == ("Our title", "Our words")
    assert package.repo_url == "https://gitlab.com/example/12"  # nobody changed that here
    assert package.modified_at == LATER  # the person's edit is the last one


def test_what_a_person_made_the_same_needs_no_remark(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    edit_as_user(session, "package", 12, title="django-foo")
    session.commit()
    assert remarks(run_import(session, fake)) == []


def test_a_package_that_a_person_renamed_keeps_its_slug(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    session.get_one(Package, 12).slug = "django-bar"
    edit_as_user(session, "package", 12, slug="django-bar")
    session.commit()
    fake.lists["packages"][0]["repo_watchers"] = 600
    state = run_import(session, fake)
    assert remarks(state) == ["package 12 “django-foo”: kept values edited on this site: slug"]
    assert (session.get_one(Package, 12).slug, session.get_one(Package, 12).stars) == ("django-bar", 600)


def test_a_package_that_a_person_deleted_stays_deleted(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    session.delete(session.get_one(Package, 12))
    session.add(Revision(at=NOW, object_type="package", object_id=12, action="delete", before={"slug": "django-foo"}))
    session.commit()
    state = run_import(session, fake)
    assert state.tally("packages").warnings == ["package 12 “django-foo”: skipped (deleted on this site)"]
    assert session.get(Package, 12) is None


def test_a_membership_that_a_person_ended_stays_ended(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    session.delete(session.scalars(select(GridPackage).where(GridPackage.grid_id == 9)).one())
    pair = {"grid_id": 9, "package_id": 12}
    session.add(Revision(at=NOW, object_type="membership", object_id=1, action="delete", before=pair))
    session.commit()
    state = run_import(session, fake)
    assert remarks(state) == ["package 12 “django-foo”: removed from grid 9 on this site, not added again"]
    assert [grid_id for grid_id, _ in members(session, 12)] == [7]


def test_a_membership_that_a_person_made_stays(session: Session, fake: FakeV4Site) -> None:
    fake.add_grid(10, "forms")
    run_import(session, fake)
    add_to_grid(session, session.get_one(Grid, 10), session.get_one(Package, 12))
    pair = {"grid_id": 10, "package_id": 12}
    session.add(Revision(at=NOW, object_type="membership", object_id=1, action="add", after=pair))
    session.commit()
    state = run_import(session, fake)
    assert remarks(state) == ["package 12 “django-foo”: kept in grid 10 (added on this site)"]
    assert outcomes(state, "packages") == (0, 0, 1, 0)
    assert members(session, 12) == [(9, 0), (7, 1), (10, 2)]


def test_cells_are_not_lost_when_a_membership_ends_there(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    cell = fill_cell(session, make_feature(session, session.get_one(Grid, 9)), session.get_one(Package, 12), "yes")
    session.commit()
    fake.lists["packages"][0]["grids"] = [7]
    state = run_import(session, fake)
    assert state.tally("packages").warnings == ["package 12 “django-foo”: kept in grid 9 (has cells)"]
    session.refresh(cell)
    assert members(session, 12) == [(7, 0), (9, 1)]


def test_grids_of_our_own_are_our_own(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    ours = make_grid(session, "ours", packages=(session.get_one(Package, 12),))
    session.commit()
    state = run_import(session, fake)
    assert remarks(state) == []
    assert members(session, 12) == [(9, 0), (7, 1), (ours.id, 2)]


# Facts and their age


def test_facts_fetched_later_here_are_kept(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    package = session.get_one(Package, 12)
    package.stars, package.last_fetched_at = 1000, NOW
    session.commit()
    fake.lists["packages"][0] |= {"title": "Foo", "repo_watchers": 600}
    state = run_import(session, fake)
    assert (package.stars, package.title) == (1000, "Foo")
    assert state.tally("packages").newer_facts_kept == 1
    fake.lists["packages"][0] |= {"last_fetched": None}
    run_import(session, fake)
    assert (package.stars, package.last_fetched_at) == (1000, NOW)
    fake.lists["packages"][0] |= {"last_fetched": NOW.isoformat()}
    run_import(session, fake)
    assert package.stars == 600


def test_another_list_of_participants_is_a_whole_one(session: Session, fake: FakeV4Site) -> None:
    run_import(session, fake)
    package = session.get_one(Package, 12)
    package.participants_complete = False
    session.commit()
    assert outcomes(run_import(session, fake), "packages") == (0, 0, 1, 0)
    assert not package.participants_complete
    fake.lists["packages"][0]["participants"].append("theju")
    run_import(session, fake)
    assert package.participants_complete


# Stopping and going on


def test_a_stage_starts_over_when_its_list_has_changed(session: Session, fake: FakeV4Site) -> None:
    fake.max_per_page = 1
    fake.add_package(13, "bad", title="")
    state = ImportCursor(URL)
    while (state.stage, state.offset) != ("packages", 1):
        state = import_page(session, state, read_page(fake, state), now=NOW)
        session.commit()
    fake.add_package(14, "django-new")
    state = import_page(session, state, read_page(fake, state), now=NOW)
    session.commit()
    assert (state.stage, state.offset, state.tally("packages").skipped) == ("packages", 0, [])
    state = run_import(session, fake)
    assert outcomes(state, "packages") == (2, 0, 0, 1)
    assert remarks(state) == ["package 13 “bad”: skipped (title is empty)"]


def test_a_list_that_never_rests_is_read_on_in_the_end(session: Session, fake: FakeV4Site) -> None:
    fake.max_per_page = 1
    state = ImportCursor(URL)
    asked = 0
    while state.stage != CHECK:
        if state.stage == "packages":
            asked += 1
            if asked < 20:
                fake.add_package(100 + asked, f"p{asked}")
        state = import_page(session, state, read_page(fake, state), now=NOW)
        session.commit()
    assert remarks(state) == ["the list of packages kept changing during the import; some may be missing"]
    assert session.get(Package, 12) is not None  # the last one of the list, whatever came in before it


def test_two_imports_of_one_site_do_not_mix(session: Session, fake: FakeV4Site) -> None:
    state = ImportCursor(URL)
    page = read_page(fake, state)
    import_page(session, state, page, now=NOW)
    session.commit()
    with pytest.raises(Conflict, match=f"another import of {URL} is already running"):
        import_page(session, state, page, now=NOW)
