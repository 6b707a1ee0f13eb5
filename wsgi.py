"""The stand-alone admin for a WSGI server: ``gunicorn wsgi:app`` or ``flask --app wsgi run``."""

from __future__ import annotations

import sys

from admin_app.app import create_app
from admin_app.errors import ConfigurationError

try:
    app = create_app()
except ConfigurationError as error:
    # Somebody has to mend settings, not code: he needs the sentences and no traceback.
    sys.stderr.write("\n".join([*error.problems, ""]))
    # gunicorn's APP_LOAD_ERROR. After any other end of a worker it would start the next, for ever.
    sys.exit(4)
