"""The application that a WSGI server serves: `wsgi:app`."""

import config
from pkgsite import create_app

try:
    settings = config.load_config()
except config.InvalidSetting as error:
    raise SystemExit(f"The site can't start: {error}") from None

app = create_app(settings)
