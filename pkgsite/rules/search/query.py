"""What a person typed into the search box: words, quotes, words after a minus, and filters such as `stars:>100`.

Nothing that can be typed is an error: what is no filter is a word, and what holds no letter or digit is nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pkgsite.rules.search.tokenizer import MAX_WORDS, clean_query, keyword_value, split_words

MAX_FILTERS = 12
FILTER_FIELDS = {"category": "category", "grid": "grid", "licence": "licence", "license": "licence", "python": "python",
          "by": "by", "is": "is", "stars": "stars", "updated": "updated"}  # fmt: skip
STATES = ("maintained", "active", "living", "archived", "deprecated")  # "living" is the former word for "active"
SINGLE_VALUED_FIELDS = ("category", "licence")  # a package has one of these: several filters mean any of them, not all

_PIECE = re.compile(r'(?P<minus>-?)(?:(?P<field>[A-Za-z]+):(?="[^"]|[^\s"]))?(?:"(?P<quoted>[^"]*)"?|(?P<plain>\S+))')
_COMPARED = re.compile(r"(?P<sign><=|>=|<|>|=|)(?P<value>.+)")
_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}
_MAX_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class NumberRange:
    """Numbers or times from `minimum` to `maximum`, both taken in; None leaves an end open."""

    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition, as it is typed again: `field:value`, with a minus before it where it must not hold."""

    field: str
    value: str
    is_negated: bool = False

    @property
    def text(self) -> str:
        value = f'"{self.value}"' if re.search(r"\s", self.value) else self.value
        return f"{'-' * self.is_negated}{self.field}:{value}"

    @property
    def keyword(self) -> str:
        """The word of the index's own that stands for the condition."""
        value = keyword_value(self.value)
        return f"{self.field}:{'living' if (self.field, value) == ('is', 'active') else value}"


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """What was typed, understood.

    Attributes:
        typed: As it was typed, cleaned.
        words: What is looked for, in its order.
        text: The words as they were typed, without filters, quotes and what has a minus.
        phrases: Words that must follow each other.
        excluded: Words, or words that follow each other, that must not be there.
        filters: Conditions.
        untold: Filters that say nothing, such as `stars:many`; they are left out.
    """

    raw_text: str
    words: tuple[str, ...]
    text: str
    phrases: tuple[tuple[str, ...], ...]
    excluded: tuple[tuple[str, ...], ...]
    filters: tuple[Filter, ...]
    invalid_filters: tuple[Filter, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.words or self.phrases or self.excluded or self.filters)

    def without_filters(self, *removed: Filter) -> str:
        """Return what to type for the same without these filters."""
        return self._compose([remaining for remaining in self.filters if remaining not in removed])

    def with_filter(self, more: Filter) -> str:
        """Return what to type for the same with one filter more; of what a package has one of, it takes the place."""
        replaced = more.field in (*SINGLE_VALUED_FIELDS, "stars", "updated")
        remaining = [one for one in self.filters if not (replaced and one.field == more.field and not one.is_negated)]
        return self._compose([*remaining, more])

    def _compose(self, filters: list[Filter]) -> str:
        quoted = [f'"{" ".join(phrase)}"' for phrase in self.phrases]
        unwanted = ["-" + (f'"{" ".join(words)}"' if len(words) > 1 else words[0]) for words in self.excluded]
        return " ".join(filter(None, [self.text, *quoted, *unwanted, *[one.text for one in filters]]))


def parse_query(typed: str) -> ParsedQuery:
    """Return what a text that was typed into the search box asks for.

    >>> query = parse_query('rest -xml "class based" licence:MIT stars:>100')
    >>> query.words, query.phrases, query.unwanted, [each.mark for each in query.filters]
    (('rest',), (('class', 'based'),), (('xml',),), ['licence:mit', 'stars:100'])
    """
    cleaned = clean_query(typed)
    words: list[str] = []
    text: list[str] = []
    phrases: list[tuple[str, ...]] = []
    unwanted: list[tuple[str, ...]] = []
    filters: list[Filter] = []
    invalid: list[Filter] = []
    for piece in _PIECE.finditer(cleaned):
        is_minus, quoted = bool(piece["minus"]), piece["quoted"]
        field = FILTER_FIELDS.get((piece["field"] or "").lower())
        value = quoted if quoted is not None else piece["plain"]
        if field:
            condition = Filter(field, value.strip(), is_minus)
            (filters if _is_valid(condition) else invalid).append(condition)
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
    return ParsedQuery(cleaned, tuple(dict.fromkeys(words))[:MAX_WORDS], " ".join(text), tuple(phrases), tuple(unwanted),
                 different[:MAX_FILTERS], (*invalid, *different[MAX_FILTERS:]))  # fmt: skip


def parse_stars_range(value: str) -> NumberRange | None:
    """Return the stars that `stars:` asks for; None where it can't be understood.

    >>> parse_stars_range(">100"), parse_stars_range("10..50"), parse_stars_range("many")
    (Range(least=101, most=None), Range(least=10, most=50), None)
    """
    least, dots, most = value.partition("..")
    if dots:
        return (
            NumberRange(_parse_number(least), _parse_number(most))
            if _parse_number(least) is not None or _parse_number(most) is not None
            else None
        )
    compared = _COMPARED.fullmatch(value)
    number = _parse_number(compared["value"]) if compared else None
    if compared is None or number is None:
        return None
    return _comparison_range(compared["sign"] or "=", number)


def parse_updated_range(value: str, now: datetime) -> NumberRange | None:
    """Return the seconds since 1970 between which the last commit or release lies that `updated:` asks for.

    An age (`<90d`, `>2y`; the units are d, w, m, y) or a day (`>2026-01-31`); None where it can't be understood.
    """
    compared = _COMPARED.fullmatch(value)
    if compared is None:
        return None
    sign, told = compared["sign"], compared["value"]
    age = re.fullmatch(r"(\d{1,6})([dwmy])", told.lower())
    if age:
        days = min(int(age[1]) * _DAYS[age[2]], _MAX_DAYS)
        boundary = int((now - timedelta(days=days)).timestamp())
        return NumberRange(maximum=boundary) if sign.startswith(">") else NumberRange(minimum=boundary)
    try:
        day = int(datetime.strptime(told, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None
    if sign in ("", "="):
        return NumberRange(day, day + 86_399)
    if sign.startswith(">"):
        return NumberRange(minimum=day + 86_400 * (sign == ">"))
    return NumberRange(maximum=day + 86_400 * (sign == "<=") - 1)


def _is_valid(condition: Filter) -> bool:
    """Tell whether a filter can be understood."""
    if condition.field == "stars":
        return parse_stars_range(condition.value) is not None
    if condition.field == "updated":
        return parse_updated_range(condition.value, datetime(2026, 1, 1, tzinfo=UTC)) is not None
    if condition.field == "is":
        return condition.value.lower() in STATES
    return bool(keyword_value(condition.value))


def _parse_number(value: str) -> int | None:
    found = re.fullmatch(r"(\d{1,9})(k?)", value.strip().lower(), re.ASCII)
    return int(found[1]) * (1000 if found[2] else 1) if found else None


def _comparison_range(sign: str, number: int) -> NumberRange:
    return {
        "=": NumberRange(number, number),
        ">": NumberRange(minimum=number + 1),
        ">=": NumberRange(minimum=number),
        "<": NumberRange(maximum=number - 1),
        "<=": NumberRange(maximum=number),
    }[sign]
