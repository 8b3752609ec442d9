"""The Flask extensions, created here and bound to an application by `create_app`."""

from __future__ import annotations

from typing import cast

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
    """Return the current application's clients for code hosts and the package index."""
    return cast(Gateways, current_app.extensions["gateways"])


def account_gateways() -> AccountGateways:
    """Return the current application's clients for email and external login."""
    return cast(AccountGateways, current_app.extensions["account_gateways"])
