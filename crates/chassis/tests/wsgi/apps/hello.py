"""The least that an application can do, for template/scripts/measure-wsgi."""

TEXT = [("Content-Type", "text/plain")]
PART = b"x" * 16384


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/stream":
        start_response("200 OK", TEXT)
        return (PART for _ in range(16))
    if path == "/read":
        body = str(len(environ["wsgi.input"].read())).encode()
    else:
        body = b"Hello, World!\n"
    start_response("200 OK", [*TEXT, ("Content-Length", str(len(body)))])
    return [body]
