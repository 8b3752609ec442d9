"""Imports point downward only: entry points, services, rules and models; there are no circular imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# The packages (or modules) that each package may import, in addition to itself.
MAY_IMPORT = {
    "errors": set(),
    "clock": set(),
    "rules": {"errors"},
    "models": {"rules"},
    "clients": {"rules", "errors", "clock"},
    "services": {"models", "rules", "errors", "clients.base"},
    "forms": {"rules", "errors", "services"},
    "views": {"services", "forms", "rules", "errors", "clock", "extensions", "limits"},
    "api": {"services", "rules", "errors", "clock", "extensions", "limits"},
    "jobs": {"operations", "services", "clients", "rules", "errors", "clock", "extensions", "outages"},
    "operations": {"services", "models", "rules", "errors", "clock", "extensions", "outages"},
    "cli": {"operations", "jobs", "rules", "services", "clients", "errors", "clock", "extensions", "models"},
    "server": {"operations", "jobs", "services", "models", "errors", "clock", "extensions", "wsgi"},
    "__main__": {"cli", "server"},
    "responses": {"content_encoding", "api", "views", "errors", "extensions", "limits", "outages"},
    "extensions": {"models", "clients.base"},
    "config": set(),
    "wsgi": {"pkgsite", "config", "operations"},
    "limits": {"extensions"},
    "content_encoding": set(),
    "search_sync": {"services", "clock", "extensions"},
    "__init__": {
        "limits",
        "search_sync",
        "responses",
        "api",
        "cli",
        "clients",
        "operations",
        "server",
        "views",
        "extensions",
        "models",
    },
}
# The packages and modules in pkgsite/services: each may import only those after it.
SERVICES_FROM_TOP = (
    "accounts",
    "people",
    "moderation",
    "importing",
    "status",
    "backup",
    "search",
    "api_queries",
    "home",
    "browse",
    "history",
    "grids",
    "categories",
    "packages",
    "idempotency",
    "changeset",
    "refresh",
    "permissions",
)
API_VERSIONS = {"v3", "v4"}
WITHOUT_FLASK = {"errors", "clock", "rules", "models", "clients", "services", "config"}
WITHOUT_NETWORK = {"errors", "clock", "rules", "models", "services", "forms", "views", "api", "extensions", "responses"}
WITHOUT_CLOCK = {"errors", "rules", "models", "services", "forms"}
WITHOUT_COMMIT = {"errors", "clock", "rules", "models", "clients", "services", "forms", "extensions"}

FILES = [ROOT / "config.py", ROOT / "wsgi.py", *sorted((ROOT / "pkgsite").rglob("*.py"))]
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in FILES}


def package_of(path: Path) -> str:
    """Return the top-level package or module of a file, for example "services"."""
    if path.parent == ROOT:
        return path.stem
    return path.relative_to(ROOT / "pkgsite").parts[0].removesuffix(".py")


@cache
def syntax_nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def imported_names(path: Path) -> set[str]:
    """Return the fully qualified names of all imports in a file, including those inside functions."""
    names = set()
    for node in syntax_nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: use absolute imports"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def type_checking_names(path: Path) -> set[str]:
    """Return the names that a file imports only for type checking, in `if TYPE_CHECKING:`."""
    blocks = [node for node in syntax_nodes(path) if isinstance(node, ast.If) and is_type_checking(node.test)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {f"{node.module}.{alias.name}" for node in imports for alias in node.names}


def is_type_checking(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def imported_modules(path: Path) -> set[str]:
    """Return the modules of this project that a file imports.

    Imports for type checking count too, except between models, whose relationships refer to each other.
    """
    names = imported_names(path)
    if package_of(path) == "models":
        names -= type_checking_names(path)
    return {name if name in MODULES else name.rpartition(".")[0] for name in names} & MODULES.keys()


def called_attributes(path: Path) -> set[str]:
    """Return the names of the attributes that a file calls, as in `session.commit()`."""
    return {
        node.func.attr
        for node in syntax_nodes(path)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }


@each_file
def test_a_package_imports_only_packages_below_it(path: Path) -> None:
    package = package_of(path)
    for name in imported_names(path):
        parts = name.split(".")
        if parts[0] in {"config", "wsgi"}:
            assert parts[0] in MAY_IMPORT[package], f"{package} imports {name}"
        if parts[0] == "pkgsite" and len(parts) > 1:
            allowed = MAY_IMPORT[package] | {package}
            assert parts[1] in allowed or ".".join(parts[1:3]) in allowed or parts[:2] == ["pkgsite", "create_app"], (
                f"{package} imports {name}"
            )


@each_file
def test_a_package_keeps_out_of_what_it_is_not_responsible_for(path: Path) -> None:
    package, top_level_names = package_of(path), {name.split(".")[0] for name in imported_names(path)}
    if package in WITHOUT_FLASK:
        assert not {name for name in top_level_names if name.startswith("flask")} | (top_level_names & {"werkzeug"})
    if package in WITHOUT_NETWORK:
        assert not top_level_names & {"requests", "urllib3", "socket", "httpx"}
    if package in WITHOUT_CLOCK:
        assert not called_attributes(path) & {"now", "utcnow", "today", "utc_now"}
        assert "time" not in top_level_names
    if package in WITHOUT_COMMIT:
        assert "commit" not in called_attributes(path)


def test_views_and_the_api_do_not_query_the_database() -> None:
    for path in FILES:
        if package_of(path) in {"views", "api"}:
            assert not {name for name in imported_names(path) if name.split(".")[0] == "sqlalchemy"}, path


def imports_within(package: str) -> Iterator[tuple[str, str]]:
    """Yield the imports between the direct children of a package, as pairs of their names."""
    prefix = f"{package}."
    for module, path in MODULES.items():
        if module.startswith(prefix):
            for imported in imported_modules(path):
                if imported.startswith(prefix):
                    yield module.removeprefix(prefix).split(".")[0], imported.removeprefix(prefix).split(".")[0]


def test_services_import_each_other_only_downward() -> None:
    level_of = {name: level for level, name in enumerate(SERVICES_FROM_TOP)}
    for importer, imported in imports_within("pkgsite.services"):
        assert importer == imported or level_of[importer] < level_of[imported], f"{importer} imports {imported}"


def test_what_the_api_versions_share_imports_none_of_them() -> None:
    for importer, imported in imports_within("pkgsite.api"):
        assert importer == imported or imported not in API_VERSIONS, f"{importer} imports {imported}"


def test_no_imports_are_circular() -> None:
    graph = {module: imported_modules(path) - {module} for module, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def test_no_module_is_a_miscellany() -> None:
    assert not [path for path in FILES if path.stem in {"utils", "helpers", "common", "misc"}]
