"""The ways in which a request can fail, each with its data. HTTP is decided at the edges."""

from __future__ import annotations


class SiteError(Exception):
    """Any failure that the site names itself."""


class NotFound(SiteError):
    """There is no such thing.

    Attributes:
        noun: What was looked for, as the field says it: "Package", "Grid", "Category".
    """

    def __init__(self, noun: str) -> None:
        super().__init__(f"{noun.lower()} not found")
        self.noun = noun


class Moved(SiteError):
    """The thing was asked for by a slug that it no longer has.

    Attributes:
        slug: The slug that it has now.
    """

    def __init__(self, slug: str) -> None:
        super().__init__(f"moved to {slug}")
        self.slug = slug


class Invalid(SiteError):
    """What was given can't be accepted.

    Attributes:
        problems: For each field's name, the sentences that say what is wrong with it.
    """

    def __init__(self, problems: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{field}: {' '.join(words)}" for field, words in problems.items()))
        self.problems = problems


class AlreadyExists(Invalid):
    """What was given is well formed, and belongs to another thing already: a slug, an address."""


class Forbidden(SiteError):
    """This person may not do this."""


class Conflict(SiteError):
    """The thing was changed by somebody else in the meantime."""


class UpstreamError(SiteError):
    """Another site could not be read. Every client raises one of the five kinds below, and nothing else."""


class RateLimited(UpstreamError):
    """The host asks us to come back later.

    Attributes:
        retry_after_s: Seconds to wait, where the host said so.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Gone(UpstreamError):
    """The host answers that there is no such thing."""


class NotAllowed(UpstreamError):
    """The host refuses us, or we may not ask it."""


class Unavailable(UpstreamError):
    """The host can't be reached, or fails."""


class BadResponse(UpstreamError):
    """The host answered something that we can't read."""
