"""Schemathesis hooks for what the OpenAPI description can't express.

They replace values in valid requests, so that the requests refer to existing records, and they accept two kinds of
response that Schemathesis reports as failures. Invalid requests are not changed.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from typing import Any

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import AllowHeaderMismatch, IgnoredAuth

# The records that `tests.architecture.sample_site.populate_site` creates.
KEYS = {
    "packages": {"key": ["1", "2", "one", "two"]},
    "grids": {"key": ["1", "caching"], "package": ["1", "one", "2"], "feature": ["1"]},
    "categories": {"key": ["1"]},
}
INHERITED_PATHS = re.compile(r"^/(packages|grids)/(\{key\}/)?$")
SLUG = re.compile(r"[a-z][a-z0-9-]{0,48}[a-z]")


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Send half of the valid requests to existing records, and replace values by acceptable ones."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    seed = zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode(errors="replace"))
    for name, keys in KEYS.get(case.path.split("/")[1], {}).items():
        if name in (case.path_parameters or {}) and seed % 2:
            case.path_parameters[name] = keys[seed // 2 % len(keys)]
    if isinstance(case.body, dict):
        case.body.update({name: valid_value(name, value, seed) for name, value in case.body.items()})
        if case.operation.label == "POST /packages/":
            case.body.setdefault("repo_url", f"https://github.com/owner/{seed}")  # this or `pypi_url` is required


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    """Return whether a failure is real; existing clients rely on two responses that Schemathesis reports."""
    if isinstance(failure, AllowHeaderMismatch):
        # `Allow` lists what this client can do at a URL; the description lists what any client can do.
        return bool(failure.undocumented_methods)
    if isinstance(failure, IgnoredAuth):
        # At these URLs, the response to an unauthenticated write is 405 instead of 401.
        is_405 = "got `405 Method Not Allowed`" in failure.message  # `response` is the one with credentials
        return not (is_405 and INHERITED_PATHS.match(case.path))
    return True


def valid_value(name: str, value: Any, seed: int) -> Any:
    """Return the value of a field, or a value that satisfies rules that its schema does not contain."""
    if name == "title" and isinstance(value, str):
        return value if is_visible(value) else f"Title {seed}"
    if name == "slug":
        return value if not value or SLUG.fullmatch(value) else f"slug-{seed}"
    if name in {"pypi_url", "documentation_url"} and not value:
        return value
    return {
        "category": "apps",
        "package": ["two", 1, "one"][seed % 3],
        "replaced_by": None,
        "repo_url": f"https://gitlab.com/owner/{seed}",
        "pypi_url": f"name-{seed}",
        "documentation_url": f"https://docs.example/{seed}",
    }.get(name, value)


def is_visible(text: str) -> bool:
    """Return whether a text has a visible character, like the rule of the site, which takes a second to import."""
    return any(unicodedata.category(char)[0] not in "ZC" for char in text)
