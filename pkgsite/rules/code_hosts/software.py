"""The rules of other hosts and software."""

from __future__ import annotations

import re
from itertools import takewhile

from pkgsite.rules.code_hosts.gitlab import GITLAB_RESERVED, gitlab
from pkgsite.rules.code_hosts.owner_and_name import forgejo, github, sourcehut_repositories
from pkgsite.rules.code_hosts.paths import (
    Layout,
    RepoPath,
    UrlPath,
    before_dash,
    before_page,
    end_at_git_suffix,
    refusal,
    strip_git_suffix,
    unknown_host,
    words,
)


def _within(pages: str, *, start: int = 1, most: int | None = None) -> Layout:
    """Return a layout for software whose pages follow the repository's path; the first `start` segments are no page."""
    page_words = words(pages)

    def read(url: UrlPath) -> RepoPath:
        segments = end_at_git_suffix(url.segments)
        if len(segments) == len(url.segments):
            segments = before_page(before_dash(segments), page_words, start=start)
        return unknown_host(UrlPath(url.host, segments[:most], url.query))

    return read


_CGIT_PAGES = "about atom blame blob commit diff info log patch plain rawdiff refs snapshot stats summary tag tree"
cgit_root = _within(_CGIT_PAGES)
_cgit_below = _within(_CGIT_PAGES, start=2)
hgweb = _within(
    "annotate archive atom-log bookmarks branches changelog changeset comparison diff file filediff filelog graph "
    "graphlog help json-log json-pushes json-rev log manifest pushloghtml raw-annotate raw-file raw-rev rev rss-log "
    "search shortlog summary tags"
)
_FORGEJO_WORDS = (
    "actions activity archive branches commit commits compare forks issues labels media milestones packages projects "
    "pulls raw releases search settings src stars tags watchers wiki"
)
_GITHUB_WORDS = (
    "actions archive blame blob branches commit commits compare issues pull pulls raw releases tags tree wiki"
)
_forgejo_pages = _within(_FORGEJO_WORDS, start=2)
_github_pages = _within(_GITHUB_WORDS, start=2)
_gitlab_pages = _within(" ".join(GITLAB_RESERVED), start=2)
_hugging_face_words = _within("blob commit commits discussions raw resolve settings tree", start=1)


def cgit(url: UrlPath) -> RepoPath:
    return (_cgit_below if url.segments[:1] == ["cgit"] else cgit_root)(url)


def forgejo_software(url: UrlPath) -> RepoPath:
    """Return the repository on a host that is called after Forgejo or Gitea."""
    return (forgejo if url.segments[:2] == ["api", "v1"] else _forgejo_pages)(url)


def github_software(url: UrlPath) -> RepoPath:
    """Return the repository on a host that is called `github`, such as GitHub Enterprise Server."""
    return (github if url.segments[:2] == ["api", "v3"] else _github_pages)(url)


def gitlab_software(url: UrlPath) -> RepoPath:
    """Return the repository on a host that is called `gitlab`, where GitLab may be installed below any path."""
    return gitlab(url) if url.segments[:2] == ["api", "v4"] else _gitlab_pages(url)


def kernel(url: UrlPath) -> RepoPath:
    """git.kernel.org: the same repositories with and without `/cgit` in front."""
    segments = url.segments[1:] if url.segments[:1] == ["cgit"] else url.segments
    return _cgit_below(UrlPath(url.host, segments, url.query))


def savannah(url: UrlPath) -> RepoPath:
    """savannah.gnu.org: projects, whose other pages name them in the query."""
    group = url.query.get("group", "")
    if group:
        return RepoPath(url.host, ["projects", group])
    if len(url.segments) < 2 or url.segments[0] not in {"projects", "p", "git", "svn", "hg", "bzr", "cvs"}:
        raise refusal("a page of Savannah", f"Enter the project's URL, such as https://{url.host}/projects/name.")
    return RepoPath(url.host, url.segments[:2])


def savannah_git(url: UrlPath) -> RepoPath:
    """git.savannah.gnu.org: cgit, gitweb and clone URLs of the same repositories."""
    segments = url.segments
    if segments[:2] == ["srv", "git"]:
        segments = segments[2:]
    elif segments[:1] and segments[0] in {"git", "cgit", "gitweb", "r"}:
        segments = segments[1:]
    if url.query.get("p"):
        segments = url.query["p"].strip("/").split("/")
    return _cgit_below(UrlPath(url.host, ["cgit", *segments]))


def sourcehut(url: UrlPath) -> RepoPath:
    if url.segments and not url.segments[0].startswith("~"):
        raise refusal("a page of SourceHut", f"Enter a repository URL, such as https://{url.host}/~user/name.")
    return sourcehut_repositories(url)


