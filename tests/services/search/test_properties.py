"""Properties of search that hold for any query, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from pkgsite.models import User
from pkgsite.rules.search.query import parse_query
from pkgsite.rules.search.tokenizer import split_words
from pkgsite.services.search.analysis import plan_query
from pkgsite.services.search.hits import Hit
from pkgsite.services.search.query import PAGE_SIZE, SearchResults, search, search_mixed
from tests.factories import NOW, make_category, make_grid, make_package

PREFIXES = ("django",)
WORDS = (
    "cache",
    "caching",
    "rest",
    "framework",
    "forms",
    "form",
    "redis",
    "queue",
    "python",
    "django",
    "ünïcode",
    "c++",
)
many_examples = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
few_examples = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

QUERY_FRAGMENTS = (
    *WORDS, "NEAR", "AND", "OR", "NOT", '"', '""', "(", ")", "*", "^", "-", "--", "+", ":", "&", "|", "!", "<->",
    "\\", "'", "';--", "%", "_", "name:", "licence:", "stars:>10", "stars:..", "stars:>x", "updated:<90d",
    "updated:<99999999y", "updated:>0000-00-00", "python:3", "python:3.12", "by:ada", "is:maintained", "-is:maintained",
    "is:x", "grid:", "category:apps", "-category:apps", 'licence:"apache 2"', "\0", "🚀", "日本語", "ﷺ", "\u202e", "ß",
    "İ", "x" * 300, "a:b:c", "{name}:x", "http://[", "pip install", "=cache", "~cache", "<ca", "kind:package", "\ud800",
)  # fmt: skip
queries = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(QUERY_FRAGMENTS), max_size=9).map(" ".join),
                  st.lists(st.sampled_from(QUERY_FRAGMENTS), max_size=6).map("".join))  # fmt: skip


@pytest.fixture
def sample_packages(session: Session) -> Session:
    """Packages whose texts combine a few words in many ways."""
    categories = [make_category(session, slug) for slug in ("apps", "tools")]
    packages = []
    for number in range(60):
        words = [WORDS[(number * step + number // 7) % len(WORDS)] for step in (1, 3, 5, 7)]
        packages.append(
            make_package(
                session,
                f"{split_words(words[0])[0]}-{split_words(words[1])[0]}-{number}",
                title=f"{words[0]} {words[1]} {number}",
                description=" ".join(words[1:]),
                category=categories[number % 2],
                stars=None if number % 6 == 0 else number * 3,
                licence=("MIT", "Apache-2.0", None)[number % 3],
                pypi_version="1" if number % 2 else None,
                requires_python=">=3.13" if number % 4 else None,
                participants=["ada", "Jane Doe"][: number % 3],
                topics=[words[3]],
                last_commit_at=NOW - timedelta(days=number * 20) if number % 5 else None,
                archived_at=NOW if number % 11 == 0 else None,
            )
        )
    make_grid(session, "caching", tuple(packages[::4]))
    make_grid(session, "queues", tuple(packages[::9]), title="Queues & jobs")
    session.commit()
    return session


def find(session: Session, query: str, offset: int = 0) -> SearchResults:
    return search(session, query, ignored_prefixes=PREFIXES, now=NOW, offset=offset)


def all_hits(session: Session, query: str) -> list[Hit]:
    page = find(session, query)
    hits = list(page.packages)
    while len(hits) < page.count:
        hits += find(session, query, len(hits)).packages
    return hits


def contains_phrase(words: list[str], phrase: list[str]) -> bool:
    return any(words[start : start + len(phrase)] == phrase for start in range(len(words)))


def fields_of(hit: Hit) -> list[list[str]]:
    """Return the words of each text field of a package."""
    texts = [hit.title, hit.slug, hit.description, hit.category, *hit.topics, *hit.grids, *hit.participants]
    return [split_words(text) for text in texts]


def test_no_query_fails(sample_packages: Session) -> None:
    @many_examples
    @given(queries)
    @example("x" * 10_000)
    @example('"' * 999)
    @example("-" * 999)
    @example("a " * 5_000)
    @example("(" * 500)
    def check(query: str) -> None:
        page = find(sample_packages, query)
        assert len(page.packages) <= PAGE_SIZE
        assert len(search_mixed(sample_packages, query, ignored_prefixes=PREFIXES, now=NOW, limit=20)) <= 20

    check()


def test_no_hit_contains_an_excluded_word(sample_packages: Session) -> None:
    @few_examples
    @given(st.lists(st.sampled_from(WORDS), min_size=0, max_size=2), st.sampled_from(WORDS))
    def check(words: list[str], excluded: str) -> None:
        (word,) = split_words(excluded)
        for hit in all_hits(sample_packages, f"{' '.join(words)} -{excluded}"):
            assert not any(word in field for field in fields_of(hit)), hit

    check()


def test_every_hit_contains_the_quoted_words(sample_packages: Session) -> None:
    seen = 0

    @few_examples
    @given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=2), st.lists(st.sampled_from(WORDS), max_size=1))
    @example(["cache", "rest"], [])
    def check(quoted: list[str], others: list[str]) -> None:
        nonlocal seen
        phrase = split_words(" ".join(quoted))
        for hit in all_hits(sample_packages, f'{" ".join(others)} "{" ".join(quoted)}"'):
            seen += 1
            assert any(contains_phrase(words, phrase) for words in fields_of(hit)), hit

    check()
    assert seen


@pytest.mark.long
def test_a_facet_counts_as_many_results_as_its_filter_finds(sample_packages: Session) -> None:
    filters = ["", "licence:mit", "is:maintained", "-is:maintained", "stars:>50", "-stars:>50", "grid:caching",
               "python:3.13", "updated:<1y", "by:ada", "-by:ada", "licence:mit licence:apache-2.0"]  # fmt: skip

    @few_examples
    @given(st.lists(st.sampled_from([*WORDS, "djngo", "-rest", '"rest"']), max_size=2), st.sampled_from(filters))
    def check(words: list[str], condition: str) -> None:
        page = find(sample_packages, " ".join([*words, condition]))
        assert page.count == len(all_hits(sample_packages, " ".join([*words, condition])))
        for facet in page.facets:
            for value in facet.values:
                assert value.is_exact
                assert 0 < value.count == find(sample_packages, value.q).count, (page.query, value)

    check()


def test_counts_above_the_limit_are_not_exact(sample_packages: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uses a lower limit than the real one."""
    monkeypatch.setattr("pkgsite.services.search.query.MAX_RESULTS", 10)
    page = search(sample_packages, "-zzz", ignored_prefixes=PREFIXES, now=NOW)
    assert (page.count, page.is_exact) == (10, False)
    monkeypatch.setattr("pkgsite.services.search.query.MAX_RESULTS", 1000)
    exact = {value.q: value for facet in find(sample_packages, "-zzz").facets for value in facet.values}
    assert page.facets
    for facet in page.facets:
        for value in facet.values:
            real = exact[value.q].count
            assert (value.count, value.is_exact) == ((real, True) if real <= 10 else (10, False)), value


