#!/usr/bin/env python3
"""Sends requests at a steady pace until SIGINT, and counts those without an answer: `client.py URL RATE [ROUTE]`.

Load generators do not show a lost request: Go's client, and so k6, sends a GET again when a kept connection closes, curl a
POST as well, and h2load stays away after a GOAWAY. This one writes each request once. Four kinds, each at a quarter of the
rate: GET and POST over kept connections, GET over new ones, and HTTP/2 with prior knowledge. It prints JSON and exits with 1
if one is lost, or one kind has an answer of 500 and up, or has answers of more than one status.
"""

import asyncio
import collections
import json
import signal
import sys
import urllib.parse

# Connections of each kind; each has one request at a time.
WORKERS = 8
# Above every timeout of the service: what is not there by then does not come.
PATIENCE = 60
# POST asks no handler for anything: a route without one answers 405 at once, and an answer is an answer.
BODY = b"{}"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
# Statuses that HPACK's static table has whole.
INDEXED = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}


class Lost(Exception):
    """A request that was written, and has no answer."""


class Closing(Exception):
    """The peer said beforehand, by GOAWAY, that it would not process the request: it is safe to send on another connection."""


class Http1:
    def __init__(self, target, method, keep):
        host, body = f"{target.hostname}:{target.port}", BODY if method == "POST" else b""
        fields = f"Host: {host}\r\nContent-Length: {len(body)}\r\n" if body else f"Host: {host}\r\n"
        fields += "" if keep else "Connection: close\r\n"
        self.request = f"{method} {target.path} HTTP/1.1\r\n{fields}\r\n".encode() + body
        self.keep, self.open = keep, False

    async def connect(self, target):
        self.reader, self.writer = await asyncio.open_connection(target.hostname, target.port)
        self.open = True

    def usable(self):
        """Not where the peer has closed it already, so that no request is written to it."""
        return self.open and not self.reader.at_eof()

    async def ask(self):
        self.writer.write(self.request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        fields = dict(line.split(":", 1) for line in head.split("\r\n")[1:] if ":" in line)
        if "chunked" in fields.get("transfer-encoding", ""):
            while size := int((await self.reader.readline()).split(b";")[0], 16):
                await self.reader.readexactly(size + 2)
            await self.reader.readuntil(b"\r\n")
        else:
            await self.reader.readexactly(int(fields.get("content-length", "0")))
        self.open = self.keep and "close" not in fields.get("connection", "")
        if not self.open:
            self.close()
        return int(head.split()[1])

    def close(self):
        self.open = False
        self.writer.close()


class Http2:
    def __init__(self, target, *_):
        self.path, self.host, self.open = target.path.encode(), f"{target.hostname}:{target.port}".encode(), False
        self.task = None

    async def connect(self, target):
        if self.task:
            # One that said GOAWAY, and has no request any more.
            self.close()
        self.reader, self.writer = await asyncio.open_connection(target.hostname, target.port)
        self.writer.write(PREFACE + frame(SETTINGS, 0, 0, b""))
        self.stream, self.answer, self.open = -1, None, True
        self.task = asyncio.ensure_future(self.read())

    def usable(self):
        return self.open

    async def ask(self):
        self.stream, self.status = self.stream + 2, None
        self.answer = asyncio.get_running_loop().create_future()
        # Indexed :method GET and :scheme http, then :path and :authority as literals that are not indexed.
        block = b"\x82\x86" + literal(4, self.path) + literal(1, self.host)
        self.writer.write(frame(HEADERS, END_STREAM | END_HEADERS, self.stream, block))
        return await self.answer

    async def read(self):
        try:
            while True:
                head = await self.reader.readexactly(9)
                payload = await self.reader.readexactly(int.from_bytes(head[:3], "big"))
                self.take(head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFFFFFF, payload)
        except (OSError, EOFError):
            self.end(Lost("the connection ended"))

    def take(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & ACK:
            self.writer.write(frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self.writer.write(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            self.open = False
            if self.stream > int.from_bytes(payload[:4], "big") & 0x7FFFFFFF:
                self.end(Closing())
        elif kind == DATA and payload:
            self.writer.write(frame(WINDOW_UPDATE, 0, 0, len(payload).to_bytes(4, "big")))
        elif kind == HEADERS and self.status is None:
            self.status = INDEXED.get(payload[0], 0)
        elif kind == RST_STREAM:
            self.end(Lost(f"reset with {int.from_bytes(payload, 'big')}"))
        if kind in (DATA, HEADERS) and flags & END_STREAM and stream == self.stream and not self.answer.done():
            self.answer.set_result(self.status)

    def end(self, error):
        self.open = False
        if self.answer and not self.answer.done():
            self.answer.set_exception(error)

    def close(self):
        self.open = False
        self.task.cancel()
        self.writer.close()


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(index, text):
    return bytes([index, len(text)]) + text


async def work(client, target, tally, stop, interval):
    """One request after another, each once."""
    loop = asyncio.get_running_loop()
    while not stop.is_set():
        began = loop.time()
        try:
            if not client.usable():
                tally["connections"] += 1
                await asyncio.wait_for(client.connect(target), PATIENCE)
            tally["sent"] += 1
            tally[f"status {await asyncio.wait_for(client.ask(), PATIENCE)}"] += 1
        except Closing:
            tally["sent"] -= 1
            client.close()
        except (Lost, OSError, EOFError, asyncio.TimeoutError, asyncio.LimitOverrunError, ValueError) as error:
            tally["lost"] += 1
            tally[f"lost: {type(error).__name__}: {error}"[:120]] += 1
            if client.open:
                client.close()
        try:
            await asyncio.wait_for(stop.wait(), max(0, interval - (loop.time() - began)))
        except asyncio.TimeoutError:
            pass
    if client.open:
        client.close()


async def run(target, rate):
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    kinds = {
        "GET, kept": lambda: Http1(target, "GET", True),
        "POST, kept": lambda: Http1(target, "POST", True),
        "GET, new": lambda: Http1(target, "GET", False),
        "HTTP/2": lambda: Http2(target),
    }
    tallies = {name: collections.Counter() for name in kinds}
    interval = WORKERS * len(kinds) / rate
    await asyncio.gather(*(work(make(), target, tallies[name], stop, interval) for name, make in kinds.items() for _ in range(WORKERS)))
    return tallies


def is_good(tally):
    statuses = [int(key.split()[1]) for key in tally if key.startswith("status")]
    return not tally["lost"] and len(statuses) == 1 and 0 < statuses[0] < 500


def main():
    url, rate, route = [*sys.argv[1:], "/openapi.json"][:3]
    tallies = asyncio.run(run(urllib.parse.urlsplit(url.rstrip("/") + route), float(rate)))
    print(json.dumps(tallies))
    return 0 if all(is_good(tally) for tally in tallies.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
