"""A browser without scripts: it reads the forms of a page and sends them as they are filled in."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from pkgsite.extensions import db
from tests.login_client import PASSWORD


@dataclass
class HtmlForm:
    """A form with its fields as the page fills them in."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class FormParser(HTMLParser):
    """Collects the forms of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[HtmlForm] = []
        self._textarea: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(HtmlForm(values.get("action", ""), values.get("method", "get")))
        elif tag == "textarea" and "name" in values:
            self._textarea = values["name"]
            self.forms[-1].fields[self._textarea] = ""
        elif tag == "input" and "name" in values:
            is_choice = values.get("type") in {"checkbox", "radio"}
            if not is_choice or "checked" in values:
                self.forms[-1].fields[values["name"]] = values.get("value", "on" if is_choice else "")

    def handle_data(self, data: str) -> None:
        if self._textarea is not None:
            self.forms[-1].fields[self._textarea] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._textarea is not None:
            fields = self.forms[-1].fields
            fields[self._textarea] = fields[self._textarea].lstrip("\r").removeprefix("\n")  # as browsers do
            self._textarea = None


def forms_of(response: TestResponse) -> list[HtmlForm]:
    parser = FormParser()
    parser.feed(response.text)
    parser.close()
    return parser.forms


def form_to(response: TestResponse, path: str) -> HtmlForm:
    """Return the only form of a page that is sent to a path."""
    (form,) = [form for form in forms_of(response) if form.action == path and form.method == "post"]
    return form


class PlainBrowser:
    """Sends the forms of pages, with the CSRF tokens that the pages contain."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()

    def get(self, path: str) -> TestResponse:
        db.session.rollback()
        return self.client.get(path)

    def follow(self, response: TestResponse) -> TestResponse:
        """Follow redirects."""
        while response.status_code in {301, 302, 303}:
            response = self.get(response.location)
        return response

    def send(self, form: HtmlForm, **filled_in: str) -> TestResponse:
        db.session.rollback()
        return self.client.post(form.action, data=form.fields | filled_in)

    def log_in(self, name: str, page: TestResponse | None = None) -> TestResponse:
        """Send the login form of a page, by default the login page, and return the page after the login."""
        form = form_to(page or self.get("/account/login/"), "/account/login/")
        return self.follow(self.send(form, login=name, password=PASSWORD))

    def end_session(self, **cookies: Any) -> None:
        """Lose the session, as after it has expired or the browser has been restarted."""
        with self.client.session_transaction() as cookie:
            cookie.clear()
            cookie.update(cookies)
