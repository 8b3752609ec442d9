"""The Flask extensions, made here and bound to an application by `create_app`."""

from __future__ import annotations

from flask import current_app
from flask_compress import Compress
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from pkgsite.clients.base import Gateways
from pkgsite.models.base import Base

db = SQLAlchemy(model_class=Base, disable_autonaming=True)
migrate = Migrate(render_as_batch=True)
compress = Compress()


def gateways() -> Gateways:
    """Return the hosts that the application in hand can ask; `create_app` has bound them to it."""
    bound: Gateways = current_app.extensions["gateways"]
    return bound
