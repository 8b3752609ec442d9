"""The errors that the site raises, each with its data. The views and the API map them to HTTP responses."""

from __future__ import annotations


class SiteError(Exception):
    """Base class of the errors that the site raises itself."""


class NotFound(SiteError):
    """The requested record does not exist.

    Attributes:
        noun: The kind of record, capitalised, such as "Package" or "Pending edit".
    """

    def __init__(self, noun: str) -> None:
        super().__init__(f"{noun} not found.")
        self.noun = noun


class Moved(SiteError):
    """The record was requested by a former slug.

    Attributes:
        slug: The record's current slug.
    """

    def __init__(self, slug: str) -> None:
        super().__init__(f"moved to {slug}")
        self.slug = slug


class Invalid(SiteError):
    """The input is invalid.

    Attributes:
        problems: The error messages by field name.
    """

    def __init__(self, problems: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{field}: {' '.join(messages)}" for field, messages in problems.items()))
        self.problems = problems


class AlreadyExists(Invalid):
    """The input is valid, but another record already has the same value, such as a slug or a URL."""


class Forbidden(SiteError):
    """The user does not have permission to do this. The message, a sentence, is shown to the user."""


class Conflict(SiteError):
    """The action conflicts with the current state: the record has changed, or another one is in the way.

    The message is a sentence.
    """


class UpstreamError(SiteError):
    """A request to another host failed. Clients raise only the five subclasses below."""


class RateLimited(UpstreamError):
    """The host rejects the request because of a rate limit.

    Attributes:
        retry_after_s: Seconds to wait, or None if the host does not specify it.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Gone(UpstreamError):
    """The host reports that the resource does not exist."""


class NotAllowed(UpstreamError):
    """The host denies access, or the site's own settings do not allow the request."""


class Unavailable(UpstreamError):
    """The host can't be reached, or responds with a server error."""


class BadResponse(UpstreamError):
    """The host's response can't be parsed."""
