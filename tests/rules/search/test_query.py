"""What search makes of texts, of what is typed, of misspelt words, and in which order it puts things."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules import pasted_references as pasted
from pkgsite.rules.pasted_references import parse_pasted_reference
from pkgsite.rules.search import query as search_query
from pkgsite.rules.search import spelling
from pkgsite.rules.search import tokenizer as search_words
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
LETTERS = "abcd"
words = st.text(LETTERS, min_size=1, max_size=9)


@pytest.mark.parametrize("module", [pasted, search_query, search_words, spelling])
def test_examples(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0
    assert doctest.testmod(module).attempted


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("Caching, for the Django-ORM", ["caching", "for", "the", "django", "orm"]),
        ("Łódź Straße ÆSIR naïve ﬁne", ["lodz", "strasse", "aesir", "naive", "fine"]),
        ("C++ and C# and f#", ["cpp", "and", "csharp", "and", "fsharp"]),
        ("日本語 text", ["日", "本", "語", "text"]),
        ("🚀 … -- '\"", []),
        ("x" * 100, ["x" * 60]),
    ],
)
def test_words_of_a_text(text: str, cut: list[str]) -> None:
    assert split_words(text) == cut


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert all(split_words(word) == [word] for word in split_words(text))


def test_names() -> None:
    same = {normalise_name(name) for name in ("Django REST framework", "django_rest-framework", "DjangoRESTframework")}
    assert same == {"djangorestframework"}
    assert name_words("DjangoRESTFramework") == ["django", "rest", "framework"]
    assert strip_prefix("djangocms", ("django",)) == "cms"
    assert strip_prefix("django", ("django",)) == "django"
    assert strip_prefix("djangox", ("django",)) == "djangox"  # one letter is no name
    assert stem("caching") == stem("cached") != stem("cash")
    assert keyword_value(" Apache License, 2.0 ") == "apache-license-2.0"


def test_what_is_typed() -> None:
    query = parse_query(
        'Rest -xml -"two words" "class based" licence:MIT -is:archived stars:many foo:bar by:"Jane Doe" - "'
    )
    assert query.words == ("rest", "foo", "bar")
    assert query.phrases == (("class", "based"),)
    assert query.excluded == (("xml",), ("two", "words"))
    assert query.filters == (Filter("licence", "MIT"), Filter("is", "archived", True), Filter("by", "Jane Doe"))
    assert query.invalid_filters == (Filter("stars", "many"),)
    assert query.without_filters(query.filters[0]) == (
        'Rest foo:bar "class based" -xml -"two words" -is:archived by:"Jane Doe"'
    )  # what can't be read is left out
    assert query.with_filter(Filter("licence", "bsd")).endswith('-is:archived by:"Jane Doe" licence:bsd')
    assert parse_query("-").is_empty
    assert not parse_query("-a").is_empty
    assert parse_query("flask-login").words == ("flask", "login")


@given(st.text())
def test_what_is_typed_again_means_the_same(text: str) -> None:
    query = parse_query(text)
    again = parse_query(query.without_filters())
    if len(query.without_filters()) <= 200:
        assert (again.words, again.phrases, again.excluded, again.filters) == (
            query.words, query.phrases, query.excluded, query.filters,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "found"),
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
def test_stars(value: str, found: NumberRange | None) -> None:
    assert parse_stars_range(value) == found


def test_times() -> None:
    day = int(datetime(2026, 1, 31, tzinfo=UTC).timestamp())
    ago = int((NOW - timedelta(days=90)).timestamp())
    assert parse_updated_range("<90d", NOW) == parse_updated_range("90d", NOW) == NumberRange(minimum=ago)
    assert parse_updated_range(">90d", NOW) == NumberRange(maximum=ago)
    assert parse_updated_range("2026-01-31", NOW) == NumberRange(day, day + 86_399)
    assert parse_updated_range(">2026-01-31", NOW) == NumberRange(minimum=day + 86_400)
    assert parse_updated_range(">=2026-01-31", NOW) == NumberRange(minimum=day)
    assert parse_updated_range("<2026-01-31", NOW) == NumberRange(maximum=day - 1)
    assert parse_updated_range("<=2026-01-31", NOW) == NumberRange(maximum=day + 86_399)
    assert [parse_updated_range(text, NOW) for text in ("soon", "2026-02-30", "<", "90")] == [None] * 4


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("pip install django-cacheops", "django-cacheops"),
        ("$ python3 -m pip install -U 'Django_Q[x]==1.0'", "Django_Q"),
        ("uv add requests", "requests"),
        ("pip install git+https://github.com/a/b.git@main#egg=b", "https://github.com/a/b.git"),
        ("pip install -e", ""),
        ("pip install -r requirements.txt", ""),
        ("pip install -i https://index.example.org/simple --upgrade foo", "foo"),
        ("conda install -c conda-forge foo", "foo"),
        ("conda packages for django", ""),
        ("https://gitlab.com/a/b/-/issues", "https://gitlab.com/a/b/-/issues"),
        ("github.com/a/b", "github.com/a/b"),
        ("git@github.com:a/b.git", "git@github.com:a/b.git"),
        ("how to pip install things", ""),
        ("rest framework", ""),
        ("a/b", ""),
    ],
)
def test_what_is_pasted(typed: str, found: str) -> None:
    assert parse_pasted_reference(typed) == found


def brute_distance(one: str, other: str) -> int:
    """The same by its definition, letter for letter."""
    if not one or not other:
        return len(one) + len(other)
    ways = [
        brute_distance(one[:-1], other) + 1,
        brute_distance(one, other[:-1]) + 1,
        brute_distance(one[:-1], other[:-1]) + (one[-1] != other[-1]),
    ]
    if len(one) > 1 and len(other) > 1 and one[-1] == other[-2] and one[-2] == other[-1]:
        ways.append(brute_distance(one[:-2], other[:-2]) + 1)
    return min(ways)


@given(st.text(LETTERS, max_size=5), st.text(LETTERS, max_size=5))
def test_slips_are_counted(one: str, other: str) -> None:
    assert edit_distance(one, other, 2) == min(3, brute_distance(one, other))


@given(st.text(LETTERS, min_size=4, max_size=9), st.data())
def test_a_single_slip_leaves_a_beginning_and_an_end_as_they_are(word: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(word) - 2))
    slipped = data.draw(
        st.sampled_from(
            [
                word[:at] + word[at + 1 :],
                word[:at] + "x" + word[at:],
                word[:at] + "x" + word[at + 1 :],
                word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            ]
        )
    )
    assert any(word.startswith(beginning) and word.endswith(end) for beginning, end in affix_pairs(slipped))
    assert edit_distance(slipped, word, 1) <= 1


def test_the_likeliest_word() -> None:
    known = [
        IndexedWord("framework", 9),
        IndexedWord("frameworks", 50),
        IndexedWord("django", 99),
        IndexedWord("jango", 1),
    ]
    assert [other.word for other in closest_words("framewrok", known, max_distance=2)] == ["framework"]
    assert [other.word for other in closest_words("djngo", known, max_distance=1)] == ["django"]
    assert closest_words("abc", [IndexedWord("abd", 9)], max_distance=0) == []


standings = st.builds(
    RankSignals,
    is_active=st.booleans(),
    stars=st.none() | st.integers(-5, 10**7),
    downloads=st.none() | st.integers(0, 10**12),
    usage_count=st.integers(0, 10**6),
    last_activity_at=st.none() | st.just(NOW) | st.just(NOW - timedelta(days=400)),
)


@given(st.sampled_from(Kind), st.integers(1, 2**35 - 1), standings)
def test_a_place_tells_what_is_there(kind: Kind, item_id: int, standing: RankSignals) -> None:
    at = rank_key(kind, item_id, standing, NOW)
    assert (kind_from_rank_key(at), item_id_from_rank_key(at)) == (kind, item_id)
    assert 0 <= popularity(standing, NOW) <= 1023


@given(standings, standings, st.integers(1, 10**6), st.integers(1, 10**6))
def test_the_living_and_the_better_known_come_first(
    one: RankSignals, other: RankSignals, first: int, second: int
) -> None:
    before = rank_key(Kind.PACKAGE, first, one, NOW) < rank_key(Kind.PACKAGE, second, other, NOW)
    if one.is_active != other.is_active:
        assert before == one.is_active
    elif popularity(one, NOW) != popularity(other, NOW):
        assert before == (popularity(one, NOW) > popularity(other, NOW))


def test_active_has_a_former_word() -> None:
    active, living = parse_query("is:active -is:Active").filters, parse_query("is:living").filters
    assert {one.keyword for one in (*active, *living)} == {"is:living"}
    assert [one.text for one in active] == ["is:active", "-is:Active"]
