"""What a search costs, as a multiple of the engine's plain ranked query for one word, over a large catalogue.

    python -m bench.search [--catalogue FILE.tsv] [--rows 886000] [--queries 200] [--engine sqlite|postgresql|both]

The file has a header row; its columns `name` and `summary` are used. Without it names and summaries are generated.
What such a file does not tell (stars, licences, days …) is drawn by lot, always the same. The databases are made in a
temporary folder and by a PostgreSQL server of the run's own, and thrown away. It exits 1 where a search costs more
than it may.
"""

from __future__ import annotations

import argparse
import csv
import random
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import accumulate, islice, product
from pathlib import Path

import psycopg
from flask_migrate import upgrade
from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

import config
from pkgsite import create_app
from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.models import Category, Package, begin_write
from pkgsite.rules.search.tokenizer import split_words
from pkgsite.services.search.indexer import rebuild
from pkgsite.services.search.query import search
from tests.databases import start_postgresql, stop_postgresql

MAX_RATIOS = {"one word": 3, "two words": 3, "beginning": 3, "very common word": 3, "filtered": 3, "typo": 4}
PREFIXES = ("django",)
BATCH_SIZE = 5_000
ALPHABET = "abcdefghijklmnopqrstuvwxyz"
LICENCES = ("MIT", "BSD-3-Clause", "Apache-2.0", "GPL-3.0-only", "MPL-2.0", "Unlicense", "ISC")
CLASSIFIERS = [f"Programming Language :: Python :: 3.{minor}" for minor in range(9, 15)]
FILTERS = ("licence:mit", "licence:mpl-2.0", "python:3.13", "stars:>100", "stars:>10", "updated:<90d", "is:maintained",
           "category:tools", "-is:archived", "by:person-7")  # fmt: skip

COMMON_WORDS = (
    "python",
    "django",
    "flask",
    "api",
    "client",
    "data",
    "tool",
    "library",
    "simple",
    "for",
    "the",
    "a",
    "of",
)

Row = tuple[str, str]


