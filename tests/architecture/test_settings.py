"""Settings: all are documented, the defaults are valid, and errors name the invalid settings."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import config

ROOT = Path(__file__).resolve().parents[2]
INVALID_VALUES = {
    "PORT": "eighty",
    "WORKERS": "0",
    "DATABASE_URL": "mysql://localhost/x",
    "TIMEZONE": "Mars/Olympus",
    "PUBLIC_URL": "packages.example.org",
    "PROXY_HOPS": "-1",
    "MAX_BODY_BYTES": "lots",
    "SCHEDULER": "sometimes",
    "PACKAGE_INDEX_URL": "ftp://index.example",
    "DOWNLOAD_COUNTS_URL": "pypistats",
    "CODE_HOSTS": "git.example.org subversion",
    "CODE_HOST_TOKENS": "ghp_without_a_host",
}


def test_every_setting_is_documented_with_its_default() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    for setting in config.SETTINGS:
        row = next((line for line in page.splitlines() if line.startswith(f"| `{setting.name}` |")), None)
        assert row, f"docs/settings.md has no row for {setting.name}"
        default = "instance" if setting.name == "DATA_DIR" else setting.default
        assert f"| {f'`{default}`' if default else 'empty'} |" in row, setting.name
        assert setting.description in row, setting.name


def test_the_defaults_are_valid() -> None:
    values = config.read_settings({})
    assert (values["HOST"], values["PORT"], values["PROXY_HOPS"]) == ("127.0.0.1", 8000, 0)
    assert str(values["TIMEZONE"]) == "America/New_York"


@pytest.mark.parametrize("name", INVALID_VALUES)
def test_an_error_names_the_invalid_setting(name: str) -> None:
    is_secret = next(setting.is_secret for setting in config.SETTINGS if setting.name == name)
    visible_value = "…" if is_secret else f"'{INVALID_VALUES[name]}'"
    with pytest.raises(config.InvalidSetting, match=f"{name}={visible_value}: expected "):
        config.read_settings({name: INVALID_VALUES[name]})


def test_all_invalid_settings_are_named_together() -> None:
    with pytest.raises(config.InvalidSetting) as error:
        config.read_settings(INVALID_VALUES)
    assert all(name in str(error.value) for name in INVALID_VALUES)


@pytest.mark.long
def test_the_site_does_not_start_with_an_invalid_setting(tmp_path: Path) -> None:
    environment = os.environ | {"PORT": "eighty", "DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "serve"]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode != 0
    assert "PORT='eighty': expected an integer from 1 to 65535" in run.stderr


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("postgres://me@db/x", "postgresql://me@db/x"),
        ("postgresql+psycopg://me@db/x", "postgresql+psycopg://me@db/x"),
        ("sqlite:////srv/x.db", "sqlite:////srv/x.db"),
    ],
)
def test_database_urls_are_normalised(value: str, expected: str) -> None:
    assert config.read_settings({"DATABASE_URL": value})["DATABASE_URL"] == expected


def test_the_secret_key_is_generated_once_and_readable_only_by_its_owner(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    keys: list[str] = []
    threads = [threading.Thread(target=lambda: keys.append(config.load_or_create_secret_key(folder))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1
    assert len(keys[0]) >= 48
    assert stat.S_IMODE((folder / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["secret_key"]


def test_git_ignores_the_secret_key_and_the_database() -> None:
    paths = ["instance/secret_key", "instance/pkgsite.db"]
    ignored = subprocess.run(["git", "check-ignore", *paths], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ignored.stdout.split() == paths
