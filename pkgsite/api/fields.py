"""The kinds of value that the API's records are made of."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from flask import current_app, g
from marshmallow import fields

LINK = {"type": "string", "format": "uri"}


def raw_field(type: str | list[str], description: str = "", **more: Any) -> fields.Raw:
    """Return a field that goes over the wire as it is; its type, in JSON Schema's words, is for the description."""
    return fields.Raw(metadata={"type": type, **({"description": description} if description else {}), **more})


def computed_field(type: str | list[str], compute: Any, **more: Any) -> fields.Function:
    """Return a field that a function makes from the record, with its type as for `raw_field`."""
    return fields.Function(compute, metadata={"type": type, **more})


class Timestamp(fields.Field[datetime]):
    """An instant in ISO 8601, in the site's time zone; microseconds are left out where they are 0."""

    def __init__(self, **options: Any) -> None:
        super().__init__(metadata={"type": ["string", "null"], "format": "date-time"}, **options)

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:  # noqa: ARG002
        if value is None:
            return None
        text = value.astimezone(current_app.config["TIMEZONE"]).isoformat()
        return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


class CountField(fields.Field[int]):
    """A number that readers of the API take for granted: what nobody has told us is 0 here."""

    def __init__(self, **options: Any) -> None:
        super().__init__(metadata={"type": "integer", "minimum": 0}, **options)

    def _serialize(self, value: int | None, attr: str | None, obj: Any, **kwargs: Any) -> int:  # noqa: ARG002
        return value or 0


class Hyperlink(fields.Field[Any]):
    """The absolute URL of a record, from its id."""

    json_schema: ClassVar[dict[str, Any]] = LINK

    def __init__(self, collection: str, **options: Any) -> None:
        super().__init__(metadata={**self.json_schema}, **options)
        self.collection = collection

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        return g.urls.url_for(f"{self.collection}/{value}")


class Hyperlinks(Hyperlink):
    """The absolute URLs of several records, from their ids."""

    json_schema: ClassVar[dict[str, Any]] = {"type": "array", "items": LINK}

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        return [g.urls.url_for(f"{self.collection}/{record_id}") for record_id in value]