def generate_rows(rows: int) -> Iterator[Row]:
    """Yield names and summaries made of words of which, as in real ones, few are common and most are rare."""
    draw = random.Random(1)
    syllables = ["".join(pair) for pair in product("bcdfghjklmnprstvwz", "aeiou")]
    words = list(COMMON_WORDS)
    words += ["".join(draw.choices(syllables, k=draw.choice((2, 2, 3, 3, 4)))) for _ in range(120_000)]
    weights = list(accumulate(1 / (rank + 2) for rank in range(len(words))))
    elapsed_ms = set()
    for number in range(rows):
        parts = draw.choices(words, cum_weights=weights, k=draw.choice((1, 2, 2, 3)))
        name = "-".join(parts) if draw.random() < 0.8 else "-".join([*parts, str(number)])
        name = f"{name}{number}" if name in elapsed_ms else name
        elapsed_ms.add(name)
        yield name, " ".join(draw.choices(words, cum_weights=weights, k=draw.randint(4, 12)))


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the names and summaries of a file."""
    csv.field_size_limit(1 << 30)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["name"]:
                yield row["name"], row["summary"] or ""


def insert_packages(session: Session, rows: Sequence[Row]) -> None:
    """Add a package for each row, with facts drawn by lot."""
    now, draw = utc_now(), random.Random(2)
    kinds = [{"title": name.title(), "slug": name, "created_at": now, "modified_at": now} for name in ("tools", "apps")]
    session.execute(insert(Category), kinds)
    tools, apps = session.scalars(select(Category.id).order_by(Category.slug.desc()))
    for start in range(0, len(rows), BATCH_SIZE):
        session.execute(
            insert(Package),
            [
                {
                    "title": name[:100],
                    "slug": f"p{number}",
                    "category_id": tools if draw.random() < 0.2 else apps,
                    "pypi_url": name[:255],
                    "pypi_version": "1.0",
                    "description": summary[:1000],
                    "commits_over_52": [],
                    "participants": [f"person-{int(draw.paretovariate(0.5)) % 50_000}"],
                    "participants_complete": True,
                    "stars": min(200_000, int(draw.paretovariate(0.7)) - 1),
                    "pypi_downloads": min(10**9, int(30 * draw.paretovariate(0.6))),
                    "licence": draw.choices(LICENCES, (60, 15, 15, 5, 3, 1, 1))[0],
                    "classifiers": CLASSIFIERS[draw.randrange(len(CLASSIFIERS)) :],
                    "last_commit_at": now - timedelta(days=draw.randrange(3000)),
                    "archived_at": now if draw.random() < 0.05 else None,
                    "created_at": now,
                    "modified_at": now,
                    "changed_at": now,
                    "version": 1,
                }
                for number, (name, summary) in enumerate(rows[start : start + BATCH_SIZE], start)
            ],
        )


def sample_queries(rows: Sequence[Row], count: int) -> dict[str, list[str]]:
    """Return what is searched for, of each kind."""
    draw = random.Random(3)
    uses: Counter[str] = Counter()
    for name, summary in rows:
        uses.update(set(split_words(f"{name} {summary}")))
    common = [word for word, _ in uses.most_common(50)]
    repeated_words = [word for word, many in uses.items() if many > 1 and not word.isdigit()]
    name_words = [word for name, _ in draw.sample(rows, min(len(rows), 20 * count)) for word in split_words(name)]
    name_words = [word for word in name_words if len(word) > 2 and not word.isdigit()]
    one = draw.sample(name_words, count // 2) + draw.sample(repeated_words, count - count // 2)
    two_word_queries = []
    while len(two_word_queries) < count:
        words = [word for word in dict.fromkeys(split_words(" ".join(draw.choice(rows)))) if len(word) > 2]
        if len(words) > 1:
            two_word_queries.append(" ".join(draw.sample(words, 2)))
    words_to_truncate = [draw.choice(name_words) for _ in range(count)]
    long = [word for word in name_words if len(word) > 4]
    return {
        "one word": one,
        "two words": two_word_queries,
        "beginning": [word[: draw.randint(2, 5)] for word in words_to_truncate],
        "very common word": [draw.choice(common) for _ in range(count)],
        "filtered": [f"{word} {draw.choice(FILTERS)}" for word in draw.sample(one, count)],
        "typo": [add_typo(draw.choice(long), draw) for _ in range(count)],
    }


def add_typo(word: str, draw: random.Random) -> str:
    """Return a word with one letter left out, doubled, exchanged or swapped."""
    at = draw.randrange(1, len(word) - 1)
    return draw.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + draw.choice(ALPHABET) + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )


def baseline_query(session: Session) -> Callable[[str], object]:
    """Return the engine's own ranked query for one word, of the best twenty, without any join."""
    if session.get_bind().dialect.name == "sqlite":
        query = "SELECT rowid FROM search_text WHERE search_text MATCH :word ORDER BY bm25(search_text) LIMIT 20"
        return lambda word: session.execute(text(query), {"word": f'"{word}"'}).all()
    query = (
        "SELECT place FROM search_text, CAST(:word AS tsquery) AS wanted WHERE words @@ wanted "
        "ORDER BY ts_rank(words, wanted) DESC LIMIT 20"
    )
    return lambda word: session.execute(text(query), {"word": f"'{word}'"}).all()


def measure_queries(run_query: Callable[[str], object], words: Sequence[str]) -> list[float]:
    """Return the milliseconds that each of these takes, after all of them have been asked once."""
    for word in words:
        run_query(word)
    elapsed_ms = []
    for word in words:
        start = time.perf_counter()
        run_query(word)
        elapsed_ms.append((time.perf_counter() - start) * 1000)
    return elapsed_ms


def p95(elapsed_ms: Sequence[float]) -> float:
    return statistics.quantiles(elapsed_ms, n=20)[-1]


def index_size(session: Session, folder: Path) -> str:
    if session.get_bind().dialect.name == "sqlite":
        session.commit()
        session.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))  # what is written ahead of the file would count twice
        return f"{sum(file.stat().st_size for file in folder.glob('search.db*')) / 1e6:,.0f} MB, packages and all"
    sizes = "SELECT pg_total_relation_size(CAST(name AS regclass)) FROM unnest(CAST(:names AS text[])) AS name"
    found = session.execute(text(sizes), {"names": ["search_text", "search_entry", "search_word"]}).scalars()
    return f"{sum(found) / 1e6:,.0f} MB, the index alone"


