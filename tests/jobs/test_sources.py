"""The sources of packages follow from their URLs; the index's serials make changed projects due."""

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


def update_packages(site: RefreshedSite, **values: object) -> None:
    with site.app.app_context():
        db.session.execute(update(Package).values(**values))
        db.session.commit()


def test_repository_has_three_sources_and_project_two(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
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


def test_unknown_hosts_have_no_sources(site: RefreshedSite) -> None:
    site.add_package("one", repo_url="https://example.org/ada/one", pypi_url="not a name")
    site.add_package("two", repo_url="", pypi_url="")
    assert sources(site, "one") == sources(site, "two") == {}


def test_facts_are_reset_when_their_source_is_removed(site: RefreshedSite) -> None:
    site.add_package("one", repo_url="https://github.com/ada/one", pypi_url="one")
    site.refresh()
    update_packages(site, repo_url="https://example.org/elsewhere/two")
    assert site.sync_sources() == 1
    package = site.package("one")
    assert (package.stars, package.commits_over_52, package.participants) == (None, [], [])
    assert package.pypi_version == "1.1"
    update_packages(site, pypi_url="")
    site.sync_sources()
    package = site.package("one")
    assert (package.pypi_version, package.licence, package.pypi_downloads) == (None, None, None)
    assert sources(site, "one") == {}


def test_imported_facts_stay_until_the_first_fetch(site: RefreshedSite) -> None:
    site.add_package("one", repo_url="https://github.com/ada/lost", stars=40, commits_over_52=[3] * 52)
    site.refresh()
    package = site.package("one")
    assert (package.stars, package.commits_over_52) == (40, [3] * 52)


def test_another_spelling_of_the_same_url_changes_nothing(site: RefreshedSite) -> None:
    site.add_package("one", repo_url="https://github.com/ada/one")
    site.refresh()
    update_packages(site, repo_url="git@github.com:Ada/One.git")
    assert site.sync_sources() == 0
    assert site.package("one").stars == 511


def test_hidden_package_has_no_sources(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    site.add_package("one", repo_url="https://github.com/ada/one")
    site.refresh()
    update_packages(site, hidden_at=fake_hosts.now())
    assert site.sync_sources() == 1
    assert sources(site, "one") == {}
    assert site.package("one").stars == 511


def test_user_request_skips_recently_fetched_sources(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    package_id = site.add_package("one", repo_url="https://github.com/ada/one")
    site.refresh(Source.REPO)
    with site.app.app_context():
        changed = make_due(
            db.session(),
            priority=Priority.USER_REQUEST,
            now=fake_hosts.now(),
            package_ids=[package_id],
            unless_fetched_since=fake_hosts.now() - timedelta(minutes=5),
        )
        db.session.commit()
    assert changed == 2  # activity and contributors
    assert site.source_state("one", Source.REPO).priority == Priority.SCHEDULED


def test_only_changed_projects_are_fetched(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
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
    request_count = fake_hosts.pypi.counts["project"]
    site.refresh(Source.INDEX)
    assert fake_hosts.pypi.counts["project"] == request_count + 1
    assert site.package("two").pypi_version == "5.0"
    assert site.host_state(site.gateways.package_index_host).checked_at is not None
    with site.app.app_context():
        assert check_index_for_changes(site.gateways, fake_hosts.now()) == {"checked": 3, "changed": 0}
    assert fake_hosts.pypi.counts["serials"] == 3
    assert fake_hosts.pypi.unchanged["serials"] == 1


def test_project_removed_from_the_index_is_fetched(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    site.add_package("one", pypi_url="one")
    site.refresh()
    fake_hosts.pypi.remove("one")
    with site.app.app_context():
        assert check_index_for_changes(site.gateways, fake_hosts.now())["changed"] == 1
    assert site.refresh().totals() == {"missing": 1}
    assert site.package("one").pypi_version == "1.1"
