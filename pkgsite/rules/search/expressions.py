"""Search expressions: a tree that each database's backend renders in its own query language."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Section(StrEnum):
    """A part of an indexed document. The value is the name of its column in the index."""

    NAME = "name"
    TEXT = "text"  # description and topics
    CONTEXT = "around"  # names of the category and the grids
    PEOPLE = "people"
    KEYWORDS = "marks"  # filter values and entire names, as additional tokens


TEXT_SECTIONS = (Section.NAME, Section.TEXT, Section.CONTEXT, Section.PEOPLE)


@dataclass(frozen=True, slots=True)
class Term:
    """A word, or with `is_prefix` any word that starts with it, in any of these sections."""

    word: str
    sections: tuple[Section, ...] = TEXT_SECTIONS
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class Phrase:
    """Consecutive words in one of these sections."""

    words: tuple[str, ...]
    sections: tuple[Section, ...] = TEXT_SECTIONS


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AndNot:
    """Items that match `included` and none of the `excluded` expressions."""

    included: Expression
    excluded: tuple[Expression, ...]


Expression: TypeAlias = Term | Phrase | And | Or | AndNot


def conjunction(parts: Iterable[Expression]) -> Expression:
    """Return an expression that matches where all parts do; a single part is returned as it is."""
    distinct = tuple(dict.fromkeys(parts))
    return distinct[0] if len(distinct) == 1 else And(distinct)


def disjunction(parts: Iterable[Expression]) -> Expression:
    """Return an expression that matches where at least one part does; a single part is returned as it is."""
    distinct = tuple(dict.fromkeys(parts))
    return distinct[0] if len(distinct) == 1 else Or(distinct)


def keyword(text: str, *, is_prefix: bool = False) -> Term:
    return Term(text, (Section.KEYWORDS,), is_prefix)
