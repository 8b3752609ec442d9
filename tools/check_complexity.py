"""Reports functions that are too complex: `python tools/check_complexity.py`.

Measures cyclomatic complexity with radon, which counts boolean operators and comprehensions too. Exits with status 1 if a
function is above the limit and not exempt.
"""

from __future__ import annotations

import sys
from pathlib import Path

from radon.complexity import cc_visit

ROOT = Path(__file__).resolve().parents[1]
CHECKED = ("pkgsite", "bench", "tools", "docs")
MAX_COMPLEXITY = 15
# "path:function" of each exemption, with its reason.
EXEMPT: dict[str, str] = {}


def complex_functions(path: Path) -> list[tuple[str, int]]:
    """Return the name, as in `Class.method`, and the complexity of each function of a file that is above the limit."""
    blocks = cc_visit(path.read_text())
    return [
        (block.fullname, block.complexity)
        for block in blocks
        if block.letter in {"F", "M"} and block.complexity > MAX_COMPLEXITY
    ]


def main() -> int:
    files = [ROOT / "config.py", ROOT / "wsgi.py"]
    for folder in CHECKED:
        files += sorted((ROOT / folder).rglob("*.py"))
    found = [
        f"{path.relative_to(ROOT)}: {name} has complexity {complexity}, the limit is {MAX_COMPLEXITY}"
        for path in files
        for name, complexity in complex_functions(path)
        if f"{path.relative_to(ROOT)}:{name}" not in EXEMPT
    ]
    for violation in found:
        print(violation)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
