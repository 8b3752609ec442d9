"""Reports wording and names that this project does not use: `python tools/check_words.py`.

The patterns are in `words.txt` beside this file, each with what to write instead. Exits with status 1 if any is found.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATTERNS = Path(__file__).with_name("words.txt")
CHECKED_SUFFIXES = {".py", ".html", ".xml", ".js", ".css", ".md", ".toml", ".txt", ".sh", ".yaml", ".ini"}
CHECKED_NAMES = {"Makefile"}
# Landed migrations never change; word lists and recorded data are not ours to edit.
EXCLUDED = ("migrations/versions/", "pkgsite/data/", "tools/words.txt", "requirements.lock", "requirements-dev.lock")


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern that must not occur.

    Attributes:
        pattern: A regular expression, matched within a line.
        instead: What to write instead.
        allowed_in: Path prefixes where it is correct, for example a wire name in the API.
    """

    pattern: re.Pattern[str]
    instead: str
    allowed_in: tuple[str, ...] = ()


def read_rules(text: str) -> list[Rule]:
    """Return the rules of a word list: `pattern => instead`, optionally followed by `@ path prefixes`."""
    rules = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pattern, _, rest = line.partition(" => ")
        instead, _, prefixes = rest.partition(" @ ")
        rules.append(Rule(re.compile(pattern), instead.strip(), tuple(prefixes.split())))
    return rules


def checked_files() -> list[str]:
    """Return the paths, relative to the repository, of the tracked text files that the rules apply to."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [
        path
        for path in tracked.splitlines()
        if (Path(path).suffix in CHECKED_SUFFIXES or Path(path).name in CHECKED_NAMES)
        and not path.startswith(EXCLUDED)
        and (ROOT / path).is_file()
    ]


def find_violations(path: str, text: str, rules: list[Rule]) -> list[str]:
    """Return a line of output for each place in a file that breaks a rule."""
    active = [rule for rule in rules if not path.startswith(rule.allowed_in or ("\0",))]
    return [
        f"{path}:{number}: “{match[0]}” (write: {rule.instead})"
        for number, line in enumerate(text.splitlines(), 1)
        for rule in active
        if (match := rule.pattern.search(line))
    ]


def main() -> int:
    rules = read_rules(PATTERNS.read_text())
    found = [
        violation for path in checked_files() for violation in find_violations(path, (ROOT / path).read_text(), rules)
    ]
    for violation in found:
        print(violation)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
