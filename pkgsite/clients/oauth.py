"""Login with a GitHub or GitLab account, by OAuth 2.0 with PKCE.

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
from pkgsite.rules.emails import ascii_email, email_problems

TIMEOUT_S = 10.0  # without receiving a byte; the user is waiting
TOTAL_TIMEOUT_S = 20.0  # for an entire response
MAX_RESPONSE_BYTES = 2**20
CHUNK_BYTES = 2**14
MAX_SUBJECT_DIGITS = 20
MAX_LOGIN_LENGTH = 255
# Raised for JSON that is malformed, nested too deeply, or not in the provider's format.
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
    """Reads entire responses, with limits on size and time."""

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
    """A `LoginProvider`: the common part of GitHub and GitLab.

    Attributes:
        url: Root URL of the website.
        api: Root URL of the API.
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
        """Return the URL where a person authorizes the login."""
        with self._session(callback) as session:
            url, _state = session.create_authorization_url(
                self.url + self.authorize_path, state=state, code_verifier=verifier
            )
        return str(url)

    def fetch_identity(self, *, code: str, verifier: str, callback: str) -> ExternalIdentity:
        """Return the identity of the person who came back with this code.

        Raises:
            UpstreamError: The request failed (`NotAllowed` if the provider rejects the code).
        """
        with self._session(callback) as session:
            try:
                session.fetch_token(
                    self.url + self.token_path, code=code, code_verifier=verifier, grant_type="authorization_code"
                )
                return self._load_identity(session)
            except AuthlibBaseError as error:
                raise NotAllowed(f"{self.title} rejected the login: {error}") from error
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
        """Return the JSON of a path of the provider's API, requested with the person's token."""
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
        valid_email = ascii_email(email) if isinstance(email, str) and not email_problems(email) else None
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
        except (Gone, NotAllowed):  # the person has not granted access to them
            emails = []
        verified_emails = [
            email["email"] for email in emails if email.get("primary") is True and email.get("verified") is True
        ]
        return self._build_identity(person["id"], person["login"], verified_emails[0] if verified_emails else None)


class GitLabLogin(OAuthProvider):
    """gitlab.com or a self-managed GitLab."""

    name = "gitlab"
    title = "GitLab"
    scope = "read_user"
    authorize_path = "/oauth/authorize"
    token_path = "/oauth/token"  # noqa: S105 - a path

    def _load_identity(self, session: OAuth2Session) -> ExternalIdentity:
        person = self._get_json(session, "/api/v4/user")
        email = person.get("email") if person.get("confirmed_at") else None
        return self._build_identity(person["id"], person["username"], email)
