"""Logging in with an account elsewhere, by OAuth 2.0 with PKCE.

GitHub: https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
GitLab: https://docs.gitlab.com/api/oauth2/
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import requests
import urllib3
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session

from pkgsite.clients.base import ExternalIdentity
from pkgsite.clients.egress import EgressAdapter, EgressPolicy
from pkgsite.clients.http import CONNECTION_ERRORS
from pkgsite.errors import BadResponse, Gone, NotAllowed, Unavailable
from pkgsite.rules.emails import email_problems

TIMEOUT_S = 10.0  # without a byte; a visitor waits meanwhile
TOTAL_TIMEOUT_S = 20.0  # for a whole answer
MAX_RESPONSE_BYTES = 2**20
CHUNK_BYTES = 2**14
MAX_SUBJECT_DIGITS = 20  # digits
MAX_LOGIN_LENGTH = 255
# What comes of JSON that is broken, too deep, or of another shape than the provider's.
PARSE_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    ValueError,
    RecursionError,
    LookupError,
    TypeError,
    AttributeError,
)


class BoundedAdapter(EgressAdapter):
    """Reads answers whole, up to a size and for a time."""

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        response = super().send(request, *args, **options | {"stream": True})
        body, deadline = bytearray(), time.monotonic() + TOTAL_TIMEOUT_S
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > MAX_RESPONSE_BYTES or time.monotonic() > deadline:
                response.close()
                raise BadResponse(f"{request.url} returned too much data or responded too slowly")
        response.close()
        response._content = bytes(body)
        return response


@dataclass(frozen=True, slots=True)
class OAuthProvider:
    """What GitHub and GitLab have in common.

    Attributes:
        url: Where its pages are.
        api: Where its API is.
    """

    client_id: str
    client_secret: str = field(repr=False)
    url: str
    api: str
    egress: EgressPolicy
    user_agent: str

    name = ""
    title = ""
    scope = ""
    authorize_path = ""
    token_path = ""

    def authorize_url(self, *, state: str, verifier: str, callback: str) -> str:
        """Return where to send a person to be asked whether they want to log in here."""
        with self._session(callback) as session:
            url, _state = session.create_authorization_url(
                self.url + self.authorize_path, state=state, code_verifier=verifier
            )
        return str(url)

    def fetch_identity(self, *, code: str, verifier: str, callback: str) -> ExternalIdentity:
        """Return who came back with this code.

        Raises:
            UpstreamError: the provider could not tell; NotAllowed: it does not accept the code.
        """
        with self._session(callback) as session:
            try:
                session.fetch_token(
                    self.url + self.token_path, code=code, code_verifier=verifier, grant_type="authorization_code"
                )
                return self._load_identity(session)
            except AuthlibBaseError as refusal:
                raise NotAllowed(f"{self.title} rejected the login: {refusal}") from refusal
            except CONNECTION_ERRORS as error:
                raise Unavailable(f"Could not connect to {self.title}") from error
            except requests.HTTPError as error:
                raise Unavailable(f"{self.title} returned an error: {error}") from error
            except PARSE_ERRORS as error:
                raise BadResponse(f"{self.title} returned an invalid response: {type(error).__name__}") from error

    def _session(self, callback: str) -> OAuth2Session:
        session = OAuth2Session(
            self.client_id,
            self.client_secret,
            scope=self.scope,
            redirect_uri=callback,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a method
            default_timeout=TIMEOUT_S,
        )
        session.trust_env = False
        session.max_redirects = 0
        session.headers["User-Agent"] = self.user_agent
        for scheme in ("http://", "https://"):
            session.mount(scheme, BoundedAdapter(self.egress))
        return session

    def _get_json(self, session: OAuth2Session, path: str) -> Any:
        """Return the JSON that the provider's API tells the person's token."""
        response = session.get(self.api + path, headers={"Accept": "application/json"})
        status = response.status_code
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            raise Unavailable(f"{self.title} returned {status}")
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise NotAllowed(f"{self.title} returned {status}")
        if status == HTTPStatus.NOT_FOUND:
            raise Gone(f"{self.title} returned {status}")
        if status != HTTPStatus.OK:
            raise BadResponse(f"{self.title} returned {status}")
        return json.loads(response.content)

    def _load_identity(self, session: OAuth2Session) -> ExternalIdentity:
        raise NotImplementedError

    def _build_identity(self, subject: Any, login: Any, email: Any) -> ExternalIdentity:
        if isinstance(subject, bool) or not isinstance(subject, int) or not 0 < subject < 10**MAX_SUBJECT_DIGITS:
            raise BadResponse(f"{self.title} did not return a user ID")
        if not isinstance(login, str) or not 0 < len(login) <= MAX_LOGIN_LENGTH or not login.isprintable():
            raise BadResponse(f"{self.title} did not return a username")
        valid_email = email if isinstance(email, str) and not email_problems(email) else None
        return ExternalIdentity(self.name, str(subject), login, valid_email)


class GitHubLogin(OAuthProvider):
    """GitHub, or a GitHub Enterprise server."""

    name = "github"
    title = "GitHub"
    scope = "read:user user:email"
    authorize_path = "/login/oauth/authorize"
    token_path = "/login/oauth/access_token"  # noqa: S105 - a path

    def _load_identity(self, session: OAuth2Session) -> ExternalIdentity:
        person = self._get_json(session, "/user")
        try:
            emails = self._get_json(session, "/user/emails")
        except (Gone, NotAllowed):  # the person has not let us see them
            emails = []
        verified_emails = [one["email"] for one in emails if one.get("primary") is True and one.get("verified") is True]
        return self._build_identity(person["id"], person["login"], verified_emails[0] if verified_emails else None)


class GitLabLogin(OAuthProvider):
    """GitLab, here or elsewhere."""

    name = "gitlab"
    title = "GitLab"
    scope = "read_user"
    authorize_path = "/oauth/authorize"
    token_path = "/oauth/token"  # noqa: S105 - a path

    def _load_identity(self, session: OAuth2Session) -> ExternalIdentity:
        person = self._get_json(session, "/api/v4/user")
        email = person.get("email") if person.get("confirmed_at") else None
        return self._build_identity(person["id"], person["username"], email)
