"""What the API's description can't tell the tool that makes requests: what there is on the site, and what is a place.

The tool reads these hooks. They replace values of requests that are meant to be right, and name the answers that are
right though the tool can't know it; requests that are meant to be wrong stay as they are.
"""

from __future__ import annotations

import re
import zlib
from typing import Any

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import AllowHeaderMismatch, IgnoredAuth

from pkgsite.rules.texts import is_blank

# As `tests.architecture.sample_site.fill` makes them.
KEYS = {
    "packages": {"key": ["1", "2", "one", "two"]},
    "grids": {"key": ["1", "caching"], "package": ["1", "one", "2"], "feature": ["1"]},
    "categories": {"key": ["1"]},
}
REFERENCE_PATHS = re.compile(r"^/(packages|grids)/(\{key\}/)?$")
SLUG = re.compile(r"[a-z][a-z0-9-]{0,48}[a-z]")


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Lead half of the requests to records that are there, and let right ones name what there is."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    number = zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode(errors="replace"))
    for name, keys in KEYS.get(case.path.split("/")[1], {}).items():
        if name in (case.path_parameters or {}) and number % 2:
            case.path_parameters[name] = keys[number // 2 % len(keys)]
    if isinstance(case.body, dict):
        case.body.update({name: valid_value(name, value, number) for name, value in case.body.items()})
        if case.operation.label == "POST /packages/":
            case.body.setdefault("repo_url", f"https://github.com/owner/{number}")  # this or a name on the index


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case, response: Response) -> bool:
    """Tell whether something is amiss; two answers that the tool complains of are what old callers count on."""
    if isinstance(failure, AllowHeaderMismatch):
        # Allow tells what this very caller may do at an address, the description what anybody may.
        return bool(failure.undocumented_methods)
    if isinstance(failure, IgnoredAuth):
        # Who is not known is told that these addresses only read, and not that a token would open them.
        is_refused = "got `405 Method Not Allowed`" in failure.message  # `response` is of the same with credentials
        return not (is_refused and REFERENCE_PATHS.match(case.path))
    return True


def valid_value(name: str, value: Any, number: int) -> Any:
    """Return a field's value, or in its place one that is acceptable for more reasons than its type."""
    if name == "title" and isinstance(value, str):
        return f"Title {number}" if is_blank(value) else value
    if name == "slug":
        return value if not value or SLUG.fullmatch(value) else f"slug-{number}"
    if name in {"pypi_url", "documentation_url"} and not value:
        return value
    return {
        "category": "apps",
        "package": ["two", 1, "one"][number % 3],
        "replaced_by": None,
        "repo_url": f"https://gitlab.com/owner/{number}",
        "pypi_url": f"name-{number}",
        "documentation_url": f"https://docs.example/{number}",
    }.get(name, value)
