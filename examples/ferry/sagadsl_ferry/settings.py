"""What Django needs to know of the ferry: two apps and one database."""

from __future__ import annotations

import os

INSTALLED_APPS = ["sagadsl.once.django", "sagadsl_ferry"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("SAGADSL_FERRY_FILE") or "ferry.db",
        "OPTIONS": {"timeout": 20, "init_command": "PRAGMA journal_mode=WAL"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
LOGGING_CONFIG = None  # the worker's log is not Django's to arrange