def measure(engine: str, url: str, folder: Path, rows: Sequence[Row], queries: dict[str, list[str]]) -> bool:
    """Fill a database, print what searching it costs, and return whether that is within what is allowed."""
    settings = config.read_settings({"DATA_DIR": str(folder), "DATABASE_URL": url, "SECRET_KEY": "bench"})
    app = create_app(config.flask_config(settings))
    with app.app_context():
        upgrade()
        session = db.session()
        begin_write(session)
        insert_packages(session, rows)
        session.execute(text("DELETE FROM search_stale"))  # the whole index is made below
        session.commit()
        start = time.perf_counter()
        begin_write(session)
        rebuild(session, ignored_prefixes=PREFIXES, now=utc_now(), on_progress=progress(engine))
        session.commit()
        built = time.perf_counter() - start
        if engine == "postgresql":
            vacuum(url)
        print(f"\n{engine}: {len(rows):,} packages indexed in {built:.0f} s; {index_size(session, folder)}; "
              f"at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB of memory")  # fmt: skip
        is_within_limits = report(session, queries)
        session.rollback()
        db.engine.dispose()
    return is_within_limits


def progress(engine: str) -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        if done % 100_000 < 500:
            print(f"{engine}: {done:,} of {total:,}", file=sys.stderr)

    return tell


def vacuum(url: str) -> None:
    """Do what the server's own upkeep does within minutes of a large change."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def report(session: Session, queries: dict[str, list[str]]) -> bool:
    now = utc_now()

    def first_page(typed: str) -> object:
        return search(session, typed, ignored_prefixes=PREFIXES, now=now, with_facets=False)

    def with_facets(typed: str) -> object:
        return search(session, typed, ignored_prefixes=PREFIXES, now=now)

    base = measure_queries(baseline_query(session), queries["one word"])
    print(f"{'':20} {'p50 ms':>8} {'p95 ms':>8} {'times':>6} {'allowed':>8}   (times the plain query's p95)")
    print(f"{'plain ranked query':20} {statistics.median(base):8.1f} {p95(base):8.1f} {1:6.1f}")
    is_within_limits = True
    for kind, allowed in MAX_RATIOS.items():
        elapsed_ms = measure_queries(first_page, queries[kind])
        ratio = p95(elapsed_ms) / p95(base)
        is_within_limits &= ratio <= allowed
        verdict = "" if ratio <= allowed else "  TOO MUCH"
        print(
            f"{kind:20} {statistics.median(elapsed_ms):8.1f} {p95(elapsed_ms):8.1f} {ratio:6.1f} {allowed:8}{verdict}"
        )
    for kind in MAX_RATIOS:
        elapsed_ms = measure_queries(with_facets, queries[kind][:50])
        print(
            f"{kind + ', facets':20} {statistics.median(elapsed_ms):8.1f} {p95(elapsed_ms):8.1f} {p95(elapsed_ms) / p95(base):6.1f}"
        )
    return is_within_limits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--catalogue", type=Path, help="names and summaries, separated by tabs")
    parser.add_argument("--rows", type=int, default=886_000)
    parser.add_argument("--queries", type=int, default=200, help="of each kind")
    parser.add_argument("--engine", choices=("sqlite", "postgresql", "both"), default="both")
    args = parser.parse_args()
    rows = list(islice(read_rows(args.catalogue) if args.catalogue else generate_rows(args.rows), args.rows))
    queries = sample_queries(rows, args.queries)
    is_within_limits = True
    with tempfile.TemporaryDirectory() as folder:
        if args.engine != "postgresql":
            is_within_limits &= measure("sqlite", "sqlite:///search.db", Path(folder), rows, queries)
            for file in Path(folder).glob("search.db*"):
                file.unlink()
        if args.engine != "sqlite":
            url, place = start_postgresql()
            try:
                is_within_limits &= measure("postgresql", url, Path(folder), rows, queries)
            finally:
                stop_postgresql(place)
    sys.exit(not is_within_limits)


if __name__ == "__main__":
    main()
