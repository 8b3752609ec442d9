"""Settings: each documented, each default good, each bad value refused by its name."""

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
BAD = {
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


def test_the_defaults_are_good() -> None:
    values = config.read_settings({})
    assert (values["HOST"], values["PORT"], values["PROXY_HOPS"]) == ("127.0.0.1", 8000, 0)
    assert str(values["TIMEZONE"]) == "America/New_York"


@pytest.mark.parametrize("name", BAD)
def test_a_bad_value_is_refused_by_name(name: str) -> None:
    is_secret = next(setting.is_secret for setting in config.SETTINGS if setting.name == name)
    shown = "…" if is_secret else f"'{BAD[name]}'"
    with pytest.raises(config.InvalidSetting, match=f"{name}={shown}: expected "):
        config.read_settings({name: BAD[name]})


def test_all_bad_values_are_named_at_once() -> None:
    with pytest.raises(config.InvalidSetting) as error:
        config.read_settings(BAD)
    assert all(name in str(error.value) for name in BAD)


@pytest.mark.long
def test_a_bad_value_stops_the_start_in_plain_words(tmp_path: Path) -> None:
    environment = os.environ | {"PORT": "eighty", "DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "serve"]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode != 0
    assert "PORT='eighty': expected an integer from 1 to 65535" in run.stderr


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("postgres://me@db/x", "postgresql://me@db/x"),
        ("postgresql+psycopg://me@db/x", "postgresql+psycopg://me@db/x"),
        ("sqlite:////srv/x.db", "sqlite:////srv/x.db"),
    ],
)
def test_addresses_of_databases(given: str, understood: str) -> None:
    assert config.read_settings({"DATABASE_URL": given})["DATABASE_URL"] == understood


def test_the_secret_key_is_made_once_and_kept_to_its_owner(tmp_path: Path) -> None:
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


def test_the_secret_key_is_out_of_git() -> None:
    secrets = ["instance/secret_key", "instance/pkgsite.db"]
    ignored = subprocess.run(["git", "check-ignore", *secrets], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ignored.stdout.split() == secrets
