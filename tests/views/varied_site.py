"""A varied site: hard slugs, every state, facts known, unknown and zero, and text that tries to break out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from pkgsite.models import (
    DailySample,
    Favourite,
    GridSlugRedirect,
    Package,
    PackageSlugRedirect,
    Release,
    Usage,
    User,
    UsingSite,
)
from tests.factories import (
    NOW,
    add_to_grid,
    fill_cell,
    make_category,
    make_feature,
    make_grid,
    make_package,
    make_source_state,
)

UNUSUAL_SLUGS = ("master", "a#b", "under__score", "UPPER", "ünï-çødé", "100%", "a+b c", "a&b=c", "q?x", "1234", "…")
MALICIOUS_TEXT = """<script>alert('x')</script> & "quoted" {{ 7*7 }} :rocket:"""


def populate_varied_site(session: Session) -> None:
    """Add the site's records and commit them."""
    apps = make_category(session, "apps", title="App", title_plural="Apps", description="Apps to plug in.")
    make_category(session, "Hard#1", title="Hard & odd", title_plural="")
    make_category(session, "empty", title="Empty")
    full_package = make_package(
        session,
        "known",
        category=apps,
        title="Known package",
        description="Keeps caches :rocket: fresh",
        repo_url="https://github.com/owner/known",
        pypi_url="known-on-index",
        documentation_url="https://docs.example.org/known/",
        stars=2500,
        forks=0,
        last_commit_at=NOW - timedelta(days=3),
        commit_count=812,
        commits_over_52=[n % 5 for n in range(52)],
        participants=["ada", "grace.h", "robot[bot]"],
        participants_complete=False,
        pypi_version="3.2.1",
        released_at=NOW - timedelta(days=10),
        pypi_downloads=123456,
        licence="MIT",
        requires_python=">=3.9",
        supports_python3=True,
        development_status=5,
        last_fetched_at=NOW - timedelta(days=1),
    )
    unknown = make_package(session, "unknown", category=apps, title="Unknown facts", documentation_url=None)
    zero = make_package(
        session, "zero", category=apps, stars=0, forks=0, commits_over_52=[0] * 52, description="", pypi_downloads=0
    )
    malicious = make_package(
        session,
        "evil",
        category=apps,
        title=MALICIOUS_TEXT[:100],
        description=MALICIOUS_TEXT,
        repo_url="javascript:alert(1)",
        pypi_url="x; rm -rf /",
        documentation_url="data:text/html,boo",
        participants=["<b>", "../../x"],
        pypi_version='"><i>',
        licence="<u>",
        repo_moved_to="javascript:alert(3)",
        topics=["<b>bold</b>"],
        project_urls={"<i>Bad</i>": "javascript:alert(4)"},
        vulnerabilities=[
            {
                "id": "<b>V</b>",
                "aliases": ["<i>"],
                "summary": MALICIOUS_TEXT,
                "link": "javascript:alert(5)",
                "fixed_in": ["<u>"],
            }
        ],
    )
    successor = make_package(session, "successor", category=apps, title="Successor", stars=40)
    replaced = make_package(session, "replaced", category=apps, replaced_by_id=successor.id, stars=9000)
    archived = make_package(session, "archived", category=apps, archived_at=NOW, deprecated_at=NOW, stars=8000)
    make_package(session, "hidden", category=apps, hidden_at=NOW, stars=99999)
    hard = [make_package(session, slug, category=apps, stars=number) for number, slug in enumerate(UNUSUAL_SLUGS)]

    set_all_facts(session, make_package(session, "told", category=apps, stars=8000))

    everything = (full_package, unknown, zero, malicious, successor, replaced, archived)
    caching = make_grid(session, "caching", packages=everything, title="Caching", description="Keeping results.")
    caching.header = True
    feature = make_feature(session, caching, "Is fast", description="In the author's words.")
    make_feature(session, caching, "Nobody filled this in")
    fill_cell(session, feature, full_package, "yes, since 2\nhttps://example.org/fast.")
    fill_cell(session, feature, malicious, MALICIOUS_TEXT)
    fill_cell(session, feature, zero, "nothing")
    fill_cell(session, feature, archived, "---")
    for slug in UNUSUAL_SLUGS:
        add_to_grid(session, make_grid(session, slug, title=slug), hard[0])
    make_grid(session, "nobody-here", title="Nobody here")

    session.add_all(
        Release(
            package_id=full_package.id,
            number=number,
            uploaded_at=at,
            is_prerelease=pre,
            yanked_reason=yanked,
            created_at=NOW,
        )
        for number, at, pre, yanked in (
            ("3.2.1", NOW, False, None),
            ("3.2.0rc1", NOW - timedelta(days=9), True, None),
            ("3.1", None, False, "broken <b>"),
        )
    )
    session.add_all(
        UsingSite(package_id=full_package.id, title=title, url=url, is_approved=approved, created_at=NOW)
        for title, url, approved in (
            ("Good site", "https://good.example.org/", True),
            ("Odd site", "javascript:alert(2)", True),
            ("Waiting site", "https://waiting.example.org/", None),
        )
    )
    users = [User(username=name, created_at=NOW) for name in ("ada", "grace")]
    session.add_all(users)
    session.flush()
    for user in users:
        session.add(Usage(user_id=user.id, package_id=full_package.id, created_at=NOW))
        session.add(Favourite(user_id=user.id, package_id=full_package.id, created_at=NOW))
    session.add(Favourite(user_id=users[0].id, package_id=archived.id, created_at=NOW))
    session.add(PackageSlugRedirect(slug="once-known", package_id=full_package.id, created_at=NOW))
    session.add(PackageSlugRedirect(slug="once#hard", package_id=hard[1].id, created_at=NOW))
    session.add(GridSlugRedirect(slug="cache", grid_id=caching.id, created_at=NOW))
    session.commit()


