"""Settings for emails and external login: valid combinations, and errors that prevent the start."""

from __future__ import annotations

import pytest

import config

SMTP = {"MAIL": "smtp", "PUBLIC_URL": "https://packages.example.org", "MAIL_FROM": "packages@example.org"}


@pytest.mark.parametrize("environ", [{}, {"HOST": "::1"}, {"HOST": "localhost"}, {"HOST": "127.0.0.2"},
                                   {"PUBLIC_URL": "http://localhost:8000"}, {"MAIL": "outbox"}])  # fmt: skip
def test_emails_go_to_the_outbox_if_the_site_is_only_reachable_locally(environ: dict[str, str]) -> None:
    assert config.read_settings(environ)["MAIL"] == "outbox"


PUBLIC_SETTINGS = [
    {"HOST": "0.0.0.0"},
    {"HOST": "192.0.2.1"},
    {"HOST": "::"},
    {"HOST": "packages.example.org"},
    {"PROXY_HOPS": "1"},
    {"PUBLIC_URL": "https://packages.example.org"},
    {"TRUSTED_HOSTS": ".example.org"},
]


@pytest.mark.parametrize("environ", PUBLIC_SETTINGS)
def test_the_outbox_is_not_allowed_if_other_machines_can_reach_the_site(environ: dict[str, str]) -> None:
    assert config.read_settings(environ)["MAIL"] == "off"
    with pytest.raises(config.InvalidSetting, match=r"^MAIL='outbox': .*expected smtp or off"):
        config.read_settings(environ | {"MAIL": "outbox"})


def test_smtp_requires_the_public_url_and_a_sender() -> None:
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
def test_an_error_names_the_invalid_setting(name: str, value: str) -> None:
    with pytest.raises(config.InvalidSetting, match=f"^{name}=.*: expected "):
        config.read_settings({name: value})


def test_an_oauth_client_id_requires_a_secret_which_is_never_shown() -> None:
    with pytest.raises(config.InvalidSetting, match=r"^OAUTH_GITHUB_SECRET='': required when OAUTH_GITHUB_ID is set$"):
        config.read_settings({"OAUTH_GITHUB_ID": "x"})
    secret_names = {setting.name for setting in config.SETTINGS if setting.is_secret}
    assert {"SMTP_PASSWORD", "OAUTH_GITHUB_SECRET", "OAUTH_GITLAB_SECRET"} <= secret_names