def sourcehut_hub(url: UrlPath) -> RepoPath:
    name = "/".join(url.segments[:2]) if len(url.segments) > 1 else "~user/name"
    instead = f"Enter the URL of its repository, such as https://git.sr.ht/{name}."
    raise refusal("a page of a project on SourceHut", instead)


def launchpad(url: UrlPath) -> RepoPath:
    """launchpad.net: a project, or a branch or Git repository of a person."""
    segments = url.segments
    example = f"Enter the URL of a project, such as https://{url.host}/name."
    if segments[:1] == ["+branch"] and len(segments) > 1:
        return RepoPath(url.host, segments[:2])
    if _is_launchpad_package(segments):
        return RepoPath(url.host, end_at_git_suffix(segments[:3]))
    if not segments or segments[0].startswith("+") or segments[0] in {"projects", "people", "ubuntu"}:
        raise refusal("a page of Launchpad", example)
    if "+git" in segments[:-1]:
        return RepoPath(url.host, end_at_git_suffix(segments[: segments.index("+git") + 2]))
    if not segments[0].startswith("~"):
        return RepoPath(url.host, end_at_git_suffix(segments[:1]))
    if len(segments) < 3 or any(segment.startswith("+") for segment in segments[1:3]):
        raise refusal("the page of a person or a team on Launchpad", example)
    return RepoPath(url.host, segments[:3])


def _is_launchpad_package(segments: list[str]) -> bool:
    """Return whether a path names a source package of a distribution, or a person's branch of no project."""
    return len(segments) > 2 and segments[1] in {"+source", "+junk"}


def launchpad_page(url: UrlPath) -> RepoPath:
    """Launchpad's bugs, answers and translations of a project."""
    return launchpad(UrlPath("launchpad.net", url.segments))


_ALLURA_TOOLS = words(
    "activity admin blog bugs discussion donate feature-requests files forum mailman news patches reviews screenshots "
    "search stats support support-requests tickets todo wiki"
)


def sourceforge(url: UrlPath) -> RepoPath:
    """sourceforge.net: projects, and repositories that are tools of a project."""
    segments = end_at_git_suffix(url.segments)
    if len(segments) < 2 or segments[0] not in {"projects", "p", "u", "scm"}:
        raise refusal(
            "a page of SourceForge", "Enter the project's URL, such as https://sourceforge.net/projects/name."
        )
    if segments[0] == "projects" or (len(segments) > 2 and segments[2].lower() in _ALLURA_TOOLS):
        return RepoPath(url.host, segments[:2])
    if segments[0] == "u" and (len(segments) == 2 or segments[2] == "profile"):
        raise refusal("the page of a user on SourceForge", "Enter the URL of a project or repository.")
    return RepoPath(url.host, segments[:3])


def pagure(url: UrlPath) -> RepoPath:
    """pagure.io: a name, a namespace and a name, or a fork of these by a user."""
    segments = end_at_git_suffix(url.segments)
    if segments[:2] == ["api", "0"]:
        segments = segments[2:]
    fork = segments[:2] if segments[:1] in (["fork"], ["forks"]) else []
    segments = segments[len(fork) :]
    example = f"Enter the repository's URL, such as https://{url.host}/name."
    if not segments or (not fork and segments[0] in _PAGURE_PAGES):
        raise refusal(f"a page of {url.host}", example)
    names = before_page(segments, _PAGURE_WORDS, start=1)[:2]
    return RepoPath(url.host, [*(["fork", *fork[1:]] if fork else []), *names])


_PAGURE_PAGES = words("about api browse dashboard group groups login logout new projects search user users")
_PAGURE_WORDS = words(
    "adddocs blame blob board boards branches c commits contributors diff forks git history issue issues new_issue "
    "pull-request pull-requests raw releases report roadmap settings stargazers stats tags tree upload watchers"
)


def azure(url: UrlPath) -> RepoPath:
    """Azure DevOps: a repository's name follows `_git`; in SSH URLs, organization, project and name follow `v3`."""
    segments = url.segments
    if segments[:1] == ["v3"] and len(segments) >= 4:
        organization, project, name = segments[1:4]
        return RepoPath("dev.azure.com", [organization, project, "_git", strip_git_suffix(name)])
    if "_apis" in segments and segments[segments.index("_apis") :][1:3] == ["git", "repositories"]:
        start = segments.index("_apis")
        segments = [*segments[:start], "_git", *segments[start + 3 :]]
    if "_git" not in segments[:-1]:
        example = "https://dev.azure.com/organization/project/_git/name"
        raise refusal("a page of Azure DevOps", f"Enter the repository's URL, such as {example}.")
    end = segments.index("_git") + 2
    if segments[end - 1] in {"_full", "_optimized"} and len(segments) > end:
        segments = [*segments[: end - 1], *segments[end:]]
    return RepoPath(url.host, segments[:end], url.query.get("path", "").strip("/"))


