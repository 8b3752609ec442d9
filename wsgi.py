"""The application that a WSGI server serves: `wsgi:app`."""

import config
from pkgsite import create_app

app = create_app(config.from_environment())
