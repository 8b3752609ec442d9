"""Compares searches in a large catalogue with the database's own ranked full-text query for one word.

    python -m bench.search [--catalogue FILE.tsv] [--rows 886000] [--queries 200] [--engine sqlite|postgresql|both]

The file has a header row with the columns `name` and `summary`. Without a file, names and summaries are generated. All
other facts (stars, licences, dates …) are generated from a fixed seed. The databases, in a temporary folder and on a
temporary PostgreSQL server, are deleted afterwards. Exits with status 1 if a search is slower than the limit.
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

MAX_RATIOS = {"one word": 3, "two words": 3, "prefix": 3, "very common word": 3, "filtered": 3, "typo": 4}
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


def generate_rows(count: int) -> Iterator[Row]:
    """Yield names and summaries with realistic word frequencies: few words are common, most are rare."""
    rng = random.Random(1)
    syllables = ["".join(pair) for pair in product("bcdfghjklmnprstvwz", "aeiou")]
    words = list(COMMON_WORDS)
    words += ["".join(rng.choices(syllables, k=rng.choice((2, 2, 3, 3, 4)))) for _ in range(120_000)]
    weights = list(accumulate(1 / (rank + 2) for rank in range(len(words))))
    names = set()
    for number in range(count):
        parts = rng.choices(words, cum_weights=weights, k=rng.choice((1, 2, 2, 3)))
        name = "-".join(parts) if rng.random() < 0.8 else "-".join([*parts, str(number)])
        name = f"{name}{number}" if name in names else name
        names.add(name)
        yield name, " ".join(rng.choices(words, cum_weights=weights, k=rng.randint(4, 12)))


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the names and summaries in a file."""
    csv.field_size_limit(1 << 30)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["name"]:
                yield row["name"], row["summary"] or ""


def insert_packages(session: Session, rows: Sequence[Row]) -> None:
    """Insert a package for each row, with random facts."""
    now, rng = utc_now(), random.Random(2)
    categories = [
        {"title": name.title(), "slug": name, "created_at": now, "modified_at": now} for name in ("tools", "apps")
    ]
    session.execute(insert(Category), categories)
    tools, apps = session.scalars(select(Category.id).order_by(Category.slug.desc()))
    for start in range(0, len(rows), BATCH_SIZE):
        session.execute(
            insert(Package),
            [
                {
                    "title": name[:100],
                    "slug": f"p{number}",
                    "category_id": tools if rng.random() < 0.2 else apps,
                    "pypi_url": name[:255],
                    "pypi_version": "1.0",
                    "description": summary[:1000],
                    "commits_over_52": [],
                    "participants": [f"person-{int(rng.paretovariate(0.5)) % 50_000}"],
                    "participants_complete": True,
                    "stars": min(200_000, int(rng.paretovariate(0.7)) - 1),
                    "pypi_downloads": min(10**9, int(30 * rng.paretovariate(0.6))),
                    "licence": rng.choices(LICENCES, (60, 15, 15, 5, 3, 1, 1))[0],
                    "classifiers": CLASSIFIERS[rng.randrange(len(CLASSIFIERS)) :],
                    "last_commit_at": now - timedelta(days=rng.randrange(3000)),
                    "archived_at": now if rng.random() < 0.05 else None,
                    "created_at": now,
                    "modified_at": now,
                    "changed_at": now,
                    "version": 1,
                }
                for number, (name, summary) in enumerate(rows[start : start + BATCH_SIZE], start)
            ],
        )


def sample_queries(rows: Sequence[Row], count: int) -> dict[str, list[str]]:
    """Return random queries of each kind."""
    rng = random.Random(3)
    document_counts: Counter[str] = Counter()
    for name, summary in rows:
        document_counts.update(set(split_words(f"{name} {summary}")))
    common = [word for word, _ in document_counts.most_common(50)]
    repeated_words = [word for word, uses in document_counts.items() if uses > 1 and not word.isdigit()]
    name_words = sample_name_words(rows, 20 * count, rng)
    single_words = rng.sample(name_words, count // 2) + rng.sample(repeated_words, count - count // 2)
    pairs = sample_pairs(rows, count, rng)
    words_to_truncate = [rng.choice(name_words) for _ in range(count)]
    long_words = [word for word in name_words if len(word) > 4]
    return {
        "one word": single_words,
        "two words": pairs,
        "prefix": [word[: rng.randint(2, 5)] for word in words_to_truncate],
        "very common word": [rng.choice(common) for _ in range(count)],
        "filtered": [f"{word} {rng.choice(FILTERS)}" for word in rng.sample(single_words, count)],
        "typo": [add_typo(rng.choice(long_words), rng) for _ in range(count)],
    }


def sample_name_words(rows: Sequence[Row], count: int, rng: random.Random) -> list[str]:
    """Return the words of random names, without short ones and numbers."""
    names = [name for name, _ in rng.sample(rows, min(len(rows), count))]
    return [word for name in names for word in split_words(name) if len(word) > 2 and not word.isdigit()]


def sample_pairs(rows: Sequence[Row], count: int, rng: random.Random) -> list[str]:
    """Return queries of two different words that occur in the same row."""
    pairs: list[str] = []
    while len(pairs) < count:
        words = [word for word in dict.fromkeys(split_words(" ".join(rng.choice(rows)))) if len(word) > 2]
        if len(words) > 1:
            pairs.append(" ".join(rng.sample(words, 2)))
    return pairs


def add_typo(word: str, rng: random.Random) -> str:
    """Return a word with one character removed, doubled, replaced or swapped with the next."""
    index = rng.randrange(1, len(word) - 1)
    start, char, end = word[:index], word[index], word[index + 1 :]
    return rng.choice((start + end, start + char + char + end, start + rng.choice(ALPHABET) + end,
                        start + end[0] + char + end[1:]))  # fmt: skip


def baseline_query(session: Session) -> Callable[[str], object]:
    """Return the database's own ranked query for one word: the best twenty matches, without joins."""
    if session.get_bind().dialect.name == "sqlite":
        query = "SELECT rowid FROM search_text WHERE search_text MATCH :word ORDER BY bm25(search_text) LIMIT 20"
        return lambda word: session.execute(text(query), {"word": f'"{word}"'}).all()
    query = (
        "SELECT place FROM search_text, CAST(:word AS tsquery) AS query WHERE words @@ query "
        "ORDER BY ts_rank(words, query) DESC LIMIT 20"
    )
    return lambda word: session.execute(text(query), {"word": f"'{word}'"}).all()


def measure_queries(run_query: Callable[[str], object], queries: Sequence[str]) -> list[float]:
    """Return the time of each query in milliseconds, after a warm-up that runs all of them once."""
    for query in queries:
        run_query(query)
    elapsed_ms = []
    for query in queries:
        start = time.perf_counter()
        run_query(query)
        elapsed_ms.append((time.perf_counter() - start) * 1000)
    return elapsed_ms


def p95(elapsed_ms: Sequence[float]) -> float:
    return statistics.quantiles(elapsed_ms, n=20)[-1]


def index_size(session: Session, folder: Path) -> str:
    if session.get_bind().dialect.name == "sqlite":
        session.commit()
        session.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))  # the write-ahead log would be counted twice
        return f"{sum(file.stat().st_size for file in folder.glob('search.db*')) / 1e6:,.0f} MB, including the packages"
    sizes = "SELECT pg_total_relation_size(CAST(name AS regclass)) FROM unnest(CAST(:names AS text[])) AS name"
    table_sizes = session.execute(text(sizes), {"names": ["search_text", "search_entry", "search_word"]}).scalars()
    return f"{sum(table_sizes) / 1e6:,.0f} MB, without the packages"


