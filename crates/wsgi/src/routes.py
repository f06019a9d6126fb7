"""Which routes an application has: paths with {} for each parameter, or None where it does not tell."""

import re
import sys


def routes(application):
    rules = getattr(getattr(application, "url_map", None), "iter_rules", None)
    if rules is not None:  # Flask, and others on Werkzeug.
        return sorted({plain(rule.rule) for rule in rules()})
    if "django.core.handlers.wsgi" in sys.modules:
        from django.core.handlers.wsgi import WSGIHandler

        if isinstance(application, WSGIHandler):
            from django.urls import get_resolver

            return sorted({"/" + plain(path) for path in walk(get_resolver().url_patterns)})
    return None


def walk(patterns, prefix=""):
    for pattern in patterns:
        path = prefix + str(pattern.pattern).lstrip("^").rstrip("$")
        nested = getattr(pattern, "url_patterns", None)
        if nested is None:
            yield path
        else:
            yield from walk(nested, path)


def plain(path):
    # <int:id> of Flask and Django's paths, (?P<id>...) of Django's regular expressions.
    return re.sub(r"<[^>]*>", "{}", re.sub(r"\(\?P<[^>]*>[^)]*\)", "{}", path))
