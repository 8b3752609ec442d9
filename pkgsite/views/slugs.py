"""Which part of an address can be a slug."""

from __future__ import annotations

from werkzeug.routing import BaseConverter


class SlugConverter(BaseConverter):
    """One segment of an address, such as `django-q`, `Django_Q#2` or `master`.

    A segment with a control character is no slug: there is no such page, and no database is asked (one of them
    refuses the question).
    """

    regex = r"[^/\x00-\x1f\x7f]+"
    part_isolating = True