def gitiles(url: UrlPath) -> RepoPath:
    """Gitiles on googlesource.com: pages start with a segment such as `+` or `+log`; `/a/` is for logged-in users."""
    segments, host = url.segments, url.host
    if host.removesuffix(".googlesource.com").endswith("-review"):
        if segments[:1] != ["c"]:
            raise refusal("a page of code reviews", f"Enter a repository URL, such as https://{host}/name.")
        host, segments = host.replace("-review.", "."), segments[1:]
    if segments[:1] == ["a"]:
        segments = segments[1:]
    return unknown_host(UrlPath(host, list(takewhile(lambda segment: not segment.startswith("+"), segments))))


def google_code(url: UrlPath) -> RepoPath:
    start = 1 if url.segments[:1] == ["archive"] else 0
    if len(url.segments) < start + 2 or url.segments[start] not in {"p", "r", "a"}:
        raise refusal(
            "a page of Google Code", "Enter the project's URL, such as https://code.google.com/archive/p/name."
        )
    return RepoPath(url.host, end_at_git_suffix(url.segments[: start + 2]))


def _codecommit(url: UrlPath) -> RepoPath:
    if url.segments[:2] != ["v1", "repos"] or len(url.segments) < 3:
        raise refusal("a page of AWS CodeCommit", f"Enter a clone URL, such as https://{url.host}/v1/repos/name.")
    return RepoPath(url.host, end_at_git_suffix(url.segments[:3]))


_CONSOLE_HOST = re.compile(r"^(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d+)\.)?console\.aws\.amazon\.com$")


def aws(url: UrlPath) -> RepoPath:
    """AWS: the host and console of CodeCommit."""
    console = _CONSOLE_HOST.match(url.host)
    if not console:
        return _codecommit(url) if url.host.startswith("git-codecommit") else unknown_host(url)
    segments, region = url.segments, url.query.get("region") or console["region"]
    if "repositories" not in segments[:-1] or "codecommit" not in segments or not region:
        raise refusal("a page of the AWS console", "Enter the clone URL of the repository.")
    name = segments[segments.index("repositories") + 1]
    return RepoPath(f"git-codecommit.{region}.amazonaws.com", ["v1", "repos", name])


def phabricator(url: UrlPath) -> RepoPath:
    """Phabricator and Phorge: `/source/<name>`, `/diffusion/<number or callsign>` or `/r<callsign>`."""
    segments = end_at_git_suffix(url.segments)
    if segments[:1] and segments[0] in {"source", "diffusion"} and len(segments) > 1:
        return RepoPath(url.host, segments[:2])
    if segments and re.fullmatch(r"r[A-Z]+", segments[0]):
        return RepoPath(url.host, ["diffusion", segments[0][1:]])
    raise refusal("a page of Phabricator", f"Enter the repository's URL, such as https://{url.host}/source/name.")


def bitbucket_server(url: UrlPath) -> RepoPath:
    """Bitbucket Data Center: `/projects/<key>/repos/<name>` or `/users/<name>/repos/<name>`; clones are at `/scm`."""
    segments = end_at_git_suffix(url.segments)
    if "repos" in segments[2:3] and segments[0] in {"projects", "users"} and len(segments) > 3:
        return RepoPath(url.host, segments[:4])
    return unknown_host(url)


def gerrit(url: UrlPath) -> RepoPath:
    """Gerrit with Gitiles at `/g` or `/r/plugins/gitiles`."""
    return unknown_host(
        UrlPath(url.host, list(takewhile(lambda segment: not segment.startswith("+"), url.segments)), url.query)
    )


def hugging_face(url: UrlPath) -> RepoPath:
    is_listing = bool(url.segments) and url.segments[0] in {"docs", "papers", "blog", "join", "login", "collections"}
    if is_listing or url.segments in (["models"], ["datasets"], ["spaces"]):
        raise refusal(
            "a page of Hugging Face", "Enter the repository's URL, such as https://huggingface.co/owner/name."
        )
    most = 3 if url.segments[:1] in (["datasets"], ["spaces"]) else 2
    path = _hugging_face_words(url)
    return RepoPath(path.host, path.segments[:most])


def apache(url: UrlPath) -> RepoPath:
    """gitbox.apache.org: the repository is in the path of clone URLs, and in the query on pages."""
    project = url.query.get("p", "").strip("/")
    return RepoPath(url.host, ["repos", "asf", *end_at_git_suffix([project])]) if project else unknown_host(url)
