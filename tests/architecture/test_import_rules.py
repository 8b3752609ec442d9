"""Imports go down only: edges, services, rules and models, and nothing back up."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# For each room, the rooms of ours that it may import beside itself.
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
    "jobs": {"services", "clients", "rules", "errors", "clock", "extensions"},
    "cli": {"jobs", "rules", "services", "clients", "errors", "clock", "extensions", "models"},
    "server": {"jobs", "services", "models", "errors", "clock", "extensions"},
    "__main__": {"cli", "server"},
    "responses": {"api", "views", "errors", "extensions"},
    "extensions": {"models", "clients.base"},
    "config": set(),
    "wsgi": {"pkgsite", "config"},
    "limits": {"extensions"},
    "search_sync": {"services", "clock", "extensions"},
    "__init__": {
        "limits",
        "search_sync",
        "responses",
        "api",
        "cli",
        "clients",
        "server",
        "views",
        "extensions",
        "models",
    },
}
WITHOUT_FLASK = {"errors", "clock", "rules", "models", "clients", "services", "config"}
WITHOUT_NETWORK = {"errors", "clock", "rules", "models", "services", "forms", "views", "api", "extensions", "responses"}
WITHOUT_CLOCK = {"errors", "rules", "models", "services", "forms"}
WITHOUT_COMMIT = {"errors", "clock", "rules", "models", "clients", "services", "forms", "extensions"}

FILES = [ROOT / "config.py", ROOT / "wsgi.py", *sorted((ROOT / "pkgsite").rglob("*.py"))]


def package_of(path: Path) -> str:
    if path.parent == ROOT:
        return path.stem
    return path.relative_to(ROOT / "pkgsite").parts[0].removesuffix(".py")


def imported_names(path: Path) -> set[str]:
    """Return the full names of all that a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def called_attributes(path: Path) -> set[str]:
    """Return the names of the attributes that a file calls, as in `session.commit()`."""
    return {
        node.func.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_what_lies_below_it(path: Path) -> None:
    room = package_of(path)
    for name in imported_names(path):
        parts = name.split(".")
        if parts[0] in {"config", "wsgi"}:
            assert parts[0] in MAY_IMPORT[room], f"{room} imports {name}"
        if parts[0] == "pkgsite" and len(parts) > 1:
            target = parts[1] if len(parts) > 2 or (ROOT / "pkgsite" / parts[1]).exists() else f"{parts[1]}"
            allowed = MAY_IMPORT[room] | {room}
            assert target in allowed or ".".join(parts[1:3]) in allowed or parts[:2] == ["pkgsite", "create_app"], (
                f"{room} imports {name}"
            )


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_keeps_away_from_what_is_not_its_own(path: Path) -> None:
    room, tops = package_of(path), {name.split(".")[0] for name in imported_names(path)}
    if room in WITHOUT_FLASK:
        assert not {top for top in tops if top.startswith("flask")} | (tops & {"werkzeug"})
    if room in WITHOUT_NETWORK:
        assert not tops & {"requests", "urllib3", "socket", "httpx"}
    if room in WITHOUT_CLOCK:
        assert not called_attributes(path) & {"now", "utcnow", "today", "utc_now"}
        assert "time" not in tops
    if room in WITHOUT_COMMIT:
        assert "commit" not in called_attributes(path)


def test_views_and_api_ask_services_for_data() -> None:
    """No edge that answers requests builds queries of its own."""
    for path in FILES:
        if package_of(path) in {"views", "api"}:
            assert not {name for name in imported_names(path) if name.split(".")[0] == "sqlalchemy"}, path


def test_there_are_no_drawers() -> None:
    assert not [path for path in FILES if path.stem in {"utils", "helpers", "common", "misc"}]
