"""The outbox of unsent emails, visible only from the machine that the site runs on."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from flask import abort, current_app, render_template, request

from pkgsite.extensions import db
from pkgsite.services.accounts.emails import outbox_emails
from pkgsite.views.accounts.base import client_address, pages


@pages.get("/account/outbox/")
def outbox() -> str:
    if current_app.config["MAIL"] != "outbox" or not _is_local_request():
        abort(404)
    return render_template("accounts/outbox.html", emails=outbox_emails(db.session()))


def _is_local_request() -> bool:
    """Return whether a request was sent by this machine, to this machine, and not through a proxy.

    The outbox is only enabled on sites that no one else can reach. But someone may have put a proxy in front of the
    site, and another site's domain can resolve to this machine's IP address (DNS rebinding).
    """
    through_proxy = any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-Ip"))
    return (
        not through_proxy and _is_loopback(client_address()) and _is_loopback(urlsplit(request.host_url).hostname or "")
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
