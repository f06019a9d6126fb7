"""The guest under wsgiref.validate, without a server: each environment that one could make, and a fork."""

import io
import json
import os
import sys
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import battery

application = validator(battery.application)


def ask(path="/echo", body=b"", **changes):
    environ = {"SCRIPT_NAME": "", "PATH_INFO": path, "wsgi.input": io.BytesIO(body), "wsgi.errors": sys.stderr, "QUERY_STRING": ""}
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    environ.update({name.replace("__", "."): value for name, value in changes.items()})
    setup_testing_defaults(environ)
    environ = {name: value for name, value in environ.items() if value is not None}
    told = []

    def start_response(status, headers, exc_info=None):
        told.append((status, dict(headers)))
        return lambda _: None

    parts = application(environ, start_response)
    try:
        whole = b"".join(parts)
    finally:
        parts.close()
    (status, headers), = told
    return status, headers, whole


def expect(found, wanted):
    assert found == wanted, f"{found!r}, not {wanted!r}"


def echo(*arguments, **changes):
    status, _, whole = ask(*arguments, **changes)
    expect(status, "200 OK")
    return json.loads(whole)


def cases():
    expect(ask("/hello/")[0::2], ("200 OK", b"Hello, World!\n"))
    expect(ask("/hello/", REQUEST_METHOD="HEAD")[2], b"")
    expect(ask("/hello/", REQUEST_METHOD="HEAD")[1]["content-length"], "14")
    expect(ask("/no-content")[0], "204 No Content")
    expect(ask("/not-modified")[0], "304 Not Modified")
    expect(ask("/nothing")[0], "404 Not Found")
    # The path: as it was sent where that is told, else made of the decoded one.
    expect(echo("/echo/a/b", REQUEST_URI="/echo/a%2Fb?q=%26", QUERY_STRING="q=%26")["path"], "/echo/a%2Fb")
    expect(echo("/echo/a/b", RAW_URI="/echo/a%2Fb")["path"], "/echo/a%2Fb")
    made = echo("/echo/caf\u00c3\u00a9 ?", QUERY_STRING="q=%26")
    expect((made["path"], made["query"]), ("/echo/caf%C3%A9%20%3F", "q=%26"))
    below = echo("/echo/x", SCRIPT_NAME="/below", REQUEST_URI="/below/echo/x")
    expect(below["path"], "/echo/x")
    # Headers: none of the connection, none that a program would read as its own.
    told = dict(echo(HTTP_X_TEST="\u00e9", HTTP_PROXY="evil", HTTP_CONNECTION="close")["headers"])
    assert "x-test" in told and "proxy" not in told and "connection" not in told, told
    expect(echo(wsgi__url_scheme="https", SERVER_PORT="443")["scheme"], "https")
    expect(echo(REMOTE_ADDR="192.0.2.7")["client"], "192.0.2.7")
    # Bodies: of a known length, of an unknown one that the host ends, and one that is cut off.
    expect(echo(body=b"body", REQUEST_METHOD="POST", CONTENT_TYPE="text/plain")["body"], "body")
    chunked = {"REQUEST_METHOD": "POST", "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": None}
    expect(echo(body=b"body", wsgi__input_terminated=True, **chunked)["body"], "body")
    expect(echo(body=b"short", REQUEST_METHOD="POST", CONTENT_LENGTH="9")["body"], None)
    large = os.urandom(3_000_000)
    expect(ask("/upload", large, REQUEST_METHOD="POST")[2].split()[0], b"3000000")
    expect(ask("/unread", large, REQUEST_METHOD="POST")[2], b"not read\n")
    expect(len(ask("/download", QUERY_STRING="bytes=3000000")[2]), 3_000_000)
    expect(ask("/stream", QUERY_STRING="ms=1")[2].count(b"part"), 5)
    # What is no request is refused, as at the other doors.
    expect(ask(REQUEST_URI="no path")[0], "400 Bad Request")
    expect(ask(REQUEST_METHOD="POST", CONTENT_LENGTH="+5", body=b"five!")[0], "400 Bad Request")
    # A failed body is no whole one.
    try:
        ask("/bad-body")
    except RuntimeError as error:
        assert "cut off" in str(error), error
    else:
        raise AssertionError("a failed body looks whole")


cases()
# Threads do not survive a fork: a host that forks after it has served is told.
child = os.fork()
if child == 0:
    try:
        ask("/hello/")
    except RuntimeError as error:
        os._exit(0 if "its parent had served" in str(error) else 2)
    os._exit(1)
expect(os.waitpid(child, 0)[1], 0)
cases()
print("passed")
