"""Reads an API's description (`/openapi.json`)."""

# Every service has these; they are no operations.
ENGINES = ["/openapi.json", "/docs", "/docs.css", "/docs.js", "/healthz"]


def simple(document):
    """The paths that a plain GET can ask: no parameter in the path, none required, no key. The service's own come first."""
    found = []
    for path, item in document["paths"].items():
        operation = item.get("get")
        if operation and "{" not in path and not operation.get("security"):
            if not any(each.get("required") for each in operation.get("parameters", [])):
                found.append(path)
    return found + ENGINES


def own(document):
    """Those of them that are the service's own, or all where it has none; `/healthz` says 503 in a drain, as it should."""
    found = [path for path in simple(document) if path != "/healthz"]
    return [path for path in found if path not in ENGINES] or found
