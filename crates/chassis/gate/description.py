"""Reads an API's description (`/openapi.json`)."""


def simple(document):
    """The paths that a plain GET can ask: no parameter in the path, none required. The service's own come first."""
    found = []
    for path, item in document["paths"].items():
        operation = item.get("get")
        if operation and "{" not in path and not any(each.get("required") for each in operation.get("parameters", [])):
            found.append(path)
    engines = ("/openapi.json", "/docs", "/docs.css", "/docs.js", "/healthz")
    return sorted(found, key=engines.__contains__)
