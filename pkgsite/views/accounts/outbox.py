"""The letters that were not sent, for the person at this very machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from flask import abort, current_app, render_template, request

from pkgsite.extensions import db
from pkgsite.services.accounts.emails import outbox_emails as letters_of
from pkgsite.views.accounts.base import client_address, pages


@pages.get("/account/outbox/")
def outbox() -> str:
    if current_app.config["MAIL"] != "outbox" or not _is_local_request():
        abort(404)
    return render_template("accounts/outbox.html", emails=letters_of(db.session()))


def _is_local_request() -> bool:
    """Tell whether a request comes from this machine and was meant for it, through no proxy that says so.

    The settings promise that nobody else can reach the site. But a proxy may have been put in front, and a page of
    another site can give its own name this machine's address.
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
