"""What a request's body says."""

from __future__ import annotations

from typing import Any

import orjson
from flask import request
from werkzeug.exceptions import BadRequest, UnsupportedMediaType


def json_body() -> dict[str, Any]:
    """Return the object that the body holds.

    Raises:
        UnsupportedMediaType: it does not say that it is JSON.
        BadRequest: it is none, or no object.
    """
    kind = request.mimetype
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaType("Send JSON, with Content-Type: application/json.")
    try:
        found = orjson.loads(request.get_data())
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not JSON: {error}.") from None
    if not isinstance(found, dict):
        raise BadRequest("The body must be a JSON object.")
    return found
