#!/usr/bin/env python3
"""A relay that loses requests, in front of a fleet: `relay.py PORT TARGET_PORT NTH`. The negative control of the scenarios.

It reads every NTHth request of those that come on a kept connection whole, and closes the connection without an answer, as
a server does that ends a connection while a request is on its way. Methods are counted each on its own, so that GETs, which
k6 sends again, do not hide what becomes of POSTs. HTTP/1.1 without pipelining, as k6 speaks it.
"""

import asyncio
import collections
import sys


async def read(reader):
    """The next request, whole, with its method; nothing at the end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, OSError):
        return None
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    # k6 sends no body in chunks.
    body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
    return head.split(b" ", 1)[0], head + body


async def copy(reader, writer):
    """Answers, as they come, until the fleet or the client ends."""
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


class Relay:
    def __init__(self, target, nth):
        self.target, self.nth = target, nth
        self.kept = collections.Counter()

    async def serve(self, reader, writer):
        try:
            answers, onward = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        copying = asyncio.ensure_future(copy(answers, writer))
        try:
            kept = False
            while request := await read(reader):
                if kept and self.loses(request[0]):
                    return
                onward.write(request[1])
                await onward.drain()
                kept = True
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            copying.cancel()
            onward.close()
            writer.close()

    def loses(self, method):
        self.kept[method] += 1
        return self.kept[method] % self.nth == 0


async def main():
    port, target, nth = map(int, sys.argv[1:])
    server = await asyncio.start_server(Relay(target, nth).serve, "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
