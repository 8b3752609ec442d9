"""The errors that the site raises, each with its data. The views and the API map them to HTTP responses."""

from __future__ import annotations


class SiteError(Exception):
    """Base class of the errors that the site raises itself."""


class NotFound(SiteError):
    """The requested record does not exist.

    Attributes:
        noun: The kind of record: "Package", "Grid", "Category".
    """

    def __init__(self, noun: str) -> None:
        super().__init__(f"{noun.lower()} not found")
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
    """The input is well formed, but another record already has it: a slug, a URL."""


class Forbidden(SiteError):
    """The user does not have permission to do this."""


class Conflict(SiteError):
    """Another user has changed the record in the meantime."""


class UpstreamError(SiteError):
    """A request to another host failed. Clients raise only the five subclasses below."""


class RateLimited(UpstreamError):
    """The host rejects the request because of a rate limit.

    Attributes:
        retry_after_s: Seconds to wait, or None if the host does not say.
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
