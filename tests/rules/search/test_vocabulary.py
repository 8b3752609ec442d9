"""Filler words, synonyms, and the order of partial matches."""

from __future__ import annotations

import pytest

from pkgsite.errors import Invalid
from pkgsite.rules.search.compounds import compound_fields
from pkgsite.rules.search.expressions import Term
from pkgsite.rules.search.ranking import Interpretation, partial_expressions
from pkgsite.rules.search.tokenizer import split_words
from pkgsite.rules.search.vocabulary import content_words, load_synonyms, parse_synonyms


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("a package for tagging", ["tagging"]),
        ("how do i cache a page", ["cache", "page"]),
        ("alternatives to django q", ["django", "q"]),
        ("log in with facebook", ["login", "facebook"]),
        ("do not track", ["not", "track"]),
        ("how to", ["how", "to"]),
        ("the app", ["the", "app"]),
        ("django for", ["django", "for"]),
        ("caching querysets for", ["caching", "querysets"]),
        ("", []),
    ],
)
def test_filler_words_are_left_out(question: str, words: list[str]) -> None:
    assert list(content_words(question.split())) == words


def test_a_synonym_table_has_a_line_for_each_word() -> None:
    table = "# abbreviations\n\nDRF: REST framework, djangorestframework\ndrf: api\n"
    assert parse_synonyms(table) == {"drf": (("rest", "framework"), ("djangorestframework",), ("api",))}
    assert load_synonyms("") == {}
    assert ("rest", "framework") in load_synonyms(None)["drf"]


@pytest.mark.parametrize("line", ["drf", "drf:", "rest framework: drf", ": drf"])
def test_other_lines_are_rejected(line: str) -> None:
    with pytest.raises(Invalid) as error:
        parse_synonyms(line)
    assert line.strip() in error.value.problems["synonyms"][0]


def test_more_and_rarer_matches_come_first() -> None:
    interpretation = Interpretation(words=(("rare",), ("common",), ("medium",), ("unknown",)), name_keys=())
    expressions = partial_expressions([interpretation], (5.0, 1.0, 3.0, 0.0))
    words = [sorted(term.word for term in terms_of(expression)) for expression, _ in expressions]
    distinct = [list(one) for one in dict.fromkeys(tuple(dict.fromkeys(names)) for names in words)]
    assert distinct[:4] == [["common", "medium", "rare"], ["medium", "rare"], ["common", "rare"], ["rare"]]
    assert distinct[4:7] == [["common", "medium"], ["medium"], ["common"]]
    assert words[-1] == ["common", "medium", "rare", "unknown"]  # everything with at least one word


def terms_of(expression: object) -> list[Term]:
    if isinstance(expression, Term):
        return [expression]
    return [term for part in getattr(expression, "parts", ()) for term in terms_of(part)]


@pytest.mark.parametrize(
    ("name", "text", "parts"),
    [
        ("filetags", "Tags on files", ("file", "tags")),
        ("djangosmartshare", "Shares folders, the smart way", ("django", "smart", "share")),
        ("vectortiles", "Vector tiles", ("vector", "tiles")),
        ("reversetag", "A replacement for the url template tag", ()),
        ("forget", "For those who get things done", ()),  # "for" describes nothing
        ("tagging", "Tagging, tag by tag", ()),
        ("restarts", "REST for arts", ("rest", "arts")),
        ("dbtags", "Tags in the db", ()),
        ("", "Tags", ()),
    ],
)
def test_names_are_split_at_words_of_the_description(name: str, text: str, parts: tuple[str, ...]) -> None:
    assert compound_fields([(name,)], [split_words(text)], ("django",)) == ((parts,) if parts else ())