def test_facets_of_very_many_results_count_only_the_ranked_ones(
    sample_packages: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counting over all results would take too long. The counts are then minimums."""
    monkeypatch.setattr("pkgsite.services.search.query.MAX_RESULTS", 10)
    monkeypatch.setattr("pkgsite.services.search.facets.MAX_COUNTED", 11)
    page = find(sample_packages, "-zzz")
    values = [value for facet in page.facets for value in facet.values]
    assert page.is_sampled
    assert not any(value.is_exact for value in values)
    below_limit = [value for value in values if value.count < 10]
    assert below_limit
    monkeypatch.setattr("pkgsite.services.search.query.MAX_RESULTS", 1000)
    for value in below_limit:
        assert value.count <= find(sample_packages, value.q).count
    assert any(value.count < find(sample_packages, value.q).count for value in below_limit)
    assert not find(sample_packages, "-zzz").is_sampled


@pytest.mark.parametrize("query", ["pyt", "python", "pytho", "java script", "pythn", "a java script licence:mit"])
def test_the_upper_bound_is_never_below_the_number_of_results(session: Session, query: str) -> None:
    """It decides whether all results are read to be counted. Completions and joined words are included."""
    make_package(session, "one", title="pyt", description="A java script", licence="MIT")
    for number in range(10):
        make_package(session, f"python-{number}", description="A javascript", licence="MIT")
    session.commit()
    plan = plan_query(session, parse_query(query), ignored_prefixes=PREFIXES, now=NOW)
    assert find(session, query).count <= plan.loose_upper_bound <= plan.package_count == 11


def test_above_the_limit_the_most_popular_packages_are_ranked(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pkgsite.services.search.query.MAX_RESULTS", 3)
    apps = make_category(session, "apps", title="Redis")
    for number in range(5):
        make_package(session, f"t{number}", category=apps, description="A cache", stars=10 ** (number + 1))
    make_package(session, "little-redis", category=apps, description="A cache")
    make_package(session, "redis-cache", category=apps)
    session.commit()
    page = find(session, "redis cache")
    assert ([hit.slug for hit in page.packages], page.is_exact) == (["redis-cache", "t4", "t3"], False)


def test_exclusions_are_unlimited_but_filters_are_not(sample_packages: Session) -> None:
    others = " ".join(f"-x{number}" for number in range(13))
    assert not any(
        "redis" in words for hit in all_hits(sample_packages, f"cache {others} -redis") for words in fields_of(hit)
    )
    assert find(sample_packages, f'"cache {" ".join("a" * 13)}"').is_empty
    twelve = " ".join(f"stars:>{number}" for number in range(12))
    (ignored,) = find(sample_packages, f"{twelve} is:archived").query.invalid_filters
    assert ignored.text == "is:archived"


def test_a_long_query_has_no_facets_that_would_exceed_the_maximum_length(sample_packages: Session) -> None:
    page = find(sample_packages, "cache " * 33)
    assert page.count
    for facet in page.facets:
        for value in facet.values:
            assert value.count == find(sample_packages, value.q).count


def test_people_match_phrases_and_exclusions(session: Session) -> None:
    make_package(session, "one", participants=["ada", "ada-lovelace", "ada-byron", *(f"jane{n}" for n in range(6))])
    session.add(User(username="jane", created_at=NOW, role="user", is_active=True, shares_favourites=False, links=[]))
    session.commit()
    assert [hit.name for hit in find(session, "ada -lovelace").people] == ["ada", "ada-byron"]
    assert [hit.name for hit in find(session, 'ada "byron"').people] == ["ada-byron"]
    assert find(session, "jane").people[0].username == "jane"


@pytest.mark.parametrize("word", ["python", "licence", "category"])
def test_a_word_that_is_the_name_of_a_filter_is_searched_for_as_a_word(sample_packages: Session, word: str) -> None:
    for hit in all_hits(sample_packages, word):
        assert any(one.startswith(word) for words in fields_of(hit) for one in words), hit
