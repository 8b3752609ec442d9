"""What holds for a search whatever is typed, on both engines."""

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
many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

QUERY_FRAGMENTS = (
    *WORDS, "NEAR", "AND", "OR", "NOT", '"', '""', "(", ")", "*", "^", "-", "--", "+", ":", "&", "|", "!", "<->",
    "\\", "'", "';--", "%", "_", "name:", "licence:", "stars:>10", "stars:..", "stars:>x", "updated:<90d",
    "updated:<99999999y", "updated:>0000-00-00", "python:3", "python:3.12", "by:ada", "is:maintained", "-is:maintained",
    "is:x", "grid:", "category:apps", "-category:apps", 'licence:"apache 2"', "\0", "🚀", "日本語", "ﷺ", "\u202e", "ß",
    "İ", "x" * 300, "a:b:c", "{name}:x", "http://[", "pip install", "=cache", "~cache", "<ca", "kind:package", "\ud800",
)  # fmt: skip
texts = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(QUERY_FRAGMENTS), max_size=9).map(" ".join),
                  st.lists(st.sampled_from(QUERY_FRAGMENTS), max_size=6).map("".join))  # fmt: skip


@pytest.fixture
def shelf(session: Session) -> Session:
    """Packages of few words in many ways: every third word of one, every fifth of another."""
    kinds = [make_category(session, slug) for slug in ("apps", "tools")]
    packages = []
    for number in range(60):
        words = [WORDS[(number * step + number // 7) % len(WORDS)] for step in (1, 3, 5, 7)]
        packages.append(
            make_package(
                session,
                f"{split_words(words[0])[0]}-{split_words(words[1])[0]}-{number}",
                title=f"{words[0]} {words[1]} {number}",
                description=" ".join(words[1:]),
                category=kinds[number % 2],
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


def find(session: Session, typed: str, offset: int = 0) -> SearchResults:
    return search(session, typed, ignored_prefixes=PREFIXES, now=NOW, offset=offset)


def all_hits(session: Session, typed: str) -> list[Hit]:
    page = find(session, typed)
    hits = list(page.packages)
    while len(hits) < page.count:
        hits += find(session, typed, len(hits)).packages
    return hits


def fields_of(hit: Hit) -> list[list[str]]:
    """Return the words of each text of a package."""
    texts = [hit.title, hit.slug, hit.description, hit.category, *hit.topics, *hit.grids, *hit.participants]
    return [split_words(text) for text in texts]


def test_nothing_that_is_typed_fails(shelf: Session) -> None:
    @many
    @given(texts)
    @example("x" * 10_000)
    @example('"' * 999)
    @example("-" * 999)
    @example("a " * 5_000)
    @example("(" * 500)
    def check(typed: str) -> None:
        page = find(shelf, typed)
        assert len(page.packages) <= PAGE_SIZE
        assert len(search_mixed(shelf, typed, ignored_prefixes=PREFIXES, now=NOW, limit=20)) <= 20

    check()


def test_a_word_with_a_minus_is_in_no_hit(shelf: Session) -> None:
    @few
    @given(st.lists(st.sampled_from(WORDS), min_size=0, max_size=2), st.sampled_from(WORDS))
    def check(wanted: list[str], unwanted: str) -> None:
        (word,) = split_words(unwanted)
        for hit in all_hits(shelf, f"{' '.join(wanted)} -{unwanted}"):
            assert not any(word in words for words in fields_of(hit)), hit

    check()


def test_words_in_quotes_are_in_every_hit(shelf: Session) -> None:
    seen = 0

    @few
    @given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=2), st.lists(st.sampled_from(WORDS), max_size=1))
    @example(["cache", "rest"], [])
    def check(quoted: list[str], others: list[str]) -> None:
        nonlocal seen
        phrase = split_words(" ".join(quoted))
        for hit in all_hits(shelf, f'{" ".join(others)} "{" ".join(quoted)}"'):
            seen += 1
            assert any(
                words[at : at + len(phrase)] == phrase for words in fields_of(hit) for at in range(len(words))
            ), hit

    check()
    assert seen


@pytest.mark.long
def test_what_a_facet_counts_is_what_it_finds(shelf: Session) -> None:
    filters = ["", "licence:mit", "is:maintained", "-is:maintained", "stars:>50", "-stars:>50", "grid:caching",
               "python:3.13", "updated:<1y", "by:ada", "-by:ada", "licence:mit licence:apache-2.0"]  # fmt: skip

    @few
    @given(st.lists(st.sampled_from([*WORDS, "djngo", "-rest", '"rest"']), max_size=2), st.sampled_from(filters))
    def check(words: list[str], condition: str) -> None:
        page = find(shelf, " ".join([*words, condition]))
        assert page.count == len(all_hits(shelf, " ".join([*words, condition])))
        for facet in page.facets:
            for value in facet.values:
                assert value.is_exact
                assert 0 < value.count == find(shelf, value.q).count, (page.query, value)

    check()


def test_past_a_thousand_counts_say_so(shelf: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is lowered: what is counted is counted the same way."""
    monkeypatch.setattr("pkgsite.services.search.query.MAX_RESULTS", 10)
    whole = {value.q: value.count for facet in find(shelf, "-zzz").facets for value in facet.values}
    page = search(shelf, "-zzz", ignored_prefixes=PREFIXES, now=NOW)
    assert (page.count, page.is_exact) == (10, False)
    monkeypatch.setattr("pkgsite.services.search.query.MAX_RESULTS", 1000)
    exact = {value.q: value for facet in find(shelf, "-zzz").facets for value in facet.values}
    assert whole
    for facet in page.facets:
        for value in facet.values:
            real = exact[value.q].count
            assert (value.count, value.is_exact) == ((real, True) if real <= 10 else (10, False)), value


def test_where_very_many_may_fit_facets_count_the_first(shelf: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many that to count each facet among all would take long: then a count says that it is the least."""
    monkeypatch.setattr("pkgsite.services.search.query.MAX_RESULTS", 10)
    monkeypatch.setattr("pkgsite.services.search.facets.MAX_COUNTED", 11)
    page = find(shelf, "-zzz")
    values = [value for facet in page.facets for value in facet.values]
    assert page.is_sampled
    assert not any(value.is_exact for value in values)
    batch = [value for value in values if value.count < 10]
    assert batch
    monkeypatch.setattr("pkgsite.services.search.query.MAX_RESULTS", 1000)
    for value in batch:
        assert value.count <= find(shelf, value.q).count
    assert any(value.count < find(shelf, value.q).count for value in batch)
    assert not find(shelf, "-zzz").is_sampled


@pytest.mark.parametrize("typed", ["pyt", "python", "pytho", "java script", "pythn", "a java script licence:mit"])
def test_how_many_may_fit_is_not_told_too_low(session: Session, typed: str) -> None:
    """By it is decided whether all are read to be counted: beginnings and joined words count too."""
    make_package(session, "one", title="pyt", description="A java script", licence="MIT")
    for number in range(10):
        make_package(session, f"python-{number}", description="A javascript", licence="MIT")
    session.commit()
    understood = plan_query(session, parse_query(typed), ignored_prefixes=PREFIXES, now=NOW)
    assert find(session, typed).count <= understood.loose_upper_bound <= understood.package_count == 11


def test_past_the_limit_both_engines_rank_the_best_known(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkgsite.services.search.query.MAX_RESULTS", 3)
    apps = make_category(session, "apps", title="Redis")
    for number in range(5):
        make_package(session, f"t{number}", category=apps, description="A cache", stars=10 ** (number + 1))
    make_package(session, "little-redis", category=apps, description="A cache")
    make_package(session, "redis-cache", category=apps)
    session.commit()
    page = find(session, "redis cache")
    assert ([hit.slug for hit in page.packages], page.is_exact) == (["redis-cache", "t4", "t3"], False)


def test_all_that_is_not_wanted_counts(shelf: Session) -> None:
    others = " ".join(f"-x{number}" for number in range(13))
    assert not any("redis" in words for hit in all_hits(shelf, f"cache {others} -redis") for words in fields_of(hit))
    assert find(shelf, f'"cache {" ".join("a" * 13)}"').is_empty
    twelve = " ".join(f"stars:>{number}" for number in range(12))
    (untold,) = find(shelf, f"{twelve} is:archived").query.invalid_filters
    assert untold.text == "is:archived"


def test_a_text_that_is_nearly_too_long_offers_no_facet_that_would_be_cut(shelf: Session) -> None:
    page = find(shelf, "cache " * 33)
    assert page.count
    for facet in page.facets:
        for value in facet.values:
            assert value.count == find(shelf, value.q).count


def test_people_have_the_phrases_and_nothing_that_is_not_wanted(session: Session) -> None:
    make_package(session, "one", participants=["ada", "ada-lovelace", "ada-byron", *(f"jane{n}" for n in range(6))])
    session.add(User(username="jane", created_at=NOW, role="user", is_active=True, shares_favourites=False, links=[]))
    session.commit()
    assert [hit.name for hit in find(session, "ada -lovelace").people] == ["ada", "ada-byron"]
    assert [hit.name for hit in find(session, 'ada "byron"').people] == ["ada-byron"]
    assert find(session, "jane").people[0].username == "jane"


@pytest.mark.parametrize("word", ["python", "licence", "category"])
def test_a_word_that_is_a_filters_name_finds_only_what_has_it(shelf: Session, word: str) -> None:
    for hit in all_hits(shelf, word):
        assert any(one.startswith(word) for words in fields_of(hit) for one in words), hit
