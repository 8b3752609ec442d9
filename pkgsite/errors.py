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


class LoginRequired(Forbidden):
    """A form was sent by someone who is not logged in. The login page carries it until they have logged in."""


class Conflict(SiteError):
    """The action conflicts with the current state: the record has changed, or another one is in the way.

    The message is a sentence.
    """


class UpstreamError(SiteError):
    """A request to another host failed. Clients raise only the five subclasses below.

    Attributes:
        host_message: The explanation in the host's response, shortened; empty if there is none.
    """

    def __init__(self, message: str, *, host_message: str = "") -> None:
        super().__init__(message)
        self.host_message = host_message

    @property
    def stops_host(self) -> bool:
        """Whether the failure is about the host, not the resource: no request should be sent to it for now."""
        return isinstance(self, RateLimited) or (isinstance(self, NotAllowed) and self.is_host_wide)


class RateLimited(UpstreamError):
    """The host rejects the request because of a rate limit.

    Attributes:
        retry_after_s: Seconds to wait, or None if the host does not specify it.
        is_minimum: Whether `retry_after_s` is only a lower bound, so that repeated limits need longer waits.
    """

    def __init__(
        self, message: str, retry_after_s: float | None = None, *, is_minimum: bool = False, host_message: str = ""
    ) -> None:
        super().__init__(message, host_message=host_message)
        self.retry_after_s = retry_after_s
        self.is_minimum = is_minimum


class Gone(UpstreamError):
    """The host reports that the resource does not exist.

    Attributes:
        is_taken_down: Whether the host states that it has removed the resource for everyone, for legal reasons or
            because of its terms. A proxy without its server would not say so.
    """

    def __init__(self, message: str, *, is_taken_down: bool = False, host_message: str = "") -> None:
        super().__init__(message, host_message=host_message)
        self.is_taken_down = is_taken_down


class NotAllowed(UpstreamError):
    """The host denies access, or the site's own settings do not allow the request.

    Attributes:
        is_host_wide: Whether all requests to the host would fail until the operator changes something: the host rejects
            the site's token, account or address, or the settings do not allow the host.
        log_detail: Details for the operator only; the message itself is public.
    """

    def __init__(
        self, message: str, *, is_host_wide: bool = False, log_detail: str = "", host_message: str = ""
    ) -> None:
        super().__init__(message, host_message=host_message)
        self.is_host_wide = is_host_wide
        self.log_detail = log_detail


class Unavailable(UpstreamError):
    """The host can't be reached, or responds with a server error."""


class BadResponse(UpstreamError):
    """The host's response can't be parsed."""
