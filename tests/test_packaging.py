"""Packaging: dependencies and lock files are consistent, and the built package works."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import tomllib
import venv
from collections.abc import Iterable, Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
import requests
from flask import Flask
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import pkgsite
from pkgsite.__main__ import main

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIRED_PACKAGES = {
    "flask", "flask-sqlalchemy", "flask-wtf", "flask-login", "marshmallow", "requests", "apscheduler", "pytest",
}  # fmt: skip
FLASK_COMMANDS = {"run", "shell", "routes"}


def dependencies() -> dict[str, SpecifierSet]:
    """Return the version range of each dependency of the package."""
    return version_ranges(PROJECT["dependencies"])


def requirements(file: str) -> dict[str, SpecifierSet]:
    """Return the version range of each package in a requirements file."""
    lines = [line.partition("#")[0].strip() for line in text(file).splitlines()]
    return version_ranges(line for line in lines if line and not line.startswith("-"))


def version_ranges(lines: Iterable[str]) -> dict[str, SpecifierSet]:
    parsed = map(Requirement, lines)
    return {canonicalize_name(requirement.name): requirement.specifier for requirement in parsed}


def locked(file: str) -> dict[str, list[str]]:
    """Return the locked versions of each package in a lock file; some have several, for different Python versions."""
    versions: dict[str, list[str]] = {}
    for name, version, hashes in re.findall(
        r"^([\w.-]+)==(\S+)[^\n]*\n((?: +--hash=\S+(?: \\)?\n)*)", text(file), re.M
    ):
        assert "--hash=sha256:" in hashes, f"{file}: {name} has no hash"
        versions.setdefault(canonicalize_name(name), []).append(version)
    return versions


def text(file: str) -> str:
    return (ROOT / file).read_text()


def test_pyproject_and_requirements_list_the_same_dependencies() -> None:
    required = requirements("requirements.txt")
    assert required.keys() >= REQUIRED_PACKAGES
    del required["pytest"]  # not needed in production
    assert dependencies() == required


@pytest.mark.parametrize(
    ("lock", "sources"),
    [
        ("requirements.lock", ["pyproject.toml"]),
        ("requirements-dev.lock", ["requirements.txt", "requirements-dev.txt"]),
    ],
)
def test_the_lock_files_match_the_requirements(lock: str, sources: list[str]) -> None:
    required: dict[str, SpecifierSet] = {}
    for source in sources:
        required |= requirements(source) if source.endswith(".txt") else dependencies()
    versions = locked(lock)
    for name, allowed in required.items():
        assert name in versions, f"{lock} lacks {name}: run `make lock`"
        assert all(version in allowed for version in versions[name]), (
            f"{lock} has a different version of {name}: run `make lock`"
        )


def test_the_production_lock_file_has_no_development_tools() -> None:
    production, development = locked("requirements.lock"), locked("requirements-dev.lock")
    assert not production.keys() & {"pytest", *requirements("requirements-dev.txt")}
    assert {name: development.get(name) for name in production} == production


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_the_lock_files_name_no_package_index(lock: str) -> None:
    lines = [line for line in text(lock).splitlines() if not line.lstrip().startswith("#")]
    assert all(re.match(r"[\w.-]+==| +--hash=sha256:[0-9a-f]{64}", line) for line in lines)
    assert "://" not in text(lock)


def test_the_changelog_has_a_section_for_the_version() -> None:
    headings = re.findall(r"^## (.+)$", text("CHANGELOG.md"), re.M)
    assert headings[0] == "Unreleased"
    assert any(re.fullmatch(rf"{re.escape(pkgsite.__version__)} - \d{{4}}-\d\d-\d\d", line) for line in headings)


def test_the_pkgsite_command_has_the_commands_of_the_application(app: Flask) -> None:
    assert set(main.commands) >= set(app.cli.commands)
    assert not set(main.commands) & FLASK_COMMANDS


@pytest.mark.long
def test_help_and_version_work_with_invalid_settings(tmp_path: Path) -> None:
    environment = os.environ | {"PORT": "eighty", "PYTHONPATH": str(ROOT)}
    help_text, version = (
        subprocess.run([sys.executable, "-m", "pkgsite", option], cwd=tmp_path, env=environment, capture_output=True,
                       text=True, check=True).stdout
        for option in ("--help", "--version")
    )  # fmt: skip
    assert "serve" in help_text
    assert version == f"pkgsite, version {pkgsite.__version__}\n"
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    return next(folder.glob("pkgsite-*.whl"))


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the scripts of a virtual environment with the wheel."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    pip(str(folder / "bin" / "python"), "install", str(wheel))
    return folder / "bin"


def pip(python: str, *arguments: str) -> None:
    command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr


@pytest.mark.slow
def test_the_wheel_contains_all_files_of_the_site(wheel: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "pkgsite", "migrations", "config.py", "wsgi.py"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    expected = {re.sub("^migrations/", "pkgsite/migrations/", path) for path in tracked.stdout.split()}
    packaged = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packaged == expected
    assert {"config.py", "wsgi.py", "pkgsite/migrations/env.py", "pkgsite/data/catalogue.json"} <= packaged
    assert "pkgsite/data/declarations.json" in packaged


@pytest.mark.slow
def test_the_installed_command_shows_help_and_version(scripts: Path, tmp_path: Path) -> None:
    def run(option: str) -> str:
        command = [str(scripts / "pkgsite"), option]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    listed = re.findall(r"^  ([a-z][\w-]*)  ", run("--help").partition("Commands:\n")[2], re.M)
    assert set(listed) == set(main.commands)
    assert run("--version") == f"pkgsite, version {pkgsite.__version__}\n"


@pytest.fixture
def site(scripts: Path, tmp_path: Path) -> Iterator[str]:
    """The URL of the site, served by the installed command from an empty directory."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"PATH": os.environ["PATH"], "PORT": str(port), "SCHEDULER": "off"}
    process = subprocess.Popen(
        [scripts / "pkgsite", "serve"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.slow
def test_the_installed_command_serves_the_catalogue_from_any_directory(site: str, tmp_path: Path) -> None:
    ends_at = time.monotonic() + 60
    while True:
        try:
            packages = requests.get(f"{site}/api/v4/packages/", timeout=10).json()
            break
        except requests.ConnectionError:
            assert time.monotonic() < ends_at, "the site did not start"
            time.sleep(0.2)
    assert packages["count"] > 50
    assert "<title>" in requests.get(site, timeout=10).text
    assert (tmp_path / "instance" / "pkgsite.db").exists()
