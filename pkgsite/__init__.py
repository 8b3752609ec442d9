"""pkgsite: a site where a software community finds and compares its packages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Flask

from pkgsite import api, cli, limits, server, views
from pkgsite import responses as answers
from pkgsite import search_sync as upkeep
from pkgsite.clients.account_gateways import open_account_gateways
from pkgsite.clients.gateways import open_gateways
from pkgsite.extensions import compress, csrf, db, login_manager, migrate
from pkgsite.models import configure_engine

__version__ = "0.6.0"


def create_app(config: Mapping[str, Any]) -> Flask:
    """Return the application for this configuration (`config.flask_config` makes it from settings)."""
    app = Flask(__name__, instance_path=config["DATA_DIR"])
    app.config.from_mapping(
        config,
        COMPRESS_REGISTER=False,
        SQLALCHEMY_ENGINE_OPTIONS={"json_serializer": dump_json, "json_deserializer": orjson.loads},
    )
    db.init_app(app)
    with app.app_context():
        configure_engine(db.engine)
    migrate.init_app(app, db, directory=app.config["MIGRATIONS"])
    compress.init_app(app)
    csrf.init_app(app)
    # Without its init_app, which would look for a "remember me" cookie in every answer and so make all vary by cookie.
    app.login_manager = login_manager  # type: ignore[attr-defined]
    app.extensions["gateways"] = open_gateways(app.config)
    app.extensions["account_gateways"] = open_account_gateways(app.config)
    upkeep.init_app(app)
    limits.init_app(app)
    answers.init_app(app)
    views.init_app(app)
    api.init_app(app)
    cli.init_app(app)
    server.init_app(app)
    return app


def dump_json(value: Any) -> str:
    return orjson.dumps(value).decode()
