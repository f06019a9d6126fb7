#!/usr/bin/env bash
# HAProxy 2.6 loses a request without a status, a log line or a counter of errors.
#
# Guess: a request that a server takes and does not answer is a 502 in HAProxy's log, and in `eresp` of `show stat`.
# Seen: HAProxy 2.6 (Debian 12) closes the client's kept connection without an answer, so that the client may send the
# request again, writes no line with `option httplog`, and no counter of errors or responses moves: only `stot` of the server
# is ahead of its `req_tot`. At the first request of a client's connection it is a 502 that is logged and counted. HAProxy
# 3.2 closes without a line as well, and counts it in `eresp` and `srv_abrt`. So a loss shows at clients that do not send
# again, and where what the servers answered is compared with what was asked.
set -euo pipefail

PATH="$PATH:/usr/sbin"
type -P haproxy >/dev/null || { echo "findings: install haproxy" >&2; exit 1; }
haproxy -v | grep --fixed-strings "HAProxy version 2.6." || { echo "findings: this is about HAProxy 2.6" >&2; exit 1; }
folder=$(mktemp -d)
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$folder"
}
trap cleanup EXIT

cat >"$folder/server.py" <<'PYTHON'
"""Answers; but reads /lose and ends the connection without an answer."""
import os, socket, sys, threading


def serve(peer):
    lines = peer.makefile("rb")
    while line := lines.readline():
        length, path = 0, line.split()[1]
        while (field := lines.readline()).strip():
            if field.lower().startswith(b"content-length:"):
                length = int(field.split(b":")[1])
        lines.read(length)
        if path == b"/lose":
            break
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    lines.close()
    peer.close()


listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(100)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
PYTHON
python3 "$folder/server.py" "$folder/server.sock" &
pids+=($!)
until [ -S "$folder/server.sock" ]; do sleep 0.1; done

cat >"$folder/haproxy.cfg" <<END
global
  nbthread 1
  stats socket $folder/stats.sock
  log stdout format raw local0
defaults
  log global
  mode http
  option httplog
  timeout connect 1s
  timeout client 10s
  timeout server 10s
frontend door
  bind unix@$folder/door.sock
  default_backend pool
backend pool
  server one unix@$folder/server.sock
END
haproxy -db -f "$folder/haproxy.cfg" >"$folder/log" &
pids+=($!)
until [ -S "$folder/door.sock" ]; do sleep 0.1; done

cat >"$folder/client.py" <<'PYTHON'
"""One kept connection, each POST written once: /fine, then /lose; and what HAProxy counts of it."""
import csv, pathlib, socket, sys, time

folder = pathlib.Path(sys.argv[1])


def connect(name):
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(str(folder / name))
    return peer


def post(peer, path):
    peer.sendall(f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx".encode())
    return peer.recv(65536).split(b" ")[1].decode() if path == "/fine" else peer.recv(65536).decode()


client = connect("door.sock")
assert post(client, "/fine") == "200"
answer = post(client, "/lose")
# Afterwards, so that what is written late has been written.
assert post(connect("door.sock"), "/fine") == "200"
while (folder / "log").read_text().count("POST /fine") < 2:
    time.sleep(0.05)
stats = connect("stats.sock")
stats.sendall(b"show stat\n")
header, *rows = csv.reader(b"".join(iter(lambda: stats.recv(65536), b"")).decode().strip().lstrip("# ").splitlines())
pool = next(row for row in (dict(zip(header, row)) for row in rows) if row["svname"] == "one")
errors = {name: pool[name] for name in ("econ", "eresp", "wretr", "srv_abrt", "hrsp_5xx", "hrsp_other") if pool[name] not in ("", "0")}
lines = (folder / "log").read_text().count("/lose")
print(f"the client got {len(answer)} bytes; {lines} lines in the log; counters of errors: {errors or 'none'};", end=" ")
print(f"sessions {pool['stot']}, requests {pool['req_tot']}")
PYTHON
seen=$(python3 "$folder/client.py" "$folder")
echo "$seen"
[ "$seen" = "the client got 0 bytes; 0 lines in the log; counters of errors: none; sessions 3, requests 2" ] ||
  { echo "findings: HAProxy reports it now" >&2; exit 1; }
echo "as it was: HAProxy 2.6 reports nothing of a request that a server lost"