def set_all_facts(session: Session, package: Package) -> None:
    """Let every source of a package have told something, long or not so long ago; and one fails."""
    facts = {
        "repo_url": "https://codeberg.org/owner/old",
        "repo_moved_to": "https://codeberg.org/owner/new",
        "archived_at": NOW - timedelta(days=6),
        "gone_at": NOW - timedelta(days=6),
        "pypi_url": "old-on-index",
        "pypi_version": "0.9",
        "index_documentation_url": "https://old.example.org/docs/",
        "open_issues": 17,
        "topics": ["cache", "redis"],
        "commits_over_52": [3] * 51 + [1],
        "last_commit_at": NOW - timedelta(days=400),
        "supports_python3": False,
        "project_urls": {"Changes": "https://old.example.org/changes/", "Odd": "javascript:alert(6)"},
        "vulnerabilities": [
            {
                "id": "PYSEC-2026-1",
                "aliases": ["CVE-2026-1", "GHSA-1"],
                "summary": "Keys collide.",
                "link": "https://osv.example.org/PYSEC-2026-1",
                "fixed_in": ["1.0", "1.1"],
            }
        ],
    }
    for name, value in facts.items():
        setattr(package, name, value)
    error = "https://codeberg.org/api/v1/repos/owner/old answered 502: <b>bad\n\u202egateway</b> " + "on and on " * 50
    failure = {"failures": 2, "last_error": error, "last_error_at": NOW - timedelta(minutes=20)}
    due = NOW + timedelta(hours=2, minutes=1)
    make_source_state(
        session, package, "repo", "codeberg.org", fetched_at=NOW - timedelta(hours=3), next_due_at=due, **failure
    )
    make_source_state(session, package, "activity", "codeberg.org", fetched_at=NOW - timedelta(days=15))
    make_source_state(session, package, "people", "codeberg.org", fetched_at=None)
    make_source_state(session, package, "index", "pypi.org", fetched_at=NOW - timedelta(days=2))
    make_source_state(session, package, "downloads", "pypistats.org")
    for day in range(100):
        session.add(
            DailySample(
                package_id=package.id,
                day_on=(NOW - timedelta(days=day)).date(),
                stars=None if day == 5 else 8000 - day,
                downloads=500 - day if day % 7 == 0 else None,
            )
        )
    session.add(DailySample(package_id=package.id, day_on=(NOW - timedelta(days=401)).date(), stars=1, downloads=1))


def freeze_time(patch: pytest.MonkeyPatch) -> None:
    """Let pages be read at the time of the data."""
    patch.setattr("pkgsite.views.packages.utc_now", lambda: NOW)
    patch.setattr("pkgsite.views.filters.utc_now", lambda: NOW)


def make_many_packages(session: Session, count: int) -> list[Package]:
    """Add packages that all have the same known facts and the same grid, `many`."""
    many = [
        make_package(
            session,
            f"many-{number:03}",
            stars=5,
            description="One of many",
            last_commit_at=NOW,
            last_fetched_at=NOW,
            participants=["ada"],
        )
        for number in range(count)
    ]
    grid = make_grid(session, "many", packages=tuple(many), header=True)
    feature = make_feature(session, grid)
    for package in many:
        fill_cell(session, feature, package, "yes")
    user = User(username="collector", created_at=NOW)
    session.add(user)
    session.flush()
    for package in many:
        session.add(Favourite(user_id=user.id, package_id=package.id, created_at=NOW))
        session.add(Usage(user_id=user.id, package_id=package.id, created_at=NOW))
        session.add(Release(package_id=package.id, number="1.0", created_at=NOW))
    session.commit()
    return many
