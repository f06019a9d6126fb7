"""What PEP 3333 allows, and what it does not: one path for each, most of them under wsgiref.validate."""

import json
import sys
import threading
import time
from wsgiref.validate import validator

# What the tests ask for at /seen.
seen = {"closed": 0, "made": 0, "started": 0}
lock = threading.Lock()
held = threading.Event()


def count(name):
    with lock:
        seen[name] += 1


TEXT = [("Content-Type", "text/plain")]


class Parts:
    """An iterable that tells of its close()."""

    def __init__(self, parts):
        self.parts = iter(parts)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.parts)

    def close(self):
        count("closed")


def echo(environ, start_response):
    plain = {name: value for name, value in environ.items() if isinstance(value, (str, int, bool, tuple))}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(plain).encode()]


def body(environ, start_response):
    """Reads in each of the ways there are."""
    stream, answer = environ["wsgi.input"], []
    answer.append(stream.read(2))
    answer.append(stream.readline())
    answer.append(stream.readline(3))
    answer.extend(stream.readlines(4))
    answer.extend(stream)
    answer.append(stream.read(1))
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([part.decode("latin-1") for part in answer]).encode()]


def errors(environ, start_response):
    stream = environ["wsgi.errors"]
    stream.write("a whole line\nhalf ")
    stream.writelines(["of another", " one\n", "the rest"])
    stream.flush()
    start_response("200 OK", TEXT)
    return [b"told"]


def one(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"one part"]


def listed(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"all ", b"of it"]


