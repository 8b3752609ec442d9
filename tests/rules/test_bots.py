"""Bots among the participants."""

from __future__ import annotations

import pytest

from pkgsite.rules.bots import is_bot, split_bots


@pytest.mark.parametrize(
    "name",
    [
        *("dependabot[bot]", "pre-commit-ci[bot]", "github-actions[bot]", "Renovate[Bot]", "weird-thing[bot]"),
        *("dependabot", "dependabot-preview", "renovate-bot", "renovate_bot", "Renovate Bot", "Weblate (bot)"),
        *("pyup-bot", "GitHub Actions", "actions-user", "Copilot", "greenkeeper", "allcontributors", "bot-of-acme"),
        *("project_123_bot", "project_123_bot1", "group_7_bot_4f9c01", "renovatebot", "forgejo-actions", "pyup.io"),
        *("scala-steward", "dependabot-support", "translatewiki.net", "Claude Code", "Jenkins CI"),
        *("imgbot", "fossabot", "Weblate", "mergify", "snyk-bot", " DEPENDABOT ", "Hosted Weblate", "k8s-ci-robot"),
    ],
)
def test_bots_are_recognised_by_their_names(name: str) -> None:
    assert is_bot(name)


@pytest.mark.parametrize(
    "name",
    [
        "project_bot_fan",
        "claude",
        "Claude Paroz",
        "ada",
        "abbot",
        "Tony Abbott",
        "talbot",
        "robots",
        "botond",
        "Botond Kiss",
        "cibot2000",
        "action",
        "",
        "[]",
    ],
)
def test_people_are_not_bots(name: str) -> None:
    assert not is_bot(name)


def test_people_keep_their_order() -> None:
    assert split_bots(["zoe", "dependabot[bot]", "ada"]) == (["zoe", "ada"], ["dependabot[bot]"])
