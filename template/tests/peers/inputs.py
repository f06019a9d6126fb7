"""The requests that are compared: HTTP/1 as bytes, HTTP/2 as fields of one stream. All of them are harmless.

`/hello` answers GET with 200, and `/upload` reads a body and answers 200.

Next: `servers.py`, who is asked.
"""

H = "Host: test\r\n"
GET = "GET /hello HTTP/1.1\r\n"
POST = "POST /upload HTTP/1.1\r\n"
CHUNKED = POST + H + "Transfer-Encoding: chunked\r\n\r\n"


def many(count):
    return "".join(f"x-{number}: 1\r\n" for number in range(count))


HTTP1 = {
    # The request line.
    "GET": GET + H + "\r\n",
    "HEAD": "HEAD /hello HTTP/1.1\r\n" + H + "\r\n",
    "an unknown path": "GET /nowhere HTTP/1.1\r\n" + H + "\r\n",
    "an unknown method": "BREW /hello HTTP/1.1\r\n" + H + "\r\n",
    "a method in lower case": "get /hello HTTP/1.1\r\n" + H + "\r\n",
    "OPTIONS *": "OPTIONS * HTTP/1.1\r\n" + H + "\r\n",
    "OPTIONS /": "OPTIONS / HTTP/1.1\r\n" + H + "\r\n",
    "OPTIONS / of HTTP/1.0 without Host": "OPTIONS / HTTP/1.0\r\n\r\n",
    "GET *": "GET * HTTP/1.1\r\n" + H + "\r\n",
    "TRACE": "TRACE /hello HTTP/1.1\r\n" + H + "\r\n",
    "CONNECT": "CONNECT test:443 HTTP/1.1\r\n" + H + "\r\n",
    "a target without a slash": "GET hello HTTP/1.1\r\n" + H + "\r\n",
    "an absolute target": "GET http://test/hello HTTP/1.1\r\n" + H + "\r\n",
    "an absolute target with another Host": "GET http://other/hello HTTP/1.1\r\n" + H + "\r\n",
    "a fragment in the target": "GET /hello#part HTTP/1.1\r\n" + H + "\r\n",
    "an empty query": "GET /hello? HTTP/1.1\r\n" + H + "\r\n",
    "a double slash": "GET //hello HTTP/1.1\r\n" + H + "\r\n",
    "a dot segment": "GET /nowhere/../hello HTTP/1.1\r\n" + H + "\r\n",
    "an encoded letter": "GET /%68ello HTTP/1.1\r\n" + H + "\r\n",
    "a trailing slash": "GET /hello/ HTTP/1.1\r\n" + H + "\r\n",
    "a space in the target": "GET /hel lo HTTP/1.1\r\n" + H + "\r\n",
    "two spaces before the version": "GET /hello  HTTP/1.1\r\n" + H + "\r\n",
    "a tab in the request line": "GET\t/hello HTTP/1.1\r\n" + H + "\r\n",
    "an empty line before": "\r\n" + GET + H + "\r\n",
    "HTTP/1.0": "GET /hello HTTP/1.0\r\n\r\n",
    "HTTP/1.0 with keep-alive": "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "HTTP/1.2": "GET /hello HTTP/1.2\r\n" + H + "\r\n",
    "HTTP/2.0 in the request line": "GET /hello HTTP/2.0\r\n" + H + "\r\n",
    "HTTP/3.7 in the request line": "GET /hello HTTP/3.7\r\n" + H + "\r\n",
    "a version in lower case": "GET /hello http/1.1\r\n" + H + "\r\n",
    "no version": "GET /hello\r\n\r\n",
    "no request": "hello\r\n\r\n",
    "a target of 4,000 bytes": f"GET /hello?{'a' * 4000} HTTP/1.1\r\n" + H + "\r\n",
    "a target of 20,000 bytes": f"GET /hello?{'a' * 20000} HTTP/1.1\r\n" + H + "\r\n",
    "a target of 100,000 bytes": f"GET /hello?{'a' * 100000} HTTP/1.1\r\n" + H + "\r\n",
    # Host.
    "no Host": GET + "\r\n",
    "an empty Host": GET + "Host:\r\n\r\n",
    "two Hosts": GET + H + "Host: other\r\n\r\n",
    "a Host with a port": GET + "Host: test:8080\r\n\r\n",
    "a Host with a path": GET + "Host: test/hello\r\n\r\n",
    "a Host with a space": GET + "Host: te st\r\n\r\n",
    "a Host of IPv6": GET + "Host: [::1]:80\r\n\r\n",
    # Fields.
    "a space before the colon": GET + H + "X-Own : 1\r\n\r\n",
    "a folded field": GET + H + "X-Own: 1\r\n 2\r\n\r\n",
    "a field without a name": GET + H + ": 1\r\n\r\n",
    "a field without a colon": GET + H + "X-Own\r\n\r\n",
    "an empty value": GET + H + "X-Own:\r\n\r\n",
    "an underscore in a name": GET + H + "x_own: 1\r\n\r\n",
    "bytes above 127 in a value": GET + H + "X-Own: \u00e4\r\n\r\n",
    "a control character in a value": GET + H + "X-Own: a\x01b\r\n\r\n",
    "lines that end with LF alone": "GET /hello HTTP/1.1\nHost: test\n\n",
    "64 fields": GET + H + many(64) + "\r\n",
    "99 fields": GET + H + many(98) + "\r\n",
    "150 fields": GET + H + many(150) + "\r\n",
    "a field of 4,000 bytes": GET + H + f"X-Own: {'a' * 4000}\r\n\r\n",
    "a field of 20,000 bytes": GET + H + f"X-Own: {'a' * 20000}\r\n\r\n",
    "a field of 100,000 bytes": GET + H + f"X-Own: {'a' * 100000}\r\n\r\n",
    "Connection: close": GET + H + "Connection: close\r\n\r\n",
    "Connection: close, in capitals": GET + H + "Connection: CLOSE\r\n\r\n",
    "an upgrade that nobody knows": GET + H + "Connection: upgrade\r\nUpgrade: other\r\n\r\n",
    "an expectation that nobody knows": GET + H + "Expect: other\r\n\r\n",
    "Expect: 100-continue": POST + H + "Expect: 100-continue\r\nContent-Length: 4\r\n\r\nbody",
    "a Range": GET + H + "Range: bytes=0-1\r\n\r\n",
    "an If-None-Match of *": GET + H + "If-None-Match: *\r\n\r\n",
    "identity refused": GET + H + "Accept-Encoding: identity;q=0\r\n\r\n",
    "every coding refused": GET + H + "Accept-Encoding: *;q=0\r\n\r\n",
    # Bodies.
    "a body": POST + H + "Content-Length: 4\r\n\r\nbody",
    "an empty body": POST + H + "Content-Length: 0\r\n\r\n",
    "a POST without a length": POST + H + "\r\n",
    "a body behind GET": GET + H + "Content-Length: 4\r\n\r\nbody",
    "a length with a sign": POST + H + "Content-Length: +4\r\n\r\nbody",
    "a length of hexadecimal digits": POST + H + "Content-Length: 0x4\r\n\r\nbody",
    "a negative length": POST + H + "Content-Length: -1\r\n\r\n",
    "an empty length": POST + H + "Content-Length:\r\n\r\n",
    "a length beyond 64 bits": POST + H + "Content-Length: 99999999999999999999\r\n\r\nbody",
    "a length of 1 TB": POST + H + "Content-Length: 1000000000000\r\n\r\nbody",
    "the same length twice": POST + H + "Content-Length: 4\r\nContent-Length: 4\r\n\r\nbody",
    "two lengths": POST + H + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nbody!",
    "a list of the same length": POST + H + "Content-Length: 4, 4\r\n\r\nbody",
    "a body in chunks": CHUNKED + "4\r\nbody\r\n0\r\n\r\n",
    "chunks with an extension": CHUNKED + "4;name=value\r\nbody\r\n0\r\n\r\n",
    "chunks with a quoted extension": CHUNKED + '4;name="a value"\r\nbody\r\n0\r\n\r\n',
    "a trailer": CHUNKED + "4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n",
    "a chunk with leading zeros": CHUNKED + "0004\r\nbody\r\n0\r\n\r\n",
    "a chunk in capitals": CHUNKED + "A\r\n0123456789\r\n0\r\n\r\n",
    "a chunk that is longer than it says": CHUNKED + "3\r\nbody\r\n0\r\n\r\n",
    "a chunk with a size that is none": CHUNKED + "four\r\nbody\r\n0\r\n\r\n",
    "a chunk with a sign": CHUNKED + "+4\r\nbody\r\n0\r\n\r\n",
    "a coding that nobody knows": POST + H + "Transfer-Encoding: other\r\n\r\n",
    "gzip, chunked": POST + H + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked of HTTP/1.0": "POST /upload HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "a body in gzip that is none": POST + H + "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbody",
    # More than one.
    "two requests at once": (GET + H + "\r\n") * 2,
    "a request behind a body": POST + H + "Content-Length: 4\r\n\r\nbody" + GET + H + "\r\n",
    "a request behind one that closes": GET + H + "Connection: close\r\n\r\n" + GET + H + "\r\n",
    "LF behind a body": POST + H + "Content-Length: 4\r\n\r\nbody\r\n" + GET + H + "\r\n",
}