def measure(engine: str, url: str, folder: Path, rows: Sequence[Row], queries: dict[str, list[str]]) -> bool:
    """Fill a database, print the times of searches in it, and return whether they are within the limits."""
    settings = config.read_settings({"DATA_DIR": str(folder), "DATABASE_URL": url, "SECRET_KEY": "bench"})
    app = create_app(config.flask_config(settings))
    with app.app_context():
        upgrade()
        session = db.session()
        begin_write(session)
        insert_packages(session, rows)
        session.execute(text("DELETE FROM search_stale"))  # the entire index is built below
        session.commit()
        start = time.perf_counter()
        begin_write(session)
        rebuild(session, ignored_prefixes=PREFIXES, now=utc_now(), on_progress=progress(engine))
        session.commit()
        build_s = time.perf_counter() - start
        if engine == "postgresql":
            vacuum(url)
        print(f"\n{engine}: {len(rows):,} packages indexed in {build_s:.0f} s; {index_size(session, folder)}; "
              f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")  # fmt: skip
        is_within_limits = measure_and_report(session, queries)
        session.rollback()
        db.engine.dispose()
    return is_within_limits


def progress(engine: str) -> Callable[[int, int], None]:
    def print_progress(done: int, total: int) -> None:
        if done % 100_000 < 500:  # `done` grows by at most 500
            print(f"{engine}: {done:,} of {total:,}", file=sys.stderr)

    return print_progress


def vacuum(url: str) -> None:
    """Run what autovacuum does within minutes of a large change."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def measure_and_report(session: Session, queries: dict[str, list[str]]) -> bool:
    """Print the table, and return whether all ratios are within the limits."""
    now = utc_now()

    def search_only(query: str) -> object:
        return search(session, query, ignored_prefixes=PREFIXES, now=now, with_facets=False)

    def search_with_facets(query: str) -> object:
        return search(session, query, ignored_prefixes=PREFIXES, now=now)

    baseline = measure_queries(baseline_query(session), queries["one word"])
    print(f"{'':20} {'p50 ms':>8} {'p95 ms':>8} {'ratio':>6} {'limit':>8}   (ratio to the p95 of the baseline)")
    print(f"{'baseline':20} {statistics.median(baseline):8.1f} {p95(baseline):8.1f} {1:6.1f}")
    is_within_limits = True
    for kind, max_ratio in MAX_RATIOS.items():
        elapsed_ms = measure_queries(search_only, queries[kind])
        ratio = p95(elapsed_ms) / p95(baseline)
        is_within_limits &= ratio <= max_ratio
        verdict = "" if ratio <= max_ratio else "  TOO SLOW"
        print(
            f"{kind:20} {statistics.median(elapsed_ms):8.1f} {p95(elapsed_ms):8.1f} {ratio:6.1f} {max_ratio:8}{verdict}"
        )
    for kind in MAX_RATIOS:
        elapsed_ms = measure_queries(search_with_facets, queries[kind][:50])
        print(
            f"{kind + ', facets':20} {statistics.median(elapsed_ms):8.1f} {p95(elapsed_ms):8.1f} "
            f"{p95(elapsed_ms) / p95(baseline):6.1f}"
        )
    return is_within_limits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--catalogue", type=Path, help="tab-separated file of names and summaries")
    parser.add_argument("--rows", type=int, default=886_000)
    parser.add_argument("--queries", type=int, default=200, help="number of queries of each kind")
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
            url, data_dir = start_postgresql()
            try:
                is_within_limits &= measure("postgresql", url, Path(folder), rows, queries)
            finally:
                stop_postgresql(data_dir)
    sys.exit(not is_within_limits)


if __name__ == "__main__":
    main()
