"""Relevance of search: judged queries over the bundled catalogue, and over 5,000 additional names."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import timedelta

import pytest
from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from pkgsite.models import Category, Package
from pkgsite.rules.search.tokenizer import name_words, split_words
from pkgsite.services.importing.catalogue import load_bundled_catalogue_if_empty
from pkgsite.services.search.query import search
from tests.factories import NOW
from tests.services.search.plain_questions import HELD_OUT, TUNED

PREFIXES = ("django",)
ADDED_NAMES = 5_000

# Queries of each kind, and the slug that should be ranked first.
JUDGEMENTS = {
    "exact name": {
        "django-mptt-comments": "django-mptt-comments",
        "lesscache": "lesscache",
        "Django Q": "django-q",
        "pinax-messages": "pinax-messages",
        "Leonardo CMS": "django-leonardo",
        "happyforms": "happyforms",
        "django-scopes": "django-scopes",
    },
    "name without its prefix": {
        "cacheops": "cacheops",
        "messages": "django-messages",
        "pghistory": "django-pghistory",
        "modelcluster": "django-modelcluster",
        "mfa": "django-mfa",
        "q": "django-q",
        "2fa": "django-2fa",
    },
    "name in another spelling": {
        "DJANGO_CACHEOPS": "cacheops",
        "djangotreequeries": "django-tree-queries",
        "Tree Queries": "django-tree-queries",
        "feincms-gallery": "feincms_gallery",
        "DjangoRESTFrameworkMVT": "djangorestframework-mvt",
        "saved searches": "saved_searches",
        "djángo-bábel": "django-babel",
    },
    "one typo": {
        "cachops": "cacheops",
        "django-cacehback": "django-cacheback",
        "pghistry": "django-pghistory",
        "happyfroms": "happyforms",
        "masqerade": "django-masquerade",
        "lightweigth queue": "django-lightweight-queue",
        "djngo babel": "django-babel",
        "modelclustr": "django-modelcluster",
    },
    "prefix": {
        "cacheo": "cacheops",
        "pghis": "django-pghistory",
        "happy": "happyforms",
        "masq": "django-masquerade",
        "thumb": "python-thumbnails",
        "locat": "django-location-field",
    },
    "words of the description": {
        "dynamodb cache": "lesscache",
        "users report content": "django-flag-app",
        "mapbox vector tiles": "djangorestframework-mvt",
        "invoices pdf": "django-simple-invoice",
        "do not track browser": "django-dnt",
        "tropo text messages": "rapidsms-tropo",
    },
    "other forms of words": {
        "thumbnail": "python-thumbnails",
        "invoice": "django-simple-invoice",
        "gallery carousels": "feincms_gallery",
        "scheduling tasks pools": "django-q",
        "subscription billing": "django-paddle-subscriptions",
        "crawling spiders": "django-magellan",
    },
    "joined and split words": {
        "cache control": "django-cachecontrol",
        "vector tiles": "django-vectortiles",
        "celeryemail": "django-celery-email",
        "file tags": "django-filetags",
        "two step auth": "django-twostepauth",
        "treequeries": "django-tree-queries",
    },
    "names of grids, categories and people": {
        "two-factor passkeys security key": "django-mfa",
        "dynamodb caching": "lesscache",
        "suor": "cacheops",
        "matthiask tree": "django-tree-queries",
        "toastdriven": "saved_searches",
        "auditing postgresql": "django-pghistory",
    },
    "quotes, minus and filters": {
        '"private messages" -pinax -threaded': "django-messages",
        "messages by:alex": "pinax-messages",
        "queue -toosimple stars:<100": "django-lightweight-queue",
        "grid:caching stars:>1000": "cacheops",
        '"task queue" by:Koed00': "django-q",
        "cookiecutter stars:>100": "cookiecutter-simple-django",
    },
}
NAMES = ("exact name", "name without its prefix", "name in another spelling")


def reciprocal_rank(session: Session, query: str, slug: str) -> float:
    page = search(session, query, ignored_prefixes=PREFIXES, now=NOW, with_facets=False)
    slugs = [hit.slug for hit in page.packages]
    return 1 / (slugs.index(slug) + 1) if slug in slugs else 0.0


def mean_rank(session: Session, pairs: Iterable[tuple[str, str]]) -> tuple[float, dict[str, float]]:
    """Return the mean reciprocal rank, and the rank of each query whose expected slug isn't first."""
    ranks = {query: reciprocal_rank(session, query, slug) for query, slug in pairs}
    return sum(ranks.values()) / len(ranks), {query: rank for query, rank in ranks.items() if rank < 1}


