"""Accounts of bots among the people who commit, by their names on the code hosts."""

from __future__ import annotations

import re
from collections.abc import Iterable

# "dependabot[bot]", "renovate-bot", "Weblate Bot", "bot-of-acme": the word "bot" on its own at the end or the start.
# "project_123_bot_4f9c", "project_123_bot1" and the like are the accounts of access tokens on GitLab.
_BOT_WORD = re.compile(r"(?:^|[\W_])(?:ro)?bot[\])]*$|^bot[\W_]|^(?:project|group)_\d+_bot(?:\d|_|$)")
# The person behind an account may have such a name: "abbot" and "talbot" are people, so only known names count here.
_KNOWN_BOTS = frozenset(
    {
        *("actionsuser", "allcontributors", "asfbot", "autofixci", "azurepipelines", "blurbit"),
        *("circleci", "codacybadger", "codecov", "codecovio", "copilot", "copilotsweagent", "cursoragent"),
        *("deepsource", "deepsourceautofix", "deepsourceio", "dependabot", "dependabotpreview"),
        *("dependencyupdater", "devinai", "devinaiintegration", "fossabot", "githubaction", "githubactions"),
        *("githubclassroom", "gitlocalize", "gitterbadger", "googlelabsjules", "greenkeeper", "greenkeeperio"),
        *("houndci", "imgbot", "kodiakhq", "lgtmcom", "lgtmmigrator", "mergequeue", "mergify", "mergifyio"),
        *(
            "missislington",
            "pixeebot",
            "precommit",
            "precommitci",
            "pullbot",
            "pyup",
            "pyupbot",
            "readthedocsassistant",
        ),
        *("releaseplease", "renovate", "renovateapp", "repobot", "restyledio", "scrutinizerautofixer"),
        *("semanticrelease", "semanticreleasebot", "snykbot", "snykio", "sonatypelift", "sourceryai", "stepsecurity"),
        *("theknightswhosayni", "transifex", "transifexintegration", "travisci", "waffleiron", "weblate"),
        *(
            "bors",
            "coderabbitai",
            "codecovcommenter",
            "crowdin",
            "deepsourcebot",
            "depfu",
            "hostedweblate",
            "imgbotapp",
        ),
        *("whitesource", "whitesourceboltforgithub", "webflow"),
        *("claudecode", "coveralls", "dependabotsupport", "forgejoactions", "forgejorenovateaction", "giteaactions"),
        *("gitlabci", "googlebot", "homu", "jenkinsci", "meeseeksmachine", "pontoon", "pyupio", "renovatebot"),
        *("requiresio", "rusthighfive", "scalasteward", "translatewiki", "translatewikinet", "zulipbot"),
    }
)


def is_bot(name: str) -> bool:
    """Return whether a participant's name is that of a bot.

    >>> [name for name in ("ada", "dependabot[bot]", "Renovate Bot", "talbot") if is_bot(name)]
    ['dependabot[bot]', 'Renovate Bot']
    """
    folded = name.strip().casefold()
    return bool(_BOT_WORD.search(folded)) or "".join(filter(str.isalnum, folded)) in _KNOWN_BOTS


def split_bots(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the people and the bots among the participants, each in the same order."""
    people: list[str] = []
    bots: list[str] = []
    for name in names:
        (bots if is_bot(name) else people).append(name)
    return people, bots
