"""As few settings as a project with a database and a template needs."""

import pathlib
import secrets

HERE = pathlib.Path(__file__).resolve().parent

# Made when the application is loaded, so all workers have the same. One that must outlive a restart belongs into the
# application's environment (clade.json) or into a file of its own.
SECRET_KEY = secrets.token_urlsafe(50)
ALLOWED_HOSTS = ["*"]
DEBUG = False

INSTALLED_APPS = ["guestbook"]
MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
ROOT_URLCONF = "guestbook.urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

# /tmp is the application's own: writable for all of its workers, and gone when it ends.
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/tmp/guestbook.sqlite3",
                         "OPTIONS": {"timeout": 20}}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"

USE_TZ = True
TIME_ZONE = "UTC"