@pytest.fixture
def catalogue(session: Session) -> Session:
    load_bundled_catalogue_if_empty(session, now=NOW)
    session.commit()
    return session


def test_judged_queries_find_the_expected_package_first(catalogue: Session) -> None:
    assert len(JUDGEMENTS) >= 10
    assert sum(map(len, JUDGEMENTS.values())) >= 60
    ranks = {kind: mean_rank(catalogue, judged.items()) for kind, judged in JUDGEMENTS.items()}
    min_ranks = {kind: 0.95 if kind in NAMES else 0.9 for kind in JUDGEMENTS}
    assert all(ranks[kind][0] >= min_ranks[kind] for kind in JUDGEMENTS), ranks


def ranked_slugs(session: Session, query: str) -> list[str]:
    page = search(session, query, ignored_prefixes=PREFIXES, now=NOW, with_facets=False)
    return [hit.slug for hit in page.packages]


@pytest.mark.parametrize("query", ["a package for tagging", "tagging", "tags"])
def test_compound_names_count_as_their_parts_if_the_description_has_them(catalogue: Session, query: str) -> None:
    """Others only have template tags, even "django-reversetag"; that package is more popular."""
    assert ranked_slugs(catalogue, query)[:3] == ["django-cms-pagetags", "django-filetags", "django-reversetag"]


@pytest.mark.parametrize("query", ["instead of {}", "{} vs", "equivalents of {}?", "competitors of {}"])
@pytest.mark.parametrize("slug", ["django-mfa", "django-q", "pinax-messages"])
def test_questions_that_compare_a_package_list_it_first(catalogue: Session, query: str, slug: str) -> None:
    assert ranked_slugs(catalogue, query.format(slug))[0] == slug


def test_other_forms_and_synonyms_count_in_names(catalogue: Session) -> None:
    """They do even if no package has the word itself."""
    messages = {"django-messages", "pinax-messages", "django-stored-messages", "django-threaded-messages"}
    assert set(ranked_slugs(catalogue, "messaging")[:4]) == messages
    assert [ranked_slugs(catalogue, word)[0] for word in ("i18n", "l10n")] == ["simple-translation"] * 2


def generate_names(session: Session) -> list[str]:
    """Return names that combine the parts of real ones in common patterns."""
    parts: dict[str, None] = {}
    for slug in session.query(Package.slug).order_by(Package.id):
        parts.update(dict.fromkeys(part for part in slug[0].replace("_", "-").split("-") if len(part) > 2))
    parts.pop("django")
    draw, words = random.Random(7), list(parts)
    names: dict[str, None] = {}
    while len(names) < ADDED_NAMES:
        chosen = "-".join(draw.sample(words, draw.choice((1, 2, 2, 3))))
        pattern = draw.choice(("django-{}", "django-{}", "{}", "drf-{}", "py{}", "{}-kit", "{}ify"))
        name = pattern.format(chosen)
        names[draw.choice((name, name, name.replace("-", "_"), name.title().replace("-", "")))] = None
    keys: dict[str, str] = {}
    for name in names:
        keys.setdefault(name.lower().replace("-", "").replace("_", ""), name)
    return list(keys.values())


@pytest.fixture
def large_catalogue(catalogue: Session) -> tuple[Session, list[str]]:
    """The bundled catalogue and thousands of additional names, few of which are popular."""
    draw, names = random.Random(8), generate_names(catalogue)
    category = catalogue.query(Category.id).order_by(Category.id).first()
    assert category is not None
    descriptions = [row[0] for row in catalogue.query(Package.description)]
    catalogue.execute(
        insert(Package),
        [
            {
                "title": name,
                "slug": f"{name[:40]}-{number}",
                "category_id": category[0],
                "description": draw.choice(descriptions),
                "stars": int(draw.paretovariate(0.6)) - 1,
                "last_commit_at": NOW - timedelta(days=draw.randrange(2000)),
                "commits_over_52": [],
                "participants": [],
                "participants_complete": True,
                "created_at": NOW,
                "modified_at": NOW,
                "changed_at": NOW,
                "version": 1,
            }
            for number, name in enumerate(names)
        ],
    )
    catalogue.commit()
    return catalogue, names


