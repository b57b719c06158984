"""What clade loads, once, before there is any worker."""

import os

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guestbook.settings")

application = get_wsgi_application()

# The database is as new as the sandbox.
call_command("migrate", run_syncdb=True, verbosity=0)
# A connection to a database must not be shared: SQLite's, like most, would break. Each worker makes its own.
connections.close_all()
# What would be imported by each worker at its first request is imported here, and shared.
get_resolver().url_patterns
