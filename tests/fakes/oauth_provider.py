"""GitHub and GitLab as places to log in: the real protocol over HTTP, PKCE checked, codes that work once."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.fakes.v4_site import Answer, response

CLIENT_ID, CLIENT_SECRET = "a-client", "a secret & more"
PATHS = {
    "github": ("/login/oauth/authorize", "/login/oauth/access_token"),
    "gitlab": ("/oauth/authorize", "/oauth/token"),
}


@dataclass
class FakePerson:
    """Who is logged in at the provider, in the browser that comes."""

    number: int = 17
    login: str = "ada"
    email: str | None = "ada@elsewhere.example"
    is_verified: bool = True


@dataclass
class Grant:
    """A code that was given out."""

    person: FakePerson
    redirect_uri: str
    challenge: str
    scope: str


@dataclass
class FakeProvider:
    """A WSGI application.

    Attributes:
        kind: "github" or "gitlab".
        person: Who is asked at the authorize page.
        is_consenting: Whether they agree.
        faults: For a part of an address the answer that is given in place of the true one.
    """

    kind: str = "github"
    person: FakePerson = field(default_factory=FakePerson)
    is_consenting: bool = True
    faults: dict[str, Answer] = field(default_factory=dict)
    request_log: list[str] = field(default_factory=list)
    codes: dict[str, Grant] = field(default_factory=dict)
    tokens: dict[str, Grant] = field(default_factory=dict)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        self.request_log.append(path)
        for part, fault in self.faults.items():
            if part in path:
                return fault(environ, start_response)
        authorize, token = PATHS[self.kind]
        query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
        if path == authorize:
            found = response("302 Found", b"", Location=self.callback_url(query))
        elif path == token and environ["REQUEST_METHOD"] == "POST":
            found = self.token_response(environ)
        else:
            found = self.api_response(path, environ.get("HTTP_AUTHORIZATION", ""))
        return found(environ, start_response)

    def callback_url(self, query: dict[str, str]) -> str:
        """Return where the person is sent back to, with a code or a refusal."""
        assert query["client_id"] == CLIENT_ID
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        if not self.is_consenting:
            params = {"error": "access_denied", "error_description": "The resource owner denied the request."}
        else:
            params = {"code": secrets.token_hex(10)}
            self.codes[params["code"]] = Grant(
                self.person, query["redirect_uri"], query["code_challenge"], query["scope"]
            )
        return f"{query['redirect_uri']}?{urlencode(params | {'state': query['state']})}"

    def authorize(self, url: str) -> str:
        """Do what the person's browser does at the authorize page; return where it is led."""
        parts = urlsplit(url)
        assert parts.path == PATHS[self.kind][0]
        return self.callback_url({name: values[0] for name, values in parse_qs(parts.query).items()})

    def token_response(self, environ: dict[str, Any]) -> Answer:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
        sent = {name: values[0] for name, values in parse_qs(body).items()}
        assert "application/json" in environ["HTTP_ACCEPT"]
        if (sent.get("client_id"), sent.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return self.oauth_error("incorrect_client_credentials", "invalid_client")
        grant = self.codes.pop(sent["code"], None)
        verifier = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        if not grant or grant.redirect_uri != sent["redirect_uri"] or grant.challenge != challenge:
            return self.oauth_error("bad_verification_code", "invalid_grant")
        assert sent["grant_type"] == "authorization_code"
        token = secrets.token_hex(10)
        self.tokens[token] = grant
        payload: dict[str, Any] = {"access_token": token, "token_type": "bearer", "scope": grant.scope}
        if self.kind == "gitlab":
            payload |= {"token_type": "Bearer", "expires_in": 7200, "refresh_token": "r", "created_at": 1607635748}
        return response("200 OK", payload)

    def oauth_error(self, at_github: str, at_gitlab: str) -> Answer:
        """Refuse as each does: GitHub with 200."""
        if self.kind == "github":
            return response(
                "200 OK", {"error": at_github, "error_description": "The code passed is incorrect or expired."}
            )
        return response("400 Bad Request", {"error": at_gitlab, "error_description": "The provided grant is invalid."})

    def api_response(self, path: str, authorization: str) -> Answer:
        grant = self.tokens.get(authorization.removeprefix("Bearer "))
        if not grant:
            return response("401 Unauthorized", {"message": "Bad credentials"})
        person = grant.person
        if self.kind == "github" and path == "/user":
            assert "read:user" in grant.scope
            return response("200 OK", {"id": person.number, "login": person.login, "email": None, "type": "User"})
        if self.kind == "github" and path == "/user/emails":
            assert "user:email" in grant.scope
            first = {"email": "old@elsewhere.example", "primary": False, "verified": True, "visibility": None}
            main = {"email": person.email, "primary": True, "verified": person.is_verified, "visibility": "private"}
            return response("200 OK", [first, main] if person.email else [first])
        if self.kind == "gitlab" and path == "/api/v4/user":
            assert grant.scope == "read_user"
            confirmed = "2012-05-23T09:05:22Z" if person.is_verified else None
            return response("200 OK", {"id": person.number, "username": person.login, "email": person.email,
                                     "confirmed_at": confirmed, "state": "active"})  # fmt: skip
        return response("404 Not Found", {"message": "Not Found"})


def provider_settings(kind: str, address: str) -> dict[str, str]:
    """Return the settings of a site whose people log in by a provider at this address."""
    prefix = f"OAUTH_{kind.upper()}"
    found = {
        f"{prefix}_ID": CLIENT_ID,
        f"{prefix}_SECRET": CLIENT_SECRET,
        f"{prefix}_URL": address,
        "ALLOWED_HOSTS_OUT": urlsplit(address).netloc,
    }
    return found | ({"OAUTH_GITHUB_API": address} if kind == "github" else {})
