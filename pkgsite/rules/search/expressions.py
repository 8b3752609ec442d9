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
    AROUND = "around"  # names of its category and of its grids
    PEOPLE = "people"
    MARKS = "marks"  # what filters look for, and the thing's names as a whole: words of our own making


WORDS = (Section.NAME, Section.TEXT, Section.AROUND, Section.PEOPLE)


@dataclass(frozen=True, slots=True)
class Term:
    """A word, or with `begins` any that begins with it, in any of these sections."""

    word: str
    sections: tuple[Section, ...] = WORDS
    begins: bool = False


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that follow each other, in one of these sections."""

    words: tuple[str, ...]
    sections: tuple[Section, ...] = WORDS


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Any:
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Without:
    """What fits `part` and fits none of the others."""

    part: Expression
    others: tuple[Expression, ...]


Expression: TypeAlias = Term | Phrase | All | Any | Without


def all_of(parts: Iterable[Expression]) -> Expression:
    """Return the tree of what fits each of these; of a single one without a knot around it."""
    several = tuple(dict.fromkeys(parts))
    return several[0] if len(several) == 1 else All(several)


def any_of(parts: Iterable[Expression]) -> Expression:
    """Return the tree of what fits one of these at least."""
    several = tuple(dict.fromkeys(parts))
    return several[0] if len(several) == 1 else Any(several)


def mark(text: str, *, begins: bool = False) -> Term:
    return Term(text, (Section.MARKS,), begins)
