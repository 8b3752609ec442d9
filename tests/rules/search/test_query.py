"""The rules of search: tokenization, parsing of queries, spelling correction and ranking."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.search import query, spelling, tokenizer
from pkgsite.rules.search.query import Filter, NumberRange, parse_query, parse_stars_range, parse_updated_range
from pkgsite.rules.search.ranking import (
    Kind,
    RankSignals,
    item_id_from_rank_key,
    kind_from_rank_key,
    popularity,
    rank_key,
)
from pkgsite.rules.search.spelling import IndexedWord, affix_pairs, closest_words, edit_distance
from pkgsite.rules.search.tokenizer import (
    fold,
    keyword_value,
    name_words,
    normalise_name,
    split_words,
    stem,
    strip_prefix,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALPHABET = "abcd"


@pytest.mark.parametrize("module", [query, tokenizer, spelling])
def test_docstring_examples_are_correct(module: ModuleType) -> None:
    results = doctest.testmod(module)
    assert results.failed == 0
    assert results.attempted


@pytest.mark.parametrize(
    ("text", "expected_words"),
    [
        ("Caching, for the Django-ORM", ["caching", "for", "the", "django", "orm"]),
        ("Łódź Straße ÆSIR naïve ﬁne", ["lodz", "strasse", "aesir", "naive", "fine"]),
        ("C++ and C# and f#", ["cpp", "and", "csharp", "and", "fsharp"]),
        ("日本語 text", ["日", "本", "語", "text"]),
        ("🚀 … -- '\"", []),
        ("x" * 100, ["x" * 60]),
    ],
)
def test_text_is_split_into_folded_words(text: str, expected_words: list[str]) -> None:
    assert split_words(text) == expected_words


@given(st.text())
def test_folding_and_splitting_are_idempotent(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert all(split_words(word) == [word] for word in split_words(text))


def test_names_are_normalised() -> None:
    same = {normalise_name(name) for name in ("Django REST framework", "django_rest-framework", "DjangoRESTframework")}
    assert same == {"djangorestframework"}
    assert name_words("DjangoRESTFramework") == ["django", "rest", "framework"]
    assert strip_prefix("djangocms", ("django",)) == "cms"
    assert strip_prefix("django", ("django",)) == "django"
    assert strip_prefix("djangox", ("django",)) == "djangox"  # a single letter is not a name
    assert stem("caching") == stem("cached") != stem("cash")
    assert keyword_value(" Apache License, 2.0 ") == "apache-license-2.0"


def test_a_query_is_parsed_into_words_phrases_exclusions_and_filters() -> None:
    parsed = parse_query(
        'Rest -xml -"two words" "class based" licence:MIT -is:archived stars:many foo:bar by:"Jane Doe" - "'
    )
    assert parsed.words == ("rest", "foo", "bar")
    assert parsed.phrases == (("class", "based"),)
    assert parsed.excluded == (("xml",), ("two", "words"))
    assert parsed.filters == (Filter("licence", "MIT"), Filter("is", "archived", True), Filter("by", "Jane Doe"))
    assert parsed.invalid_filters == (Filter("stars", "many"),)
    assert parsed.without_filters(parsed.filters[0]) == (
        'Rest foo:bar "class based" -xml -"two words" -is:archived by:"Jane Doe"'
    )  # invalid filters are left out
    assert parsed.with_filter(Filter("licence", "bsd")).endswith('-is:archived by:"Jane Doe" licence:bsd')
    assert parse_query("-").is_empty
    assert not parse_query("-a").is_empty
    assert parse_query("flask-login").words == ("flask", "login")


@given(st.text())
def test_the_text_of_a_parsed_query_is_parsed_to_the_same_query(text: str) -> None:
    first = parse_query(text)
    again = parse_query(first.without_filters())
    if len(first.without_filters()) <= 200:
        assert (again.words, again.phrases, again.excluded, again.filters) == (
            first.words, first.phrases, first.excluded, first.filters,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("100", NumberRange(100, 100)),
        (">100", NumberRange(101)),
        (">=1k", NumberRange(1000)),
        ("<5", NumberRange(maximum=4)),
        ("<=5", NumberRange(maximum=5)),
        ("10..20", NumberRange(10, 20)),
        ("10..", NumberRange(10)),
        ("..", None),
        (">", None),
        ("x", None),
        ("-5", None),
        (">99999999999999999999", None),
    ],
)
def test_stars_filters_are_parsed(value: str, expected: NumberRange | None) -> None:
    assert parse_stars_range(value) == expected


def test_updated_filters_are_parsed() -> None:
    day = int(datetime(2026, 1, 31, tzinfo=UTC).timestamp())
    start = int((NOW - timedelta(days=90)).timestamp())
    assert parse_updated_range("<90d", NOW) == parse_updated_range("90d", NOW) == NumberRange(minimum=start)
    assert parse_updated_range(">90d", NOW) == NumberRange(maximum=start)
    assert parse_updated_range("2026-01-31", NOW) == NumberRange(day, day + 86_399)
    assert parse_updated_range(">2026-01-31", NOW) == NumberRange(minimum=day + 86_400)
    assert parse_updated_range(">=2026-01-31", NOW) == NumberRange(minimum=day)
    assert parse_updated_range("<2026-01-31", NOW) == NumberRange(maximum=day - 1)
    assert parse_updated_range("<=2026-01-31", NOW) == NumberRange(maximum=day + 86_399)
    assert [parse_updated_range(text, NOW) for text in ("soon", "2026-02-30", "<", "90")] == [None] * 4


def recursive_distance(one: str, other: str) -> int:
    """Return the edit distance by its recursive definition."""
    if not one or not other:
        return len(one) + len(other)
    distances = [
        recursive_distance(one[:-1], other) + 1,
        recursive_distance(one, other[:-1]) + 1,
        recursive_distance(one[:-1], other[:-1]) + (one[-1] != other[-1]),
    ]
    if len(one) > 1 and len(other) > 1 and one[-1] == other[-2] and one[-2] == other[-1]:
        distances.append(recursive_distance(one[:-2], other[:-2]) + 1)
    return min(distances)


@given(st.text(ALPHABET, max_size=5), st.text(ALPHABET, max_size=5))
def test_edit_distance_equals_its_recursive_definition(one: str, other: str) -> None:
    assert edit_distance(one, other, 2) == min(3, recursive_distance(one, other))


@given(st.text(ALPHABET, min_size=4, max_size=9), st.data())
def test_a_single_typo_leaves_one_of_the_affix_pairs_intact(word: str, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(word) - 2))
    misspelt = data.draw(
        st.sampled_from(
            [
                word[:index] + word[index + 1 :],
                word[:index] + "x" + word[index:],
                word[:index] + "x" + word[index + 1 :],
                word[:index] + word[index + 1] + word[index] + word[index + 2 :],
            ]
        )
    )
    assert any(word.startswith(start) and word.endswith(end) for start, end in affix_pairs(misspelt))
    assert edit_distance(misspelt, word, 1) <= 1


def test_the_closest_and_most_common_words_are_suggested() -> None:
    known = [
        IndexedWord("framework", 9),
        IndexedWord("frameworks", 50),
        IndexedWord("django", 99),
        IndexedWord("jango", 1),
    ]
    assert [other.word for other in closest_words("framewrok", known, max_distance=2)] == ["framework"]
    assert [other.word for other in closest_words("djngo", known, max_distance=1)] == ["django"]
    assert closest_words("abc", [IndexedWord("abd", 9)], max_distance=0) == []


signals = st.builds(
    RankSignals,
    is_active=st.booleans(),
    stars=st.none() | st.integers(-5, 10**7),
    downloads=st.none() | st.integers(0, 10**12),
    usage_count=st.integers(0, 10**6),
    last_activity_at=st.none() | st.just(NOW) | st.just(NOW - timedelta(days=400)),
)


@given(st.sampled_from(Kind), st.integers(1, 2**35 - 1), signals)
def test_a_rank_key_contains_the_kind_and_the_id(kind: Kind, item_id: int, rank_signals: RankSignals) -> None:
    key = rank_key(kind, item_id, rank_signals, NOW)
    assert (kind_from_rank_key(key), item_id_from_rank_key(key)) == (kind, item_id)
    assert 0 <= popularity(rank_signals, NOW) <= 1023


@given(signals, signals, st.integers(1, 10**6), st.integers(1, 10**6))
def test_active_and_popular_packages_come_first(
    one: RankSignals, other: RankSignals, one_id: int, other_id: int
) -> None:
    before = rank_key(Kind.PACKAGE, one_id, one, NOW) < rank_key(Kind.PACKAGE, other_id, other, NOW)
    if one.is_active != other.is_active:
        assert before == one.is_active
    elif popularity(one, NOW) != popularity(other, NOW):
        assert before == (popularity(one, NOW) > popularity(other, NOW))


def test_living_is_accepted_as_the_former_name_of_active() -> None:
    active, living = parse_query("is:active -is:Active").filters, parse_query("is:living").filters
    assert {one.keyword for one in (*active, *living)} == {"is:living"}
    assert [one.text for one in active] == ["is:active", "-is:Active"]
