"""The application that a WSGI server serves: `wsgi:app`."""

import config
import pkgsite
from pkgsite.operations import error_reports, logs, startup

try:
    with startup.explained_load_errors():
        settings = config.load_config()
except config.InvalidSetting as error:
    raise SystemExit(f"The site can't start: {error}") from None

startup.require_packages(settings)
logs.configure(settings)
error_reports.configure(settings, pkgsite.__version__)
with startup.explained_load_errors():
    app = pkgsite.create_app(settings)