TYPO_KINDS: dict[str, Callable[[str, int, str], str]] = {
    "removed": lambda name, index, _char: name[:index] + name[index + 1 :],
    "doubled": lambda name, index, _char: name[:index] + name[index] + name[index:],
    "added": lambda name, index, char: name[:index] + char + name[index:],
    "replaced": lambda name, index, char: name[:index] + char + name[index + 1 :],
    "swapped": lambda name, index, _char: name[:index] + name[index + 1] + name[index] + name[index + 2 :],
}


def add_typo(kind: str, name: str, draw: random.Random) -> str:
    """Return a name with a typo at a random letter, possibly the first or the last one."""
    width = 2 if kind == "swapped" else 1
    indexes = [index for index in range(len(name) - width + 1) if name[index : index + width].isalpha()]
    return TYPO_KINDS[kind](name, draw.choice(indexes), draw.choice("etaoinshr"))


@pytest.mark.parametrize("count", [pytest.param(60, marks=pytest.mark.long), pytest.param(150, marks=pytest.mark.slow)])
def test_names_are_found_among_thousands_of_others(large_catalogue: tuple[Session, list[str]], count: int) -> None:
    """`count` is the number of queries of each kind."""
    session, names = large_catalogue
    draw = random.Random(9)
    slugs = {name: f"{name[:40]}-{number}" for number, name in enumerate(names)}
    sample = draw.sample(names, count)
    queries = {
        "exact": {name: slugs[name] for name in sample},
        "another spelling": {name.replace("-", " ").upper(): slugs[name] for name in sample},
        "without its prefix": {name.removeprefix("django-"): slugs[name] for name in sample},
    }
    for kind in TYPO_KINDS:
        batch = draw.sample([name for name in names if len(name) > 5], count // 3)
        bare = [name for name in batch if name.startswith("django-") and len(name) > len("django-") + 5]
        queries[kind] = {add_typo(kind, name, draw): slugs[name] for name in batch}
        queries[kind] |= {add_typo(kind, name.removeprefix("django-"), draw): slugs[name] for name in bare}
    ranks = {kind: mean_rank(session, pairs.items()) for kind, pairs in queries.items()}
    assert all(rank >= (0.9 if kind in TYPO_KINDS else 0.95) for kind, (rank, _) in ranks.items()), ranks


SUMMARIES = (
    "{0} for {1} in Django projects, with {2} and {3}.",
    "A reusable app that adds {0} {1} to your {2} and {3}.",
    "Manage {2} with {0} and {1}; includes {3}.",
    "{0} {1} made simple: {2}, {3} and more.",
    "Integrates {0} with {1}.",
)


def generate_summaries(session: Session, names: list[str]) -> list[str]:
    """Return a summary for each name, from its own parts and words that are as common as in the catalogue."""
    draw = random.Random(10)
    texts = [row[0] for row in session.query(Package.description).order_by(Package.id)]
    words = [word for text in texts for word in split_words(text) if len(word) > 3]
    summaries = []
    for name in names:
        parts = [part for part in name_words(name) if len(part) > 2 and part != "django"]
        subjects = (parts + draw.sample(words, 2))[:2]
        summaries.append(draw.choice(SUMMARIES).format(*subjects, *draw.sample(words, 2)).capitalize())
    return summaries


@pytest.fixture
def catalogue_with_summaries(large_catalogue: tuple[Session, list[str]]) -> Session:
    """The bundled catalogue among thousands of packages with generated names and summaries."""
    session, names = large_catalogue
    rows = session.query(Package.id).filter(Package.slug.in_([f"{n[:40]}-{i}" for i, n in enumerate(names)]))
    ids = [row[0] for row in rows.order_by(Package.id)]
    summaries = generate_summaries(session, names)
    values = [{"id": id_, "description": text} for id_, text in zip(ids, summaries, strict=True)]
    session.execute(update(Package), values)
    session.commit()
    return session


def question_ranks(session: Session, questions: dict[str, tuple[str, ...]]) -> tuple[float, dict[str, float]]:
    """Return the mean reciprocal rank of the first package that answers each question, and the ranks below 1."""
    ranks = {
        question: max(reciprocal_rank(session, question, slug) for slug in slugs)
        for question, slugs in questions.items()
    }
    return sum(ranks.values()) / len(ranks), {question: rank for question, rank in ranks.items() if rank < 1}


@pytest.mark.long
def test_plain_language_questions_find_a_package_that_answers_them(catalogue_with_summaries: Session) -> None:
    tuned, below = question_ranks(catalogue_with_summaries, TUNED)
    assert tuned >= 0.9, below
    held_out, _ = question_ranks(catalogue_with_summaries, HELD_OUT)  # which ones fail is not shown on purpose
    assert held_out >= 0.8
