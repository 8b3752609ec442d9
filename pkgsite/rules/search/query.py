"""Parser of search queries: words, quoted phrases, words excluded with a minus, and filters such as `stars:>100`.

No query is an error: text that isn't a filter is searched for as words, and text without letters or digits is ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pkgsite.rules.search.tokenizer import MAX_WORDS, clean_query, keyword_value, split_words

MAX_FILTERS = 12
FILTER_FIELDS = {"category": "category", "grid": "grid", "licence": "licence", "license": "licence", "python": "python",
          "by": "by", "is": "is", "stars": "stars", "updated": "updated"}  # fmt: skip
STATES = ("maintained", "active", "living", "archived", "deprecated")  # "living" is the former name of "active"
SINGLE_VALUED_FIELDS = ("category", "licence")  # a package has only one, so several filters are alternatives

_PIECE = re.compile(r'(?P<minus>-?)(?:(?P<field>[A-Za-z]+):(?="[^"]|[^\s"]))?(?:"(?P<quoted>[^"]*)"?|(?P<plain>\S+))')
_COMPARISON = re.compile(r"(?P<sign><=|>=|<|>|=|)(?P<value>.+)")
_DAYS_PER_UNIT = {"d": 1, "w": 7, "m": 30, "y": 365}
_MAX_DAYS = 36_500
_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)  # whether a value is valid does not depend on the time


@dataclass(frozen=True, slots=True)
class NumberRange:
    """An inclusive range of numbers or times; None means no limit."""

    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of the query: `field:value`, or `-field:value` if it is negated."""

    field: str
    value: str
    is_negated: bool = False

    @property
    def text(self) -> str:
        value = f'"{self.value}"' if re.search(r"\s", self.value) else self.value
        return f"{'-' * self.is_negated}{self.field}:{value}"

    @property
    def keyword(self) -> str:
        """The token that is indexed for this filter, negated or not. Ranges (`stars`, `updated`) have none.

        The index still has the former name "living" of active packages.
        """
        value = keyword_value(self.value)
        return f"{self.field}:{'living' if (self.field, value) == ('is', 'active') else value}"


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """A parsed search query.

    Attributes:
        raw_text: The entire query, with its filters, cleaned.
        words: The words to search for, in order and folded.
        text: The words as entered, without filters, phrases and exclusions.
        phrases: Quoted words, which must be consecutive.
        excluded: Words and phrases that must not occur.
        filters: The valid filters.
        invalid_filters: Filters that are ignored: invalid ones, such as `stars:many`, and those above the limit.
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
        """Return the text of the same query without these filters."""
        return self._compose([remaining for remaining in self.filters if remaining not in removed])

    def with_filter(self, added: Filter) -> str:
        """Return the text of the same query with one more filter, which replaces others of a single-valued field."""
        is_single = added.field in (*SINGLE_VALUED_FIELDS, "stars", "updated")
        kept = [
            current for current in self.filters if not is_single or current.field != added.field or current.is_negated
        ]
        return self._compose([*kept, added])

    def _compose(self, filters: list[Filter]) -> str:
        quoted = [f'"{" ".join(phrase)}"' for phrase in self.phrases]
        excluded = ["-" + (f'"{" ".join(words)}"' if len(words) > 1 else words[0]) for words in self.excluded]
        return " ".join(filter(None, [self.text, *quoted, *excluded, *[remaining.text for remaining in filters]]))


def parse_query(query_text: str) -> ParsedQuery:
    """Parse words, phrases in quotes, exclusions and filters; an invalid filter is searched for as words.

    >>> query = parse_query('rest -xml "class based" licence:MIT')
    >>> query.words, query.phrases, query.excluded, [one.keyword for one in query.filters]
    (('rest',), (('class', 'based'),), (('xml',),), ['licence:mit'])
    """
    cleaned = clean_query(query_text)
    words: list[str] = []
    text: list[str] = []
    phrases: list[tuple[str, ...]] = []
    excluded: list[tuple[str, ...]] = []
    filters: list[Filter] = []
    invalid: list[Filter] = []
    for piece in _PIECE.finditer(cleaned):
        is_negated, quoted = bool(piece["minus"]), piece["quoted"]
        value = quoted if quoted is not None else piece["plain"]
        if field := FILTER_FIELDS.get((piece["field"] or "").lower()):
            condition = Filter(field, value.strip(), is_negated)
            (filters if _is_valid(condition) else invalid).append(condition)
            continue
        if piece["field"]:
            value = f"{piece['field']}:{value}"
        piece_words = tuple(split_words(value))
        if not piece_words:
            continue
        if is_negated:
            excluded.append(piece_words)
        elif quoted is not None:
            phrases.append(piece_words)
        else:
            words += piece_words
            text.append(value)
    distinct = tuple(dict.fromkeys(filters))
    return ParsedQuery(
        raw_text=cleaned,
        words=tuple(dict.fromkeys(words))[:MAX_WORDS],
        text=" ".join(text),
        phrases=tuple(phrases),
        excluded=tuple(excluded),
        filters=distinct[:MAX_FILTERS],
        invalid_filters=(*invalid, *distinct[MAX_FILTERS:]),
    )


def parse_stars_range(value: str) -> NumberRange | None:
    """Return the range of a `stars:` filter; None if it is invalid.

    >>> parse_stars_range(">100"), parse_stars_range("10..50"), parse_stars_range("many")
    (NumberRange(minimum=101, maximum=None), NumberRange(minimum=10, maximum=50), None)
    """
    start, dots, end = value.partition("..")
    if dots:
        stars = NumberRange(_parse_number(start), _parse_number(end))
        return None if stars == NumberRange() else stars
    comparison = _COMPARISON.fullmatch(value)
    number = _parse_number(comparison["value"]) if comparison else None
    if comparison is None or number is None:
        return None
    return _comparison_range(comparison["sign"] or "=", number)


def parse_updated_range(value: str, now: datetime) -> NumberRange | None:
    """Return the range of an `updated:` filter, as Unix timestamps; None if it is invalid.

    The value is an age (`<90d`, `>2y`; the units are d, w, m, y) or a day (`>2026-01-31`).
    """
    comparison = _COMPARISON.fullmatch(value)
    if comparison is None:
        return None
    sign, operand = comparison["sign"], comparison["value"]
    age = re.fullmatch(r"(\d{1,6})([dwmy])", operand.lower())
    if age:
        days = min(int(age[1]) * _DAYS_PER_UNIT[age[2]], _MAX_DAYS)
        boundary = int((now - timedelta(days=days)).timestamp())
        return NumberRange(maximum=boundary) if sign.startswith(">") else NumberRange(minimum=boundary)
    try:
        day = int(datetime.strptime(operand, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None
    if sign in ("", "="):
        return NumberRange(day, day + 86_399)
    if sign.startswith(">"):
        return NumberRange(minimum=day + 86_400 * (sign == ">"))
    return NumberRange(maximum=day + 86_400 * (sign == "<=") - 1)


def _is_valid(condition: Filter) -> bool:
    """Return whether a filter's value is valid."""
    if condition.field == "stars":
        return parse_stars_range(condition.value) is not None
    if condition.field == "updated":
        return parse_updated_range(condition.value, _ANY_TIME) is not None
    if condition.field == "is":
        return condition.value.lower() in STATES
    return bool(keyword_value(condition.value))


def _parse_number(value: str) -> int | None:
    match = re.fullmatch(r"(\d{1,9})(k?)", value.strip().lower(), re.ASCII)
    return int(match[1]) * (1000 if match[2] else 1) if match else None


def _comparison_range(sign: str, number: int) -> NumberRange:
    return {
        "=": NumberRange(number, number),
        ">": NumberRange(minimum=number + 1),
        ">=": NumberRange(minimum=number),
        "<": NumberRange(maximum=number - 1),
        "<=": NumberRange(maximum=number),
    }[sign]
