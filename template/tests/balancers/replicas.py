"""Two replicas that lose what they are asked to lose, and a client that sends each request once."""

import asyncio

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n%s\r\nok"
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


class Replica:
    """Answers 200, except what `lose` says. Counts how often each path came, and on which kind of connection."""

    def __init__(self, port):
        self.port, self.server, self.arrived, self.writers = port, None, [], set()
        self.lose, self.closing, self.left, self.checks = None, False, [0], 0

    async def start(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self):
        """The listener and all connections."""
        self.server.close()
        for writer in list(self.writers):
            writer.close()
        # Until the balancer has seen the ends, so that no request meets one: that is a case of its own. Apache looks only
        # when it wants to use the connection, so not for ever.
        for _ in range(50):
            if not is_connected(self.port):
                break
            await asyncio.sleep(0.02)

    async def _serve(self, reader, writer):
        self.writers.add(writer)
        try:
            kept = False
            while request := await read(reader):
                path = request.split()[1].decode()
                self.checks += path == "/healthz"
                if path == "/lost":
                    self.arrived.append("kept" if kept else "new")
                if not await self._answer(path, kept, writer):
                    return
                kept = True
        except (OSError, EOFError, asyncio.CancelledError):
            # The last where the case ends while a request waits in silence.
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    async def _answer(self, path, kept, writer):
        """Whether the connection goes on."""
        if path == "/lost" and self.left[0] > 0 and self.lose:
            self.left[0] -= 1
            if self.lose == "503":
                writer.write(REFUSAL)
                return True
            if self.lose == "silence":
                await asyncio.sleep(4)
            return False
        closing = self.closing and path != "/healthz"
        writer.write(ANSWER % (b"Connection: close\r\n" if closing else b""))
        await writer.drain()
        return not closing


def is_connected(port):
    """Whether a connection to the port is open on either side."""
    end, time_wait = f":{port:04X}", "06"
    rows = [line.split() for line in open("/proc/net/tcp")][1:]
    return any(row[3] != time_wait and (row[1].endswith(end) or row[2].endswith(end)) for row in rows)


async def read(reader):
    """A whole request; nothing at the end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.split(b":")[1]))
        if line.startswith(b"transfer-encoding:"):
            while size := int((await reader.readline()).split(b";")[0], 16):
                await reader.readexactly(size + 2)
            await reader.readline()
    return head


class Client:
    """A kept connection; each request is written once, whatever becomes of it."""

    def __init__(self, port):
        self.port, self.writer = port, None

    async def ask(self, method, path):
        """The status, or what came instead."""
        if self.writer is None or self.reader.at_eof():
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        body = b"{}" if method == "POST" else b""
        self.writer.write(f"{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        try:
            head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 15)).lower()
        except (asyncio.IncompleteReadError, OSError):
            self.close()
            return "no answer"
        except asyncio.TimeoutError:
            self.close()
            return "silence"
        fields = dict(line.split(b":", 1) for line in head.split(b"\r\n") if b":" in line)
        if b"chunked" in fields.get(b"transfer-encoding", b""):
            while size := int((await self.reader.readline()).split(b";")[0], 16):
                await self.reader.readexactly(size + 2)
            await self.reader.readline()
        else:
            await self.reader.readexactly(int(fields.get(b"content-length", b"0")))
        if b"close" in fields.get(b"connection", b""):
            self.close()
        return head.split()[1].decode()

    def close(self):
        if self.writer:
            self.writer.close()
        self.writer = None
