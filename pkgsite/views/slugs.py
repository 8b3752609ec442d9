"""URL converters for slugs and ids."""

from __future__ import annotations

from werkzeug.routing import BaseConverter

ID_CONVERTER = "int(max=2147483647)"  # the largest id that both databases accept


class SlugConverter(BaseConverter):
    """Matches one path segment, such as `django-q`, `Django_Q#2` or `master`.

    Control characters don't match, so such a URL is not found without a database query (PostgreSQL rejects NUL).
    """

    regex = r"[^/\x00-\x1f\x7f]+"
    part_isolating = True
