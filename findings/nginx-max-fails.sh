#!/usr/bin/env bash
# By nginx's defaults, one lost request on each of two servers is 502 for every request for 10 s.
#
# Guess: with every server of an upstream marked as failed, nginx asks one of them all the same, as Apache does, since that
# cannot be worse. And the end of one kept connection is no failed server.
# Seen: nginx 1.22 (Debian 12), and 1.30 alike: `max_fails` is 1 and `fail_timeout` 10s where a configuration says nothing.
# A kept connection that ends without an answer counts as a failure, also of a POST, which is sent to no other server. After
# one on each of two servers, both of which serve on, every request is 502 without being sent ("no live upstreams"), for the
# rest of the 10 s. So are three servers that restart in turn within that time. With `max_fails=0` only the lost requests are.
set -euo pipefail

PATH="$PATH:/usr/sbin"
type -P nginx >/dev/null || { echo "findings: install nginx-light" >&2; exit 1; }
nginx -v
folder=$(mktemp -d)
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$folder"
}
trap cleanup EXIT

cat >"$folder/server.py" <<'PYTHON'
"""Answers; but ends the connection without an answer at the first /lose that comes on it after another request."""
import socket, sys, threading

lost = threading.Event()


def serve(peer):
    lines, number = peer.makefile("rb"), 0
    while line := lines.readline():
        length, path = 0, line.split()[1]
        while (field := lines.readline()).strip():
            if field.lower().startswith(b"content-length:"):
                length = int(field.split(b":")[1])
        lines.read(length)
        number += 1
        if path == b"/lose" and number > 1 and not lost.is_set():
            lost.set()
            break
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    lines.close()
    peer.close()


listener = socket.create_server(("127.0.0.1", 0), backlog=100)
open(sys.argv[1], "w").write(str(listener.getsockname()[1]))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
PYTHON

cat >"$folder/client.py" <<'PYTHON'
"""Sends each POST once over nginx's Unix socket: some that warm up, two that are lost, and 20 after them."""
import socket, sys


def ask(path):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(sys.argv[1])
        peer.sendall(f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx".encode())
        return peer.makefile("rb").read().split(b" ")[1].decode()


assert [ask("/") for _ in range(4)] == ["200"] * 4
lost = [ask("/lose") for _ in range(2)]
after = [ask("/") for _ in range(20)]
print(f"lost: {' '.join(lost)}; then {after.count('502')} of 20 were 502")
PYTHON

user=""
if [ "$(id -u)" -eq 0 ]; then user="user root;"; fi
# The name of the case, and what stands behind each server.
try() {
  local case=$folder/$1 ports=() number
  mkdir "$case"
  for number in 1 2; do
    python3 "$folder/server.py" "$case/port-$number" &
    pids+=($!)
    until [ -s "$case/port-$number" ]; do sleep 0.1; done
    ports+=("$(cat "$case/port-$number")")
  done
  cat >"$case/nginx.conf" <<END
$user daemon off; worker_processes 1; pid $case/nginx.pid; error_log $case/error.log;
events {}
http {
  access_log off;
  client_body_temp_path $case/a; proxy_temp_path $case/b; fastcgi_temp_path $case/c; uwsgi_temp_path $case/d; scgi_temp_path $case/e;
  upstream servers { server 127.0.0.1:${ports[0]}$2; server 127.0.0.1:${ports[1]}$2; keepalive 8; }
  server { listen unix:$case/sock; location / { proxy_pass http://servers; proxy_http_version 1.1; proxy_set_header Connection ""; } }
}
END
  nginx -e "$case/error.log" -c "$case/nginx.conf" &
  pids+=($!)
  until [ -S "$case/sock" ]; do sleep 0.1; done
  seen=$(python3 "$folder/client.py" "$case/sock")
  echo "$1: $seen"
}
try "defaults" ""
[ "$seen" = "lost: 502 502; then 20 of 20 were 502" ] || { echo "findings: nginx's defaults changed" >&2; exit 1; }
try "max_fails=0" " max_fails=0"
[ "$seen" = "lost: 502 502; then 0 of 20 were 502" ] || { echo "findings: max_fails=0 changed" >&2; exit 1; }
echo "as it was: by its defaults nginx refuses everything for 10 s after one loss on each server"
