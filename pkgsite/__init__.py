"""pkgsite: a site where a software community finds and compares its packages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Flask

from pkgsite import cli, limits, responses, search_sync, server, views
from pkgsite.api import docs, v3, v4
from pkgsite.clients.account_gateways import open_account_gateways
from pkgsite.clients.gateways import open_gateways
from pkgsite.extensions import compress, csrf, db, login_manager, migrate
from pkgsite.models import configure_engine, dump_json, engine_options
from pkgsite.operations import health, logs, metrics

__version__ = "0.6.0"


def create_app(config: Mapping[str, Any]) -> Flask:
    """Return the application for this configuration, as `config.flask_config` builds it from the settings."""
    app = Flask(__name__, instance_path=config["DATA_DIR"])
    app.config.from_mapping(
        config,
        COMPRESS_REGISTER=False,
        SQLALCHEMY_ENGINE_OPTIONS={
            "json_serializer": dump_json,
            "json_deserializer": orjson.loads,
            **engine_options(config["DATABASE_URL"]),
        },
    )
    db.init_app(app)
    with app.app_context():
        configure_engine(db.engine)
    migrate.init_app(app, db, directory=app.config["MIGRATIONS"])
    compress.init_app(app)
    # Request ids come first and last, so that all other hooks can use them and their responses have them.
    logs.init_app(app)
    metrics.init_app(app, __version__)
    # Its hooks run next before a request, and last after it, when the rate limits have added their headers.
    responses.init_app(app)
    csrf.init_app(app)
    # Not by init_app: its "remember me" hook reads the session in every response, which would add Vary: Cookie to all.
    app.login_manager = login_manager  # type: ignore[attr-defined]
    app.extensions["gateways"] = open_gateways(app.config)
    app.extensions["account_gateways"] = open_account_gateways(app.config)
    search_sync.init_app(app)
    limits.init_app(app)
    views.init_app(app)
    v3.init_app(app)
    v4.init_app(app)
    docs.init_app(app)
    health.init_app(app)
    cli.init_app(app)
    server.init_app(app)
    return app
