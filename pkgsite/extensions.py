"""The Flask extensions, made here and bound to an application by `create_app`."""

from __future__ import annotations

from flask import current_app
from flask_compress import Compress
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect

from pkgsite.clients.base import AccountGateways, Gateways
from pkgsite.models.base import Base

db = SQLAlchemy(model_class=Base, disable_autonaming=True)
migrate = Migrate(render_as_batch=True)
compress = Compress()
csrf = CSRFProtect()
limiter = Limiter(get_remote_address)
login_manager = LoginManager()


def gateways() -> Gateways:
    """Return the hosts that the application in hand can ask; `create_app` has bound them to it."""
    bound_gateways: Gateways = current_app.extensions["gateways"]
    return bound_gateways


def account_gateways() -> AccountGateways:
    """Return what accounts need of the world outside; `create_app` has bound it to the application."""
    bound_gateways: AccountGateways = current_app.extensions["account_gateways"]
    return bound_gateways