FIELDS = [(":method", "GET"), (":scheme", "http"), (":authority", "test"), (":path", "/hello")]


def but(**other):
    """`FIELDS` with other values, or without one where it is none."""
    named = {f":{name}": value for name, value in other.items()}
    return [(name, named.get(name, value)) for name, value in FIELDS if named.get(name, value) is not None]


# Each goes beside a second stream that must be answered whatever becomes of the first.
HTTP2 = {
    "GET": FIELDS,
    "HEAD": but(method="HEAD"),
    "an unknown method": but(method="BREW"),
    "an unknown path": but(path="/nowhere"),
    "OPTIONS *": but(method="OPTIONS", path="*"),
    "a target without a slash": but(path="hello"),
    "an empty target": but(path=""),
    "no target": but(path=None),
    "no scheme": but(scheme=None),
    "another scheme": but(scheme="https"),
    "no authority and a Host": [*but(authority=None), ("host", "test")],
    "no authority and no Host": but(authority=None),
    "an authority and another Host": [*FIELDS, ("host", "other")],
    "a name in capitals": [*FIELDS, ("X-Own", "1")],
    "Connection": [*FIELDS, ("connection", "close")],
    "Transfer-Encoding": [*FIELDS, ("transfer-encoding", "chunked")],
    "TE: trailers": [*FIELDS, ("te", "trailers")],
    "another TE": [*FIELDS, ("te", "gzip")],
    "two cookies": [*FIELDS, ("cookie", "a=1"), ("cookie", "b=2")],
    "99 fields": [*FIELDS, *((f"x-{number}", "1") for number in range(95))],
    "a pseudo-header behind a field": [FIELDS[0], ("x-own", "1"), *FIELDS[1:]],
}
