"""Fields of the API's records."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from flask import current_app, g
from marshmallow import fields

URI_SCHEMA = {"type": "string", "format": "uri"}


def raw_field(type: str | list[str], description: str = "", **metadata: Any) -> fields.Raw:
    """Return a field whose value is serialized unchanged; its JSON Schema type is used in the OpenAPI description."""
    return fields.Raw(metadata={"type": type, **({"description": description} if description else {}), **metadata})


def computed_field(type: str | list[str], compute: Any, **metadata: Any) -> fields.Function:
    """Return a field that a function computes from the record; its type is as in `raw_field`."""
    return fields.Function(compute, metadata={"type": type, **metadata})


class Timestamp(fields.Field[datetime]):
    """An ISO 8601 timestamp in the site's time zone; microseconds are omitted if they are 0."""

    def __init__(self, **options: Any) -> None:
        super().__init__(metadata={"type": ["string", "null"], "format": "date-time"}, **options)

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:  # noqa: ARG002
        if value is None:
            return None
        text = value.astimezone(current_app.config["TIMEZONE"]).isoformat()
        return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


class Count(fields.Field[int]):
    """A count that is never null: 0 if unknown, because existing clients expect a number."""

    def __init__(self, **options: Any) -> None:
        super().__init__(metadata={"type": "integer", "minimum": 0}, **options)

    def _serialize(self, value: int | None, attr: str | None, obj: Any, **kwargs: Any) -> int:  # noqa: ARG002
        return value or 0


class Hyperlink(fields.Field[Any]):
    """The absolute URL of the record with this id."""

    json_schema: ClassVar[dict[str, Any]] = URI_SCHEMA

    def __init__(self, collection: str, **options: Any) -> None:
        super().__init__(metadata={**self.json_schema}, **options)
        self.collection = collection

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        return g.urls.url_for(f"{self.collection}/{value}")


class Hyperlinks(Hyperlink):
    """The absolute URLs of the records with these ids."""

    json_schema: ClassVar[dict[str, Any]] = {"type": "array", "items": URI_SCHEMA}

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        return [g.urls.url_for(f"{self.collection}/{record_id}") for record_id in value]
