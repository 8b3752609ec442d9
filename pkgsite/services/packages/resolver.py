"""Finds the packages that texts refer to: slugs, project names, repository URLs, and lines that contain one of them.

The search box, the API's lookup, adding a package and webhooks all use it. It reads the packages themselves, so it also
finds those whose facts have never been fetched.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from packaging.utils import canonicalize_name
from sqlalchemy import CompoundSelect, and_, func, select, union_all
from sqlalchemy.orm import Session, aliased

from pkgsite.clients.base import Gateways
from pkgsite.errors import Invalid
from pkgsite.models import Package, PackageSlugRedirect, SourceState
from pkgsite.models.package import INDEX_NAME, SLUG_SPELLING
from pkgsite.rules.freshness import Source
from pkgsite.rules.pypi_names import is_pypi_name, parse_pypi_name
from pkgsite.rules.references import INDEX_HOSTS, Form, Reference, parse_reference
from pkgsite.rules.repo_urls import normalise_repo_url, repo_key
from pkgsite.rules.slugs import MAX_LENGTH, slug_key
from pkgsite.services.packages.records import Ref

_SCHEMES = ("https://", "http://", "https://www.", "http://www.")
_SUFFIXES = ("", "/", ".git", ".git/")
_ANY_URL = re.compile(r"^(?:[\w+]+://)?(?:[^@/]+@)?(?:www\.)?([^/:@]+)[:/]+(\S+)$")
_PROJECT_PAGES = ("pypi", "project", "simple")

# What a package is found by, and its value: ("slug", "django-q"). In the order in which keys are compared.
Key: TypeAlias = tuple[str, str]
SLUG, SLUG_IN_ANY_CASE, FORMER_SLUG, PROJECT, SPELLING = (
    "slug",
    "slug in any case",
    "former slug",
    "project",
    "spelling",
)
REPO, MOVED_REPO = "repository", "moved repository"


def resolve(session: Session, texts: Collection[str], gateways: Gateways) -> dict[str, list[Ref]]:
    """Return the visible packages that each text refers to, the oldest first, in three queries.

    A merged package counts as the package that it was merged into. Texts that refer to no package are omitted.

    Args:
        session: The database session.
        texts: Slugs, project names or URLs in any form, or lines that contain one of them.
        gateways: The hosts of the site.
    """
    index_hosts = INDEX_HOSTS | {gateways.package_index_host}
    keys = {text: reference_keys(parse_reference(text, index_hosts), text, gateways.host_kinds) for text in texts}
    packages = _load(session, {key for text_keys in keys.values() for key in text_keys}, gateways)
    found = {text: next(filter(None, map(packages.get, text_keys)), []) for text, text_keys in keys.items()}
    return {text: refs for text, refs in found.items() if refs}


def resolve_one(session: Session, text: str, gateways: Gateways) -> Ref | None:
    """Return the package that a text refers to; if there are several, the oldest."""
    return next(iter(resolve(session, [text], gateways).get(text, ())), None)


def resolve_name(session: Session, name: str, gateways: Gateways) -> Ref | None:
    """Return the package with this slug or project name, in any spelling; if there are several, the oldest."""
    keys = name_keys(name)
    packages = _load(session, keys, gateways)
    return next((ref for key in keys for ref in packages.get(key)), None)


def packages_of_repositories(session: Session, urls: Collection[str], gateways: Gateways) -> dict[str, list[Ref]]:
    """Return the visible packages of each of these repositories, the oldest first; unknown URLs are omitted."""
    keys = {url: repository_keys(url, gateways.host_kinds) for url in urls}
    packages = _load(session, {key for url_keys in keys.values() for key in url_keys}, gateways)
    found = {url: next(filter(None, map(packages.get, url_keys)), []) for url, url_keys in keys.items()}
    return {url: refs for url, refs in found.items() if refs}


def reference_keys(reference: Reference, text: str, host_kinds: Mapping[str, str]) -> list[Key]:
    """Return the keys that find the package of a reference, the most specific first."""
    names = name_keys(text.strip()) if reference.form is Form.WORDS else name_keys(reference.project)
    if reference.form is not Form.WORDS:  # a project is meant
        names.sort(key=lambda key: key[0] != PROJECT)
    repositories = repository_keys(reference.repo_url, host_kinds) if reference.repo_url else []
    pages = name_keys(reference.slug)
    return [*names, *repositories, *pages] if reference.form is Form.REQUIREMENT else [*repositories, *pages, *names]


def name_keys(name: str) -> list[Key]:
    """Return the keys that find a package by a slug or a project name, in any spelling."""
    if not name or "\0" in name:
        return []
    lower = slug_key(name)
    keys = [(SLUG, name), (SLUG_IN_ANY_CASE, lower), (FORMER_SLUG, lower)] if len(name) <= MAX_LENGTH else []
    project = str(canonicalize_name(parse_pypi_name(name)))
    if is_pypi_name(project):
        keys.append((PROJECT, project))
    return [*keys, (SPELLING, slug_spelling(name))]


def repository_keys(url: str, host_kinds: Mapping[str, str]) -> list[Key]:
    """Return the keys that find a package by the current or a former URL of its repository."""
    key = _repository(url, host_kinds)
    return [(REPO, key), (MOVED_REPO, key)] if key else []


def slug_spelling(slug: str) -> str:
    """Return a key that is equal for all spellings of a slug; the same as `SLUG_SPELLING` in the database.

    >>> slug_spelling("Django_Q.x")
    'django-q-x'
    """
    return slug_key(slug).replace("_", "-").replace(".", "-").replace(" ", "-")


def _repository(url: str, host_kinds: Mapping[str, str]) -> str:
    """Return the key of a repository; also of a URL that is not accepted for new packages."""
    try:
        return repo_key(normalise_repo_url(url, host_kinds))
    except Invalid:
        match = _ANY_URL.match(url)
        return repo_key(f"https://{match[1]}/{match[2]}") if match and "\0" not in url else ""


@dataclass(slots=True)
class _Found:
    """Packages by their keys. A visible package comes before those that were merged into another."""

    refs: dict[Key, dict[int, Ref]] = field(default_factory=dict)

    def add(self, keys: Iterable[Key], ref: Ref) -> None:
        for key in keys:
            self.refs.setdefault(key, {}).setdefault(ref.id, ref)

    def get(self, key: Key) -> list[Ref]:
        return list(self.refs.get(key, {}).values())


def _load(session: Session, keys: Collection[Key], gateways: Gateways) -> _Found:
    """Return the packages with any of these keys."""
    values: dict[str, list[str]] = {}
    for kind, value in sorted(keys):
        values.setdefault(kind, []).append(value)
    found = _Found()
    if not values:
        return found
    source_keys = _keys_of_sources(session, values)
    former_slugs = _keys_of_redirects(session, values)
    target = aliased(Package)
    rows = session.execute(
        select(
            Package.id,
            Package.title,
            Package.slug,
            Package.repo_url,
            Package.repo_moved_to,
            Package.pypi_url,
            Package.hidden_at,
            target.id.label("target_id"),
            target.title.label("target_title"),
            target.slug.label("target_slug"),
        )
        .outerjoin(target, and_(target.id == Package.merged_into_id, target.hidden_at.is_(None)))
        .where(Package.id.in_(_candidate_ids(values, gateways, {*source_keys, *former_slugs})))
        .order_by(Package.hidden_at.is_not(None), Package.id)
    )
    for row in rows:
        if row.hidden_at is not None and row.target_id is None:
            continue
        ref = (
            Ref(row.id, row.title, row.slug)
            if row.hidden_at is None
            else Ref(row.target_id, row.target_title, row.target_slug)
        )
        found.add(_keys_of_package(row, gateways.host_kinds), ref)
        found.add([*source_keys.get(row.id, ()), *former_slugs.get(row.id, ())], ref)
    return found


def _candidate_ids(
    values: Mapping[str, list[str]], gateways: Gateways, package_ids: Collection[int]
) -> CompoundSelect[tuple[int]]:
    """Return a query for the ids of all packages with these keys, and perhaps of others.

    It is a union, so that each part is served by its own index.
    """
    repo_urls = [
        f"{scheme}{key}{suffix}" for key in values.get(REPO, ()) for scheme in _SCHEMES for suffix in _SUFFIXES
    ]
    slugs, projects = {*values.get(SLUG_IN_ANY_CASE, ())}, {*values.get(PROJECT, ())}
    candidates: list[tuple[Any, Collection[Any]]] = [
        (Package.id, package_ids),
        (func.lower(Package.slug), slugs),
        (SLUG_SPELLING, {*values.get(SPELLING, ())}),
        (func.lower(Package.repo_url), repo_urls),
        (func.lower(Package.repo_moved_to), repo_urls),
        (INDEX_NAME, [page for project in projects for page in _project_pages(project, gateways)]),
    ]
    return union_all(*(select(Package.id).where(column.in_(options)) for column, options in candidates if options))


def _project_pages(project: str, gateways: Gateways) -> list[str]:
    """Return the values of `INDEX_NAME` for a project: its name, and the URLs of its pages."""
    hosts = [f"{www}{host}" for host in sorted(INDEX_HOSTS | {gateways.package_index_host}) for www in ("", "www.")]
    paths = [f"{host}/{page}/{project}" for host in hosts for page in _PROJECT_PAGES]
    pages = [f"{scheme}://{path}" for path in paths for scheme in ("https", "http")]
    return [project, *(page.replace(".", "-").replace("_", "-") for page in pages)]


def _keys_of_package(row: Any, host_kinds: Mapping[str, str]) -> list[Key]:
    lower = slug_key(row.slug)
    keys = [(SLUG, row.slug), (SLUG_IN_ANY_CASE, lower), (SPELLING, slug_spelling(row.slug))]
    project = parse_pypi_name(row.pypi_url)
    if project:
        keys.append((PROJECT, str(canonicalize_name(project))))
    if row.repo_url:
        keys.append((REPO, _repository(row.repo_url, host_kinds)))
    if row.repo_moved_to:
        keys.append((MOVED_REPO, _repository(row.repo_moved_to, host_kinds)))
    return keys


def _keys_of_sources(session: Session, values: Mapping[str, list[str]]) -> dict[int, list[Key]]:
    """Return the keys of packages whose sources are planned, by package id.

    They also cover stored URLs in unusual forms, such as that of a page within the repository.
    """
    targets = {*values.get(PROJECT, ()), *(key.partition("/")[2] for key in values.get(REPO, ()))}
    keys: dict[int, list[Key]] = {}
    if targets:
        rows = session.execute(
            select(SourceState.package_id, SourceState.source, SourceState.host, SourceState.target).where(
                SourceState.target.in_(targets), SourceState.source.in_((Source.REPO, Source.INDEX))
            )
        )
        for package_id, source, host, target in rows:
            key = (REPO, f"{host}/{target}") if source == Source.REPO else (PROJECT, target)
            keys.setdefault(package_id, []).append(key)
    return keys


def _keys_of_redirects(session: Session, values: Mapping[str, list[str]]) -> dict[int, list[Key]]:
    """Return the former slugs among these keys, by package id."""
    keys: dict[int, list[Key]] = {}
    if FORMER_SLUG in values:
        lower_slug = func.lower(PackageSlugRedirect.slug)
        rows = session.execute(
            select(PackageSlugRedirect.package_id, lower_slug.label("slug")).where(lower_slug.in_(values[FORMER_SLUG]))
        )
        for package_id, slug in rows:
            keys.setdefault(package_id, []).append((FORMER_SLUG, slug))
    return keys
