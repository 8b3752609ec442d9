"""Words with a special role in queries: filler words of questions, and synonyms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from pkgsite.errors import Invalid
from pkgsite.rules.search.tokenizer import split_words

# Words that say nothing about the package that someone is looking for.
_FUNCTION_TEXT = """
a am an and any are as at be been being by can could d did do does each every for from had has have he
her here his how i if in into is it its let lets ll m may me might my of on onto or our own re s shall
should so some somehow something such t than that the their them then there these they this those through
to us ve via was way ways we were what when where which while who whose why will with would you your
"""
_REQUEST_TEXT = """
alternative alternatives anyone app apps best better compared competitor competitors easiest equivalent
equivalents find good great help instead know libraries library like looking need needs opposed package
packages please possible rather recommend recommended replacement replacements similar simplest
someone substitute substitutes suggest suggestion suggestions thing things use used using versus vs want wants
"""
FUNCTION_WORDS, _REQUEST_WORDS = frozenset(_FUNCTION_TEXT.split()), frozenset(_REQUEST_TEXT.split())
_PHRASES = {("log", "in"): "login", ("logging", "in"): "login", ("log", "out"): "logout"}
MIN_WORDS_WITHOUT_LAST = 2

# Abbreviations of the field. Each line has an abbreviation, and the terms that mean the same.
DEFAULT_SYNONYMS = """
2fa: two factor, second factor, mfa, multi factor
acl: permissions
admin: administration
api: apis
async: asynchronous
auth: authentication, authorization, authorisation, login
cbv: class based views
celery: task queue
cms: content management system
crud: create read update delete
csp: content security policy
db: database
drf: rest framework, djangorestframework
fts: full text search
geo: gis, geographic
gis: geodjango, geographic
i18n: internationalization, internationalisation, translation
js: javascript
k8s: kubernetes
login: sign in
l10n: localization, localisation, locale, translation
mail: email
mfa: multi factor, two factor, 2fa
oidc: openid connect
orm: querysets
perms: permissions
pg: postgresql
postgres: postgresql
prefs: preferences, settings
rbac: role based access control, permissions
rt: real time
sso: single sign on
tz: time zone, timezone
ui: user interface
ws: websocket, websockets
wysiwyg: rich text editor
"""

Term = tuple[str, ...]  # the words of a synonym
Synonyms = Mapping[str, tuple[Term, ...]]


def content_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a query without filler words; all of them if no others are left.

    The last word of a short query is kept, because its user may still be typing: "django for" becomes "django forms".

    >>> content_words(("how", "to", "cache", "a", "page"))
    ('cache', 'page')
    >>> content_words(("django", "for"))
    ('django', 'for')
    """
    words = _join_phrases(words)
    content = [word for word in words if word not in FUNCTION_WORDS and word not in _REQUEST_WORDS]
    if len(content) < MIN_WORDS_WITHOUT_LAST and words and words[-1] in FUNCTION_WORDS:
        content.append(words[-1])
    if set(content) <= FUNCTION_WORDS:
        return tuple(words)
    return tuple(content)


def _join_phrases(words: Sequence[str]) -> list[str]:
    """Return words with phrasal verbs replaced by one word, as names and descriptions have it."""
    joined: list[str] = []
    for word in words:
        phrase = (joined[-1], word) if joined else ("", word)
        if phrase in _PHRASES:
            joined[-1] = _PHRASES[phrase]
        else:
            joined.append(word)
    return joined


def parse_synonyms(text: str) -> dict[str, tuple[Term, ...]]:
    """Return the synonyms in a table: a line for each word, with the terms that it stands for.

    >>> parse_synonyms("drf: rest framework, djangorestframework")
    {'drf': (('rest', 'framework'), ('djangorestframework',))}

    Args:
        text: Lines such as "drf: rest framework, djangorestframework"; empty lines and those with a "#" are skipped.

    Raises:
        Invalid: A line has another form; the message is under "synonyms".
    """
    synonyms: dict[str, tuple[Term, ...]] = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        word, colon, terms = line.partition(":")
        words = split_words(word)
        parsed = tuple(filter(None, (tuple(split_words(term)) for term in terms.split(","))))
        if not colon or len(words) != 1 or not parsed:
            raise Invalid({"synonyms": [f"“{line.strip()}” is not of the form “word: synonym, another synonym”."]})
        synonyms[words[0]] = (*synonyms.get(words[0], ()), *parsed)
    return synonyms


@lru_cache(maxsize=4)
def load_synonyms(table: str | None) -> Synonyms:
    """Return the synonyms in a table, or the default ones if there is none."""
    return parse_synonyms(DEFAULT_SYNONYMS if table is None else table)


def words_of_synonyms(words: Iterable[str], synonyms: Synonyms) -> set[str]:
    """Return all words of the synonyms of these words."""
    return {part for word in words for term in synonyms.get(word, ()) for part in term}
