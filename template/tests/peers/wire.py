"""How a server answers: the statuses that it sends for bytes, and what becomes of the connection.

Next: `check`, which compares.
"""

import re
import socket
import struct

# A server that has not closed by then keeps the connection.
PATIENCE = 1.5
SMALL_HUFFMAN = {"00000": "0", "00001": "1", "00010": "2"} | {f"{0x19 + digit - 3:06b}": str(digit) for digit in range(3, 10)}
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, ACK, END_HEADERS = 1, 1, 4


def receive(connection, enough):
    """All that comes until the end, `enough` of it, or silence; whether the connection ended."""
    connection.settimeout(PATIENCE)
    received = b""
    while not enough(received):
        try:
            part = connection.recv(65536)
        except TimeoutError:
            return received, False
        except ConnectionError:
            return received, True
        if not part:
            return received, True
        received += part
    return received, False


def http1(address, request):
    """For example `200, 200 kept`, `400 closed`, `nothing closed`."""
    with socket.create_connection(address, timeout=10) as connection:
        try:
            connection.sendall(request.encode("latin-1"))
        except ConnectionError:
            pass
        received, is_closed = receive(connection, lambda _: False)
    statuses = re.findall(rb"(?:^|\n|[}\w>])HTTP/1\.[01] (\d{3})", received)
    text = ", ".join(status.decode() for status in statuses) or ("no status line" if received else "nothing")
    return f"{text} {'closed' if is_closed else 'kept'}"


def text(value):
    return bytes([len(value)]) + value.encode() if len(value) < 127 else b"\x7f" + bytes([len(value) - 127]) + value.encode()


def block(fields):
    """A header block of literal fields without Huffman codes (RFC 7541, 6.2.2)."""
    return b"".join(b"\x00" + text(name) + text(value) for name, value in fields)


def frame(kind, flags, stream, content=b""):
    return struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + content


def frames(received):
    while len(received) >= 9:
        length = int.from_bytes(received[:3])
        if len(received) < 9 + length:
            return
        kind, flags, stream = received[3], received[4], int.from_bytes(received[5:9]) & 0x7FFFFFFF
        yield kind, flags, stream, received[9 : 9 + length]
        received = received[9 + length :]


def status(content):
    """The first field of a response: `:status`, indexed or as a literal (RFC 7541, 6.1 and 6.2)."""
    while content[0] & 0xE0 == 0x20:
        content = content[1:]
    known = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}
    if content[0] in known:
        return str(known[content[0]])
    if content[0] not in (0x08, 0x48, 0x18):
        return "a status that this reader does not know"
    length, value = content[1] & 0x7F, content[2:]
    if not content[1] & 0x80:
        return value[:length].decode()
    bits, digits = "".join(f"{byte:08b}" for byte in value[:length]), ""
    while len(digits) < 3:
        code = bits[:5] if bits[:5] in SMALL_HUFFMAN else bits[:6]
        digits, bits = digits + SMALL_HUFFMAN[code], bits[len(code) :]
    return digits


def http2(address, fields):
    """Stream 1 asks with `fields`, and stream 3 for `/hello`: for example `400, beside it 200`."""
    good = [(":method", "GET"), (":scheme", "http"), (":authority", "test"), (":path", "/hello")]
    ended = {}

    def enough(received):
        for kind, flags, stream, content in frames(received):
            if kind == HEADERS and stream not in ended:
                ended[stream] = status(content)
            elif kind == RST_STREAM and stream not in ended:
                ended[stream] = "reset"
        return {1, 3} <= set(ended)

    with socket.create_connection(address, timeout=10) as connection:
        asked = [frame(HEADERS, END_HEADERS | END_STREAM, stream, block(asks)) for stream, asks in ((1, fields), (3, good))]
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + b"".join(asked))
        received, is_closed = receive(connection, enough)
    goaway = any(kind == GOAWAY for kind, *_ in frames(received))
    lost = "lost with the connection" if goaway or is_closed else "nothing"
    return f"{ended.get(1, lost)}, beside it {ended.get(3, lost)}"
