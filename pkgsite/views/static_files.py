"""The site's own files (style, scripts, pictures), named with a hash of what they hold so that browsers keep them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from flask import Flask, Response, request

from pkgsite.views.links import link

HASH_LENGTH = 12
CACHE_FOREVER = "public, max-age=31536000, immutable"
CACHE_ONE_HOUR = "public, max-age=3600"


def init_app(app: Flask) -> None:
    hashes = file_hashes(Path(str(app.static_folder)))

    def static_url(name: str) -> str:
        """Return the address of a file, which changes when the file does."""
        return link("static", filename=name, v=hashes[name])

    def set_cache_control(response: Response) -> Response:
        """Let browsers keep a file for as long as its address means the same."""
        if request.endpoint == "static" and response.status_code in {200, 304}:
            name = (request.view_args or {}).get("filename", "")
            is_current = request.args.get("v") == hashes.get(name)
            response.headers["Cache-Control"] = CACHE_FOREVER if is_current else CACHE_ONE_HOUR
        return response

    app.jinja_env.globals["static_file"] = static_url
    app.after_request(set_cache_control)


def file_hashes(folder: Path) -> dict[str, str]:
    """Return the beginning of each file's SHA-256, by its path below the folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:HASH_LENGTH]
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
