"""Decodes request bodies that are compressed (`Content-Encoding`), before anything else reads them."""

from __future__ import annotations

import zlib
from io import BytesIO

from flask import current_app, request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.wsgi import get_input_stream

ACCEPTED = "gzip"  # for the header Accept-Encoding of responses to other encodings
GZIP_NAMES = {"gzip", "x-gzip"}  # RFC 9110, section 8.4.1.3
GZIP_WBITS = 31  # zlib: the largest window, with a gzip header


def decode_request_body() -> None:
    """Replace a compressed request body by its content.

    Raises:
        UnsupportedMediaType: The body has another encoding than gzip.
        BadRequest: The body is not valid gzip data.
        RequestEntityTooLarge: The body is too large, compressed or decompressed.
    """
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    if coding in {"", "identity"} or not (request.content_length or "Transfer-Encoding" in request.headers):
        return
    if coding not in GZIP_NAMES:
        raise UnsupportedMediaType("Send the body uncompressed, or with Content-Encoding: gzip.")
    max_size = current_app.config["MAX_CONTENT_LENGTH"]
    body = gunzip(get_input_stream(request.environ, max_content_length=max_size).read(), max_size)
    environ = request.environ
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = BytesIO(body), str(len(body))
    environ.pop("HTTP_CONTENT_ENCODING")
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    vars(request).pop("content_length", None)  # it has been read and cached above


def gunzip(data: bytes, max_size: int) -> bytes:
    """Return the content of gzip data, which may consist of several members.

    Raises:
        BadRequest: The data is malformed or incomplete.
        RequestEntityTooLarge: The content has more than `max_size` bytes.
    """
    content = b""
    while data:
        decoder = zlib.decompressobj(GZIP_WBITS)
        try:
            content += decoder.decompress(data, max_size + 1 - len(content))
        except zlib.error:
            raise BadRequest("The request body is not valid gzip data.") from None
        if len(content) > max_size:
            raise RequestEntityTooLarge
        if not decoder.eof:
            raise BadRequest("The request body is incomplete gzip data.")
        data = decoder.unused_data
    return content
