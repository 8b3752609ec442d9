"""URLs of static files, with a hash of their content so that browsers can cache them indefinitely."""

from __future__ import annotations

import hashlib
from pathlib import Path

from flask import Flask, Response, current_app, request

from pkgsite.views.links import link

HASH_LENGTH = 12
CACHE_FOREVER = "public, max-age=31536000, immutable"
CACHE_ONE_HOUR = "public, max-age=3600"


def init_app(app: Flask) -> None:
    hashes = app.extensions["static_hashes"] = file_hashes(Path(str(app.static_folder)))

    def static_url(name: str) -> str:
        """Return the URL of a static file, which changes with its content."""
        return link("static", filename=name, v=hashes[name])

    app.jinja_env.globals["static_file"] = static_url


def finalise_static_response(response: Response) -> None:
    """Let browsers cache a file indefinitely if its URL has the current hash, and send it in one piece."""
    response.direct_passthrough = False
    response.make_sequence()  # the files are small, and a complete body compresses better than a stream
    if response.status_code in {200, 304}:
        current_hash = current_app.extensions["static_hashes"].get((request.view_args or {}).get("filename", ""))
        is_current = request.args.get("v") == current_hash
        response.headers["Cache-Control"] = CACHE_FOREVER if is_current else CACHE_ONE_HOUR


def file_hashes(folder: Path) -> dict[str, str]:
    """Return the start of each file's SHA-256 hash, by its path relative to the folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:HASH_LENGTH]
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
