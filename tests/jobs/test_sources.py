"""Which sources a package has follows from what people wrote; the index says what has changed on it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select, update

from pkgsite.extensions import db
from pkgsite.jobs.timetable import check_index_for_changes
from pkgsite.models import Package, SourceState
from pkgsite.rules.freshness import Priority, Source
from pkgsite.services.refresh.sources import make_due
from tests.jobs.fake_hosts import FakeHosts, RefreshedSite


def sources(site: RefreshedSite, slug: str) -> dict[str, tuple[str, str]]:
    with site.app.app_context():
        rows = db.session.execute(
            select(SourceState.source, SourceState.host, SourceState.target)
            .join(Package, Package.id == SourceState.package_id)
            .where(Package.slug == slug)
        )
        return {row.source: (row.host, row.target) for row in rows}


def change(site: RefreshedSite, **values: object) -> None:
    with site.app.app_context():
        db.session.execute(update(Package).values(**values))
        db.session.commit()


def test_a_repository_has_three_and_a_project_two(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    site.add_package("one", repo_url="https://github.com/Ada/One.git", pypi_url="https://pypi.org/project/My.Project/")
    repository = ("github.com", "ada/one")
    assert sources(site, "one") == {
        "repo": repository,
        "activity": repository,
        "people": repository,
        "index": (site.gateways.package_index_host, "my-project"),
        "downloads": (site.gateways.downloads_host, "my-project"),
    }
    assert site.sync_sources() == 0


def test_what_can_not_be_asked_has_none(site: RefreshedSite) -> None:
    site.add_package("one", repo_url="https://example.org/ada/one", pypi_url="not a name")
    site.add_package("two", repo_url="", pypi_url="")
    assert sources(site, "one") == sources(site, "two") == {}


def test_facts_go_with_the_place_that_told_them(site: RefreshedSite) -> None:
    site.add_package("one", repo_url="https://github.com/ada/one", pypi_url="one")
    site.refresh()
    change(site, repo_url="https://example.org/elsewhere/two")
    assert site.sync_sources() == 1
    package = site.package("one")
    assert (package.stars, package.commits_over_52, package.participants) == (None, [], [])
    assert package.pypi_version == "1.1"
    change(site, pypi_url="")
    site.sync_sources()
    package = site.package("one")
    assert (package.pypi_version, package.licence, package.pypi_downloads) == (None, None, None)
    assert sources(site, "one") == {}


def test_facts_that_were_imported_stay_until_the_host_tells(site: RefreshedSite) -> None:
    site.add_package("one", repo_url="https://github.com/ada/lost", stars=40, commits_over_52=[3] * 52)
    site.refresh()
    package = site.package("one")
    assert (package.stars, package.commits_over_52) == (40, [3] * 52)


def test_another_writing_of_the_same_address_changes_nothing(site: RefreshedSite) -> None:
    site.add_package("one", repo_url="https://github.com/ada/one")
    site.refresh()
    change(site, repo_url="git@github.com:Ada/One.git")
    assert site.sync_sources() == 0
    assert site.package("one").stars == 511


def test_a_hidden_package_is_not_asked_for(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    site.add_package("one", repo_url="https://github.com/ada/one")
    site.refresh()
    change(site, hidden_at=fake_hosts.now())
    assert site.sync_sources() == 1
    assert sources(site, "one") == {}
    assert site.package("one").stars == 511


def test_a_click_leaves_alone_what_has_just_been_fetched(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    number = site.add_package("one", repo_url="https://github.com/ada/one")
    site.refresh(Source.REPO)
    with site.app.app_context():
        brought = make_due(
            db.session(),
            priority=Priority.USER_REQUEST,
            now=fake_hosts.now(),
            package_ids=[number],
            unless_fetched_since=fake_hosts.now() - timedelta(minutes=5),
        )
        db.session.commit()
    assert brought == 2  # its commits and its people
    assert site.source_state("one", Source.REPO).priority == Priority.SCHEDULED


def test_only_projects_that_changed_are_fetched(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    for name in ("one", "two", "three"):
        fake_hosts.add_project(name)
        site.add_package(name, pypi_url=name)
    site.refresh()
    with site.app.app_context():
        assert check_index_for_changes(site.gateways, fake_hosts.now()) == {"checked": 3, "changed": 0}
    fake_hosts.pypi.release("two", "5.0")
    fake_hosts.clock_offset = timedelta(hours=6)
    with site.app.app_context():
        assert check_index_for_changes(site.gateways, fake_hosts.now()) == {"checked": 3, "changed": 1}
    asked = fake_hosts.pypi.counts["project"]
    site.refresh(Source.INDEX)
    assert fake_hosts.pypi.counts["project"] == asked + 1
    assert site.package("two").pypi_version == "5.0"
    assert site.host_state(site.gateways.package_index_host).checked_at is not None
    with site.app.app_context():
        assert check_index_for_changes(site.gateways, fake_hosts.now()) == {"checked": 3, "changed": 0}
    assert fake_hosts.pypi.counts["serials"] == 3
    assert fake_hosts.pypi.unchanged["serials"] == 1


def test_a_project_that_left_the_index_is_asked_for(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    site.add_package("one", pypi_url="one")
    site.refresh()
    fake_hosts.pypi.remove("one")
    with site.app.app_context():
        assert check_index_for_changes(site.gateways, fake_hosts.now())["changed"] == 1
    assert site.refresh().totals() == {"missing": 1}
    assert site.package("one").pypi_version == "1.1"
