"""Which rules each host has."""

from __future__ import annotations

from collections.abc import Mapping

from pkgsite.rules.code_hosts.gitlab import gitlab
from pkgsite.rules.code_hosts.owner_and_name import (
    bitbucket_cloud,
    forgejo,
    gitee,
    github,
    github_files,
    owner_and_name,
)
from pkgsite.rules.code_hosts.paths import Layout, api_of, never, same_path_on, unknown_host
from pkgsite.rules.code_hosts.software import (
    apache,
    aws,
    azure,
    bitbucket_server,
    cgit,
    cgit_root,
    forgejo_software,
    gerrit,
    github_software,
    gitiles,
    gitlab_software,
    google_code,
    hgweb,
    hugging_face,
    kernel,
    launchpad,
    launchpad_page,
    pagure,
    phabricator,
    savannah,
    savannah_git,
    sourceforge,
    sourcehut,
    sourcehut_hub,
)

_gist = never("a gist")
_site = never("a website with pages of a project")
_package_page = never("a page of a package index", "https://github.com/owner/name; enter the project in its own field")
_funding = never("a page for sponsors")

_KINDS: Mapping[str, Layout] = {
    "github": github,
    "gitlab": gitlab,
    "bitbucket": bitbucket_cloud,
    "forgejo": forgejo,
}
_HOSTS: Mapping[str, Layout] = {
    "github.com": github,
    "ssh.github.com": same_path_on("github.com", github),
    "github.dev": same_path_on("github.com", github),
    "raw.github.com": github_files,
    "raw.githubusercontent.com": github_files,
    "codeload.github.com": same_path_on("github.com", github),
    "api.github.com": api_of("github.com", [("repos",)], github),
    "uploads.github.com": api_of("github.com", [("repos",)], github),
    "gist.github.com": _gist,
    "gist.githubusercontent.com": _gist,
    "gitlab.com": gitlab,
    "altssh.gitlab.com": same_path_on("gitlab.com", gitlab),
    "salsa.debian.org": gitlab,
    "framagit.org": gitlab,
    "invent.kde.org": gitlab,
    "0xacab.org": gitlab,
    "jihulab.com": gitlab,
    "foss.heptapod.net": gitlab,
    "code.videolan.org": gitlab,
    "git.coop": gitlab,
    "gitlab.gnome.org": gitlab,
    "gitlab.freedesktop.org": gitlab,
    "gitlab.torproject.org": gitlab,
    "gitlab.haskell.org": gitlab,
    "gitlab.inria.fr": gitlab,
    "gitlab.kitware.com": gitlab,
    "gitlab.archlinux.org": gitlab,
    "gitlab.alpinelinux.org": gitlab,
    "gitlab.cern.ch": gitlab,
    "gitlab.wikimedia.org": gitlab,
    "bitbucket.org": bitbucket_cloud,
    "altssh.bitbucket.org": same_path_on("bitbucket.org", bitbucket_cloud),
    "bytebucket.org": same_path_on("bitbucket.org", bitbucket_cloud),
    "api.bitbucket.org": api_of("bitbucket.org", [("2.0", "repositories"), ("1.0", "repositories")], bitbucket_cloud),
    "codeberg.org": forgejo,
    "gitea.com": forgejo,
    "try.gitea.io": forgejo,
    "opendev.org": forgejo,
    "git.disroot.org": forgejo,
    "code.forgejo.org": forgejo,
    "git.gay": forgejo,
    "notabug.org": forgejo,
    "git.fsfe.org": forgejo,
    "projects.blender.org": forgejo,
    "gitee.com": gitee,
    "gitcode.com": owner_and_name,
    "git.sr.ht": sourcehut,
    "hg.sr.ht": sourcehut,
    "sr.ht": sourcehut_hub,
    "launchpad.net": launchpad,
    "code.launchpad.net": launchpad,
    "git.launchpad.net": launchpad,
    "bazaar.launchpad.net": launchpad,
    "bugs.launchpad.net": launchpad_page,
    "answers.launchpad.net": launchpad_page,
    "blueprints.launchpad.net": launchpad_page,
    "translations.launchpad.net": launchpad_page,
    "sourceforge.net": sourceforge,
    "sf.net": same_path_on("sourceforge.net", sourceforge),
    "git.code.sf.net": same_path_on("sourceforge.net", sourceforge),
    "hg.code.sf.net": same_path_on("sourceforge.net", sourceforge),
    "svn.code.sf.net": same_path_on("sourceforge.net", sourceforge),
    "savannah.gnu.org": savannah,
    "savannah.nongnu.org": savannah,
    "git.savannah.gnu.org": savannah_git,
    "git.savannah.nongnu.org": savannah_git,
    "pagure.io": pagure,
    "src.fedoraproject.org": pagure,
    "git.centos.org": pagure,
    "dev.azure.com": azure,
    "ssh.dev.azure.com": azure,
    "code.google.com": google_code,
    "phabricator.wikimedia.org": phabricator,
    "we.phorge.it": phabricator,
    "secure.phabricator.com": phabricator,
    "reviews.freebsd.org": phabricator,
    "gerrit.wikimedia.org": gerrit,
    "gitbox.apache.org": apache,
    "git.kernel.org": kernel,
    "git.zx2c4.com": cgit_root,
    "hg.mozilla.org": hgweb,
    "huggingface.co": hugging_face,
    "pypi.org": _package_page,
    "test.pypi.org": _package_page,
    "pypi.python.org": _package_page,
    "files.pythonhosted.org": _package_page,
    "npmjs.com": _package_page,
    "anaconda.org": _package_page,
    "djangopackages.org": _package_page,
    "libraries.io": _package_page,
    "pepy.tech": _package_page,
    "piwheels.org": _package_page,
    "pypistats.org": _package_page,
    "opencollective.com": _funding,
    "patreon.com": _funding,
    "readthedocs.org": _site,
    "liberapay.com": _funding,
    "ko-fi.com": _funding,
    "buymeacoffee.com": _funding,
}
_DOMAINS: Mapping[str, Layout] = {
    ".github.com": never("a page of GitHub"),
    ".githubusercontent.com": never("a file on GitHub"),
    ".github.io": _site,
    ".gitlab.io": _site,
    ".gitlab.com": never("a page of GitLab", "https://gitlab.com/group/name"),
    ".bitbucket.io": _site,
    ".codeberg.page": _site,
    ".readthedocs.io": _site,
    ".readthedocs.org": _site,
    ".sr.ht": never("a page of SourceHut", "https://git.sr.ht/~user/name"),
    ".sourceforge.io": _site,
    ".visualstudio.com": azure,
    ".googlesource.com": gitiles,
    ".amazonaws.com": aws,
    "console.aws.amazon.com": aws,
}
# Hosts that are called after the software that they run.
_SOFTWARE: Mapping[str, Layout] = {
    "github": github_software,
    "gitlab": gitlab_software,
    "gitea": forgejo_software,
    "forgejo": forgejo_software,
    "gogs": forgejo_software,
    "bitbucket": bitbucket_server,
    "stash": bitbucket_server,
    "cgit": cgit,
    "hg": hgweb,
    "phabricator": phabricator,
}


def layout_for(host: str, kind: str | None) -> Layout:
    """Return the URL rules of a host; `kind` is its kind if it is in the settings."""
    if kind:
        return _KINDS[kind]
    if host in _HOSTS:
        return _HOSTS[host]
    for suffix, layout in _DOMAINS.items():
        if host.endswith(suffix):
            return layout
    return _SOFTWARE.get(host.partition(".")[0], unknown_host)
