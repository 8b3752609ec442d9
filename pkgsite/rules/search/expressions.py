"""What is looked for in the index, as a tree that each database's engine writes in its own language."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Section(StrEnum):
    """A part of what the index holds of a thing."""

    NAME = "name"
    TEXT = "text"  # description and topics
    CONTEXT = "around"  # names of its category and of its grids
    PEOPLE = "people"
    KEYWORDS = "marks"  # what filters look for, and the thing's names as a whole: words of our own making


TEXT_SECTIONS = (Section.NAME, Section.TEXT, Section.CONTEXT, Section.PEOPLE)


@dataclass(frozen=True, slots=True)
class Term:
    """A word, or with `is_prefix` any that begins with it, in any of these sections."""

    word: str
    sections: tuple[Section, ...] = TEXT_SECTIONS
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that follow each other, in one of these sections."""

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
    """What fits `included` and fits none of the others."""

    included: Expression
    excluded: tuple[Expression, ...]


Expression: TypeAlias = Term | Phrase | And | Or | AndNot


def conjunction(parts: Iterable[Expression]) -> Expression:
    """Return the tree of what fits each of these; of a single one without a knot around it."""
    distinct = tuple(dict.fromkeys(parts))
    return distinct[0] if len(distinct) == 1 else And(distinct)


def disjunction(parts: Iterable[Expression]) -> Expression:
    """Return the tree of what fits one of these at least."""
    distinct = tuple(dict.fromkeys(parts))
    return distinct[0] if len(distinct) == 1 else Or(distinct)


def keyword(text: str, *, begins: bool = False) -> Term:
    return Term(text, (Section.KEYWORDS,), begins)
