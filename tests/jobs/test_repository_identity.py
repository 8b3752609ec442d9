"""A repository's identity: after a rename, nothing of another repository with the old name is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from pkgsite.models import Package
from pkgsite.rules.freshness import Source
from tests.fakes.rest_host import FakeHost, FakeRepository, make_commits
from tests.jobs.fake_hosts import FakeHosts, RefreshedSite

MOVED = "https://github.com/acme/moved"
REPO_FACTS = ("stars", "participants", "commits_over_52", "last_commit_at", "topics", "description")


def repo_facts(package: Package) -> dict[str, Any]:
    return {name: getattr(package, name) for name in REPO_FACTS}


@dataclass
class MovedPackage:
    """A package of a repository on GitHub, whose name a stranger can take after a rename."""

    site: RefreshedSite
    fake_hosts: FakeHosts

    def __post_init__(self) -> None:
        self.repo = self.fake_hosts.github.add("acme/moved", stars=100, people=["ada", "bea"], weeks=[1] * 52)
        self.site.add_package("moved", repo_url=MOVED)
        self.site.refresh()

    def rename(self) -> None:
        self.fake_hosts.github.rename("acme/moved", "acme/moved2")

    def recreate(self) -> None:
        self.fake_hosts.github.add("acme/moved", stars=3, people=["stranger"], weeks=[7] * 52)

    def refresh_days(self, days: int) -> Package:
        """Refresh every other day, for long enough that each source is due several times."""
        for _ in range(days // 2):
            self.fake_hosts.clock_offset += timedelta(days=2)
            self.site.refresh()
        return self.site.package("moved")


@pytest.fixture(params=["token", "anonymous"])
def moved(
    request: pytest.FixtureRequest, site: RefreshedSite, fake_hosts: FakeHosts, monkeypatch: pytest.MonkeyPatch
) -> MovedPackage:
    if request.param == "anonymous":
        monkeypatch.setattr(site.gateways.code_hosts["github.com"], "_token", None)
        monkeypatch.setattr("tests.fakes.github.ANONYMOUS_LIMIT", 5000)
    return MovedPackage(site, fake_hosts)


def test_a_repository_is_followed_if_its_name_is_taken_after_a_refresh(moved: MovedPackage) -> None:
    moved.rename()
    moved.refresh_days(2)
    moved.recreate()
    moved.repo.stars, moved.repo.people, moved.repo.weeks = 150, ["ada", "bea", "cleo"], [2] * 52
    package = moved.refresh_days(60)
    assert (package.stars, package.participants, package.commits_over_52) == (150, ["ada", "bea", "cleo"], [2] * 52)
    assert (package.repo_url, package.repo_moved_to) == (MOVED, "https://github.com/acme/moved2")
    assert package.missing_since is None


def test_a_repository_is_followed_if_its_name_is_taken_before_a_refresh(moved: MovedPackage) -> None:
    moved.rename()
    moved.recreate()
    moved.repo.stars, moved.repo.people, moved.repo.weeks = 150, ["ada", "bea", "cleo"], [2] * 52
    package = moved.refresh_days(60)
    assert (package.stars, package.participants, package.commits_over_52) == (150, ["ada", "bea", "cleo"], [2] * 52)
    assert package.repo_moved_to == "https://github.com/acme/moved2"
    assert package.missing_since is None


def test_a_repository_is_followed_back_to_its_old_name(moved: MovedPackage) -> None:
    moved.rename()
    moved.refresh_days(4)
    moved.fake_hosts.github.rename("acme/moved2", "acme/moved")
    package = moved.refresh_days(4)
    assert (package.repo_moved_to, package.stars, package.missing_since) == (None, 100, None)


def test_a_deleted_repository_is_missing_even_if_its_name_is_taken(moved: MovedPackage) -> None:
    before = repo_facts(moved.site.package("moved"))
    moved.fake_hosts.github.remove("acme/moved")
    moved.recreate()
    package = moved.refresh_days(60)
    assert repo_facts(package) == before
    assert package.missing_since is not None


@pytest.mark.parametrize("source", [Source.ACTIVITY, Source.PEOPLE])
def test_each_source_checks_the_identity_itself(moved: MovedPackage, source: Source) -> None:
    before = repo_facts(moved.site.package("moved"))
    moved.fake_hosts.github.remove("acme/moved")
    moved.recreate()
    moved.fake_hosts.clock_offset = timedelta(days=60)
    assert moved.site.refresh(source).totals() == {"missing": 1}
    assert repo_facts(moved.site.package("moved")) == before


def test_a_host_without_urls_by_id_is_asked_by_name(moved: MovedPackage) -> None:
    """An older GitHub Enterprise server, for example."""
    hide_urls_by_id(moved.fake_hosts.github)
    moved.repo.people = ["ada", "bea", "cleo"]
    moved.repo.committed_at = "2026-03-01T00:00:00Z"
    package = moved.refresh_days(60)
    assert package.participants == ["ada", "bea", "cleo"]
    before = repo_facts(package)
    moved.rename()
    moved.recreate()
    assert repo_facts(moved.refresh_days(60)) == before


def hide_urls_by_id(host: Any) -> None:
    respond = host._rest_response

    def by_name(environ: dict[str, Any]) -> Any:
        if environ["PATH_INFO"].startswith("/repositories/"):
            return "404 Not Found", {"message": "Not Found"}, {}
        return respond(environ)

    host._rest_response = by_name


def test_a_hidden_package_keeps_the_identity_of_its_repository(moved: MovedPackage) -> None:
    site = moved.site
    set_hidden(site, is_hidden=True)
    moved.rename()
    moved.recreate()
    set_hidden(site, is_hidden=False)
    package = moved.refresh_days(2)
    assert (package.stars, package.participants) == (100, ["ada", "bea"])
    assert package.repo_moved_to == "https://github.com/acme/moved2"


def test_a_repository_that_is_replaced_while_the_package_is_hidden_is_another_one(moved: MovedPackage) -> None:
    site = moved.site
    moved.fake_hosts.github.add("ada/two", stars=2, people=["cleo"])
    set_hidden(site, is_hidden=True)
    site.update_package("moved", repo_url="https://github.com/ada/two")
    set_hidden(site, is_hidden=False)
    assert site.package("moved").stars is None
    package = moved.refresh_days(2)
    assert (package.stars, package.participants, package.repo_moved_to) == (2, ["cleo"], None)


def test_the_new_url_of_a_moved_repository_keeps_its_facts(moved: MovedPackage) -> None:
    moved.rename()
    before = repo_facts(moved.refresh_days(2))
    moved.recreate()
    moved.site.update_package("moved", repo_url="https://github.com/acme/moved2")
    moved.site.sync_sources()
    package = moved.site.package("moved")
    assert (repo_facts(package), package.repo_moved_to) == (before, None)
    assert moved.site.refresh().totals() == {"fetched": 3}
    assert repo_facts(moved.site.package("moved")) == before


def set_hidden(site: RefreshedSite, *, is_hidden: bool) -> None:
    site.update_package("moved", hidden_at=site.fake_hosts.now() if is_hidden else None)
    site.sync_sources()


OTHER_HOSTS: list[Any] = [
    pytest.param("gitlab.com", lambda hosts: hosts.gitlab, id="gitlab"),
    pytest.param("bitbucket.org", lambda hosts: hosts.bitbucket, id="bitbucket"),
    pytest.param("codeberg.org", lambda hosts: hosts.forgejo, id="forgejo"),
]


@pytest.mark.parametrize("is_followed", [True, False])
@pytest.mark.parametrize(("host", "fake_of"), OTHER_HOSTS)
def test_other_hosts_are_followed_by_id(
    site: RefreshedSite, fake_hosts: FakeHosts, host: str, fake_of: Callable[[FakeHosts], FakeHost], is_followed: bool
) -> None:
    site.add_package("moved", repo_url=f"https://{host}/ada/one")
    site.refresh()
    before = repo_facts(site.package("moved"))
    fake = fake_of(fake_hosts)
    original = fake.repositories.pop("ada/one")
    if is_followed:
        original.path, fake.repositories["ada/two"] = "ada/two", original
    stranger = FakeRepository("ada/one", 99, make_commits(30, seed=99), fields={"description": "A stranger's"})
    fake.repositories["ada/one"] = stranger
    for days in range(2, 62, 2):
        fake_hosts.clock_offset = timedelta(days=days)
        site.refresh()
    package = site.package("moved")
    assert (package.description, package.last_commit_at) == (before["description"], before["last_commit_at"])
    assert package.participants == before["participants"]
    assert (package.missing_since is None) is is_followed
    moved_to = package.repo_moved_to or ""
    assert moved_to.endswith("/ada/two") is is_followed
