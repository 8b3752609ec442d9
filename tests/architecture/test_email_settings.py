"""The settings of letters and of logging in elsewhere: what fits together, and what stops the start."""

from __future__ import annotations

import pytest

import config

SMTP = {"MAIL": "smtp", "PUBLIC_URL": "https://packages.example.org", "MAIL_FROM": "packages@example.org"}


@pytest.mark.parametrize("given", [{}, {"HOST": "::1"}, {"HOST": "localhost"}, {"HOST": "127.0.0.2"},
                                   {"PUBLIC_URL": "http://localhost:8000"}, {"MAIL": "outbox"}])  # fmt: skip
def test_letters_lie_in_the_outbox_where_only_this_machine_looks(given: dict[str, str]) -> None:
    assert config.read_settings(given)["MAIL"] == "outbox"


PUBLIC_SETTINGS = [
    {"HOST": "0.0.0.0"},
    {"HOST": "192.0.2.1"},
    {"HOST": "::"},
    {"HOST": "packages.example.org"},
    {"PROXY_HOPS": "1"},
    {"PUBLIC_URL": "https://packages.example.org"},
    {"TRUSTED_HOSTS": ".example.org"},
]


@pytest.mark.parametrize("given", PUBLIC_SETTINGS)
def test_nowhere_else(given: dict[str, str]) -> None:
    assert config.read_settings(given)["MAIL"] == "off"
    with pytest.raises(config.InvalidSetting, match=r"^MAIL='outbox': .*expected smtp or off"):
        config.read_settings(given | {"MAIL": "outbox"})


def test_mail_needs_a_sender_and_the_sites_address() -> None:
    assert config.read_settings(SMTP)["MAIL"] == "smtp"
    for name in ("PUBLIC_URL", "MAIL_FROM"):
        with pytest.raises(config.InvalidSetting, match=f"{name}='': required when MAIL is smtp"):
            config.read_settings(SMTP | {name: ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAIL", "pigeon"),
        ("SMTP_PORT", "many"),
        ("SMTP_TLS", "perhaps"),
        ("MAIL_FROM", "nobody"),
        ("MAIL_FROM", "a@b.de\nBcc: c@d.ef"),
        ("OAUTH_GITHUB_URL", "github"),
        ("OAUTH_GITLAB_URL", "ftp://x"),
    ],
)
def test_a_bad_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(config.InvalidSetting, match=f"^{name}=.*: expected "):
        config.read_settings({name: value})


def test_a_client_needs_its_secret_which_is_never_shown() -> None:
    with pytest.raises(config.InvalidSetting, match=r"^OAUTH_GITHUB_SECRET=…: required when OAUTH_GITHUB_ID is set$"):
        config.read_settings({"OAUTH_GITHUB_ID": "x"})
    secret = {setting.name for setting in config.SETTINGS if setting.is_secret}
    assert {"SMTP_PASSWORD", "OAUTH_GITHUB_SECRET", "OAUTH_GITLAB_SECRET"} <= secret
