"""What a person typed into the search box: words, quotes, words after a minus, and filters such as `stars:>100`.

Nothing that can be typed is an error: what is no filter is a word, and what holds no letter or digit is nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pkgsite.rules.search_words import MOST_WORDS, clean, mark_value, split_words

MOST_FILTERS = 12
FIELDS = {"category": "category", "grid": "grid", "licence": "licence", "license": "licence", "python": "python",
          "by": "by", "is": "is", "stars": "stars", "updated": "updated"}  # fmt: skip
STATES = ("maintained", "active", "living", "archived", "deprecated")  # "living" is the former word for "active"
ONE_EACH = ("category", "licence")  # a package has one of these: several filters mean any of them, not all

_PIECE = re.compile(r'(?P<minus>-?)(?:(?P<field>[A-Za-z]+):(?="[^"]|[^\s"]))?(?:"(?P<quoted>[^"]*)"?|(?P<plain>\S+))')
_COMPARED = re.compile(r"(?P<sign><=|>=|<|>|=|)(?P<value>.+)")
_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}
_MOST_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers or times from `least` to `most`, both taken in; None leaves an end open."""

    least: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition, as it is typed again: `field:value`, with a minus before it where it must not hold."""

    field: str
    value: str
    is_minus: bool = False

    @property
    def typed(self) -> str:
        value = f'"{self.value}"' if re.search(r"\s", self.value) else self.value
        return f"{'-' * self.is_minus}{self.field}:{value}"

    @property
    def mark(self) -> str:
        """The word of the index's own that stands for the condition."""
        value = mark_value(self.value)
        return f"{self.field}:{'living' if (self.field, value) == ('is', 'active') else value}"


@dataclass(frozen=True, slots=True)
class Query:
    """What was typed, understood.

    Attributes:
        typed: As it was typed, cleaned.
        words: What is looked for, in its order.
        text: The words as they were typed, without filters, quotes and what has a minus.
        phrases: Words that must follow each other.
        unwanted: Words, or words that follow each other, that must not be there.
        filters: Conditions.
        untold: Filters that say nothing, such as `stars:many`; they are left out.
    """

    typed: str
    words: tuple[str, ...]
    text: str
    phrases: tuple[tuple[str, ...], ...]
    unwanted: tuple[tuple[str, ...], ...]
    filters: tuple[Filter, ...]
    untold: tuple[Filter, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.words or self.phrases or self.unwanted or self.filters)

    def without(self, *gone: Filter) -> str:
        """Return what to type for the same without these filters."""
        return self._typed_with([kept for kept in self.filters if kept not in gone])

    def narrowed(self, more: Filter) -> str:
        """Return what to type for the same with one filter more; of what a package has one of, it takes the place."""
        replaced = more.field in (*ONE_EACH, "stars", "updated")
        kept = [one for one in self.filters if not (replaced and one.field == more.field and not one.is_minus)]
        return self._typed_with([*kept, more])

    def _typed_with(self, filters: list[Filter]) -> str:
        quoted = [f'"{" ".join(phrase)}"' for phrase in self.phrases]
        unwanted = ["-" + (f'"{" ".join(some)}"' if len(some) > 1 else some[0]) for some in self.unwanted]
        return " ".join(filter(None, [self.text, *quoted, *unwanted, *[one.typed for one in filters]]))


def read_query(typed: str) -> Query:
    """Return what a text that was typed into the search box asks for.

    >>> query = read_query('rest -xml "class based" licence:MIT stars:>100')
    >>> query.words, query.phrases, query.unwanted, [each.mark for each in query.filters]
    (('rest',), (('class', 'based'),), (('xml',),), ['licence:mit', 'stars:100'])
    """
    whole = clean(typed)
    words: list[str] = []
    text: list[str] = []
    phrases: list[tuple[str, ...]] = []
    unwanted: list[tuple[str, ...]] = []
    filters: list[Filter] = []
    untold: list[Filter] = []
    for piece in _PIECE.finditer(whole):
        is_minus, quoted = bool(piece["minus"]), piece["quoted"]
        field = FIELDS.get((piece["field"] or "").lower())
        value = quoted if quoted is not None else piece["plain"]
        if field:
            condition = Filter(field, value.strip(), is_minus)
            (filters if _tells(condition) else untold).append(condition)
            continue
        if piece["field"]:
            value = f"{piece['field']}:{value}"
        found = tuple(split_words(value))
        if not found:
            continue
        if is_minus:
            unwanted.append(found)
        elif quoted is not None:
            phrases.append(found)
        else:
            words += found
            text.append(value)
    different = tuple(dict.fromkeys(filters))
    return Query(whole, tuple(dict.fromkeys(words))[:MOST_WORDS], " ".join(text), tuple(phrases), tuple(unwanted),
                 different[:MOST_FILTERS], (*untold, *different[MOST_FILTERS:]))  # fmt: skip


def stars_range(value: str) -> Range | None:
    """Return the stars that `stars:` asks for; None where it can't be understood.

    >>> stars_range(">100"), stars_range("10..50"), stars_range("many")
    (Range(least=101, most=None), Range(least=10, most=50), None)
    """
    least, dots, most = value.partition("..")
    if dots:
        return Range(_number(least), _number(most)) if _number(least) is not None or _number(most) is not None else None
    compared = _COMPARED.fullmatch(value)
    number = _number(compared["value"]) if compared else None
    if compared is None or number is None:
        return None
    return _compared(compared["sign"] or "=", number)


def updated_range(value: str, now: datetime) -> Range | None:
    """Return the seconds since 1970 between which the last commit or release lies that `updated:` asks for.

    An age (`<90d`, `>2y`; the units are d, w, m, y) or a day (`>2026-01-31`); None where it can't be understood.
    """
    compared = _COMPARED.fullmatch(value)
    if compared is None:
        return None
    sign, told = compared["sign"], compared["value"]
    age = re.fullmatch(r"(\d{1,6})([dwmy])", told.lower())
    if age:
        days = min(int(age[1]) * _DAYS[age[2]], _MOST_DAYS)
        then = int((now - timedelta(days=days)).timestamp())
        return Range(most=then) if sign.startswith(">") else Range(least=then)
    try:
        day = int(datetime.strptime(told, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None
    if sign in ("", "="):
        return Range(day, day + 86_399)
    if sign.startswith(">"):
        return Range(least=day + 86_400 * (sign == ">"))
    return Range(most=day + 86_400 * (sign == "<=") - 1)


def _tells(condition: Filter) -> bool:
    """Tell whether a filter can be understood."""
    if condition.field == "stars":
        return stars_range(condition.value) is not None
    if condition.field == "updated":
        return updated_range(condition.value, datetime(2026, 1, 1, tzinfo=UTC)) is not None
    if condition.field == "is":
        return condition.value.lower() in STATES
    return bool(mark_value(condition.value))


def _number(told: str) -> int | None:
    found = re.fullmatch(r"(\d{1,9})(k?)", told.strip().lower(), re.ASCII)
    return int(found[1]) * (1000 if found[2] else 1) if found else None


def _compared(sign: str, number: int) -> Range:
    return {
        "=": Range(number, number),
        ">": Range(least=number + 1),
        ">=": Range(least=number),
        "<": Range(most=number - 1),
        "<=": Range(most=number),
    }[sign]
