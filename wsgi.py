"""The application that a WSGI server serves: `wsgi:app`."""

import config
from pkgsite import create_app

try:
    settings = config.from_environment()
except config.BadSetting as refusal:
    raise SystemExit(f"The site can't start: {refusal}") from None

app = create_app(settings)
