"""What every answer of the site has, whichever edge made it: failures in the right form, headers, compression."""


def init_app(app):
    pass
