"""Django with a database, in one file: how many threads it sees, and how many connections they open."""

import os
import threading

from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["BANK_DATABASE"],
            # Kept over requests, for each thread.
            "CONN_MAX_AGE": None,
            "OPTIONS": {"timeout": 20},
        }
    },
    ROOT_URLCONF=__name__,
    SECRET_KEY="of the tests",
)

import django  # noqa: E402

django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.db.backends.signals import connection_created  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

lock = threading.Lock()
connections = 0
local = threading.local()
threads = {}


def opened(**_):
    global connections
    with lock:
        connections += 1


connection_created.connect(opened)

with connection.cursor() as cursor:
    cursor.execute("CREATE TABLE IF NOT EXISTS moves (cents INTEGER)")
connection.close()


def pay(request, cents):
    local.requests = getattr(local, "requests", 0) + 1
    with lock:
        threads[threading.get_ident()] = local.requests
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO moves VALUES (%s)", [cents])
    return JsonResponse({"cents": cents})


def told(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), sum(cents) FROM moves")
        count, cents = cursor.fetchone()
    with lock:
        return JsonResponse({"count": count, "cents": cents, "connections": connections, "threads": list(threads.values())})


urlpatterns = [path("pay/<int:cents>", pay), path("told", told)]
application = get_wsgi_application()