def several(environ, start_response):
    start_response("201 Created", TEXT + [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    return [b"", b"three ", b"", b"parts"]


def latin(environ, start_response):
    start_response("200 OK", TEXT + [("X-Latin", "caf\u00e9")])
    return [b"a name"]


def parts(environ, start_response):
    start_response("200 OK", TEXT)
    return Parts([b"", b"first ", b"", b"second"])


def late(environ, start_response):
    """Calls start_response when its first part is asked for."""

    def generate():
        start_response("200 OK", TEXT)
        yield b"late"

    return generate()


def write(environ, start_response):
    tell = start_response("200 OK", TEXT)
    tell(b"written ")
    tell(b"and ")
    return [b"given"]


def replaced(environ, start_response):
    start_response("200 OK", TEXT)
    try:
        raise RuntimeError("before anything was sent")
    except RuntimeError:
        start_response("503 Service Unavailable", TEXT, sys.exc_info())
    return [b"replaced"]


def too_late(environ, start_response):
    """An error after the head has gone: exc_info raises it again."""

    def generate():
        yield b"half of it"
        try:
            raise RuntimeError("after something was sent")
        except RuntimeError:
            start_response("500 Internal Server Error", TEXT, sys.exc_info())
        yield b"never"

    start_response("200 OK", TEXT)
    return Parts(generate())


def fails(environ, start_response):
    raise RuntimeError("before it answered")


def fails_in_parts(environ, start_response):
    start_response("200 OK", TEXT)

    def generate():
        yield b"half of it"
        raise RuntimeError("in the middle")

    return Parts(generate())


def empty(environ, start_response):
    start_response("204 No Content", [])
    return []


def unchanged(environ, start_response):
    start_response("304 Not Modified", [("ETag", '"1"')])
    return []


def announced(environ, start_response):
    start_response("200 OK", TEXT + [("Content-Length", "9")])
    return Parts([b"nine ", b"byte"])


def longer(environ, start_response):
    start_response("200 OK", TEXT + [("Content-Length", "4")])
    return Parts([b"four and more", b"and more"])


def shorter(environ, start_response):
    start_response("200 OK", TEXT + [("Content-Length", "400")])
    return Parts([b"less"])


def longer_written(environ, start_response):
    tell = start_response("200 OK", TEXT + [("Content-Length", "4")])
    try:
        tell(b"four and more")
    except ValueError:
        tell(b"four")
    return []


def endless(environ, start_response):
    """64 KiB a part, for ever."""

    def generate():
        while True:
            count("made")
            yield b"x" * 65536

    start_response("200 OK", TEXT)
    return Parts(generate())


def stepwise(environ, start_response):
    """The second part is made when /release is asked for."""

    def generate():
        yield b"first\n"
        held.wait(20)
        yield b"second\n"

    start_response("200 OK", TEXT)
    return Parts(generate())


def release(environ, start_response):
    held.set()
    return one(environ, start_response)


def ticks(environ, start_response):
    def generate():
        while True:
            yield b"tick\n"
            time.sleep(0.02)

    start_response("200 OK", TEXT)
    return Parts(generate())


def partly(environ, start_response):
    """Answers with what came first, before the rest has come."""
    first = environ["wsgi.input"].read(5)
    start_response("200 OK", TEXT)
    return (part if part is not None else environ["wsgi.input"].read(5) for part in [first, None])


def unread(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"not read"]


def broken_body(environ, start_response):
    try:
        environ["wsgi.input"].read()
    except OSError as error:
        count("closed")
        print("broke off:", error, file=environ["wsgi.errors"])
    start_response("200 OK", TEXT)
    return [b"after all"]


def slow(environ, start_response):
    count("started")
    time.sleep(float(environ["QUERY_STRING"] or "0.5"))
    return one(environ, start_response)


def told(environ, start_response):
    with lock:
        text = json.dumps(seen).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [text]


# Under the validator, which asserts that server and application keep to the PEP.
VALID = [echo, body, errors, one, several, latin, parts, late, write, replaced, announced, unread]
# Beyond it: what fails on purpose, and what it would hold on to.
OTHERS = [too_late, fails, fails_in_parts, longer, shorter, longer_written, endless, stepwise, release, ticks]
OTHERS += [listed, partly, broken_body, slow, told, empty, unchanged]

PATHS = {"/" + function.__name__: validator(function) for function in VALID}
PATHS.update({"/" + function.__name__: function for function in OTHERS})

# What is refused: what start_response is called with, or what is given.
WRONG = {
    "crlf": ("200 OK", [("X-A", "b\r\nX-C: d")], [b""]),
    "newline-name": ("200 OK", [("X-A\n", "b")], [b""]),
    "not-latin": ("200 OK", [("X-A", "\u20ac")], [b""]),
    "hop": ("200 OK", [("Connection", "close")], [b""]),
    "chunks": ("200 OK", [("Transfer-Encoding", "chunked")], [b""]),
    "status-words": ("OK", [], [b""]),
    "status-number": (200, [], [b""]),
    "status-crlf": ("200 OK\r\nX-A: b", [], [b""]),
    "status-early": ("100 Continue", [], [b""]),
    "headers-tuple": ("200 OK", (("X-A", "b"),), [b""]),
    "header-list": ("200 OK", [["X-A", "b"]], [b""]),
    "header-bytes": ("200 OK", [(b"X-A", b"b")], [b""]),
    "length-text": ("200 OK", [("Content-Length", "+1")], [b"1"]),
    "length-twice": ("200 OK", [("Content-Length", "1"), ("Content-Length", "1")], [b"1"]),
    "body-str": ("200 OK", [], ["text"]),
    "body-none": ("200 OK", [], None),
    "no-start": None,
    "twice": "twice",
}


def wrong(environ, start_response, name):
    case = WRONG[name]
    if case is None:
        return [b"no start_response"]
    if case == "twice":
        start_response("200 OK", [])
        start_response("200 OK", [])
        return [b""]
    status, headers, given = case
    start_response(status, headers)
    return given


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/wrong/"):
        return wrong(environ, start_response, path.removeprefix("/wrong/"))
    if path == "/wrong":
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(list(WRONG)).encode()]
    return PATHS.get(path, PATHS["/echo"])(environ, start_response)
