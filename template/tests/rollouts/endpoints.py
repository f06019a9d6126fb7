"""Balancers whose list of replicas is changed from outside, as a controller does: by EDS, by a socket, by files.

Each has a port for clients of HTTP/1.1 and one for those of HTTP/2. What was sent to a replica is never sent again. None looks
at /healthz: it knows what it is told, as late as it is told.
"""

import itertools
import json
import signal
import socket
import subprocess
from pathlib import Path

from fleet import Trouble, find, free_port, until

# 5,000: above what the drills open, below the usual limit of files.
CONNECTIONS = 5000


class Front:
    """A balancer in the foreground. `slots` are the ports that replicas may have."""

    name = ""

    def __init__(self, program=None):
        self.program = program
        self.ports = {1: free_port(), 2: free_port()}
        self.members, self.process = set(), None

    def start(self, slots, folder):
        self.slots, self.folder = slots, Path(folder) / self.name
        self.folder.mkdir()
        self.log = self.folder / "log"
        command = self.command()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for port in self.ports.values():
            until(f"{self.name} accepts on port {port}; its log is {self.log}", 20, lambda: self._accepts(port))

    def _accepts(self, port):
        if self.process.poll() is not None:
            raise Trouble(f"{self.name} ended with {self.process.returncode}: {self.log.read_text()[-800:]}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            return False

    def stop(self):
        if self.process and self.process.poll() is None:
            # Not SIGKILL: nginx's workers end only with a master that tells them.
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def add(self, slot):
        self.members.add(slot)
        self.apply(slot, True)

    def remove(self, slot):
        self.members.discard(slot)
        self.apply(slot, False)

    def apply(self, slot, is_member):
        raise NotImplementedError

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return str(path)


class HAProxy(Front):
    """Spreads requests; its servers are switched over its socket. HTTP/2 goes to the replicas as HTTP/2."""

    name = "haproxy"
    mode = "  mode http\n  http-reuse always"
    protocols = {1: "", 2: " proto h2"}
    # The default, for what could not be sent, and with `redispatch 1` at another replica: 2.6 goes on to use a connection of
    # HTTP/2 behind its GOAWAY, finds that it cannot, and answers 503 after as many tries (3.2 does not).
    retries = 3

    def command(self):
        self.stats = free_port()
        doors = "".join(
            f"frontend door{number}\n  bind 127.0.0.1:{port} backlog 4096\n  default_backend fleet{number}\n"
            f"backend fleet{number}\n  balance roundrobin\n"
            + "".join(f"  server s{slot} 127.0.0.1:{at} disabled{self.protocols[number]}\n" for slot, at in enumerate(self.slots))
            for number, port in self.ports.items()
        )
        config = f"""global
  maxconn {CONNECTIONS}
  nbthread 1
  stats socket ipv4@127.0.0.1:{self.stats} level admin
defaults
{self.mode}
  retries {self.retries}
  option redispatch 1
  timeout connect 5s
  timeout client 90s
  timeout server 90s
  timeout tunnel 1h
{doors}"""
        return [self.program or find("haproxy"), "-db", "-f", self.write("haproxy.cfg", config)]

    def apply(self, slot, is_member):
        state = "ready" if is_member else "maint"
        lines = "; ".join(f"set server fleet{number}/s{slot} state {state}" for number in self.ports)
        with socket.create_connection(("127.0.0.1", self.stats), timeout=5) as asked:
            asked.sendall(f"{lines}\n".encode())
            said = b"".join(iter(lambda: asked.recv(65536), b"")).decode().strip()
        if said:
            raise Trouble(f"{self.name} refused {lines!r}: {said}")


class Connections(HAProxy):
    """Spreads connections, as kube-proxy and network balancers do: what is open stays where it is."""

    name = "connections"
    mode = "  mode tcp"
    protocols = {1: "", 2: ""}
    retries = 0


class Nginx(Front):
    """Spreads requests; a file for each replica that is there chooses the pool. A reload would close nginx's idle
    connections to its clients, some of which have a request in them already."""

    name = "nginx"

    def command(self):
        pools = "".join(
            pool(chosen, self.slots)
            for count in range(1, len(self.slots) + 1)
            for chosen in itertools.combinations(range(len(self.slots)), count)
        )
        marks = "".join(f'    if (-f {self.folder}/in-{slot}) {{ set $mark "${{mark}}{slot}"; }}\n' for slot in range(len(self.slots)))
        temporary = "".join(f"  {kind}_temp_path {self.folder}/{kind};\n" for kind in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))  # fmt: skip
        doors = "".join(f"""  server {{
    listen 127.0.0.1:{port} backlog=4096{" http2" if number == 2 else ""};
    keepalive_requests 1000000000;
    set $mark "";
{marks}    location / {{
      proxy_pass http://pool$mark;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $onward;
      proxy_buffering off;
      proxy_next_upstream off;
      proxy_connect_timeout 5s;
      proxy_read_timeout 90s;
    }}
  }}
""" for number, port in self.ports.items())  # fmt: skip
        # As root, workers would change to a user that cannot write here.
        user = "user root;" if Path("/proc/self").stat().st_uid == 0 else ""
        path = self.write("nginx.conf", f"""{user}
daemon off;
worker_processes 1;
pid {self.folder}/pid;
error_log {self.log} warn;
events {{ worker_connections {CONNECTIONS}; }}
http {{
  access_log off;
  map $http_upgrade $onward {{ default upgrade; "" ""; }}
{temporary}{pools}{doors}}}
""")
        return [self.program or find("nginx"), "-e", str(self.log), "-p", str(self.folder), "-c", path]

    def apply(self, slot, is_member):
        mark = self.folder / f"in-{slot}"
        if is_member:
            mark.write_text("")
        else:
            mark.unlink(missing_ok=True)


def pool(chosen, slots):
    # max_fails=0: a passive check would hide what a replica loses.
    servers = "".join(f"    server 127.0.0.1:{slots[slot]} max_fails=0;\n" for slot in chosen)
    return f"  upstream pool{''.join(map(str, chosen))} {{\n{servers}    keepalive 32;\n    keepalive_requests 1000000000;\n  }}\n"


class Envoy(Front):
    """Spreads requests; its endpoints come by EDS, from a file. HTTP/2 goes to the replicas as HTTP/2."""

    name = "envoy"

    def command(self):
        extension = "type.googleapis.com/envoy.extensions"
        self._tell()
        breakers = {name: CONNECTIONS for name in ("max_connections", "max_pending_requests", "max_requests")}
        listeners, clusters = [], []
        for number, port in self.ports.items():
            manager = {
                "@type": f"{extension}.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": f"door{number}", "upgrade_configs": [{"upgrade_type": "websocket"}],
                "stream_idle_timeout": "90s",
                "route_config": {"virtual_hosts": [{"name": "door", "domains": ["*"], "routes": [
                    # 0: streams have no end.
                    {"match": {"prefix": "/"}, "route": {"cluster": f"fleet{number}", "timeout": "0s"}},
                ]}]},
                "http_filters": [{"name": "router", "typed_config": {"@type": f"{extension}.filters.http.router.v3.Router"}}],
            }  # fmt: skip
            listeners.append({"name": f"door{number}", "address": address(port),
                              "filter_chains": [{"filters": [{"name": "manager", "typed_config": manager}]}]})  # fmt: skip
            protocol = {"http_protocol_options": {}} if number == 1 else {"http2_protocol_options": {}}
            clusters.append({
                "name": f"fleet{number}", "type": "EDS", "connect_timeout": "5s",
                # One list for both: a file is for one cluster's name.
                "eds_cluster_config": {"service_name": "fleet", "eds_config": {
                    "resource_api_version": "V3",
                    "path_config_source": {"path": str(self.folder / "endpoints.json"), "watched_directory": {"path": str(self.folder)}},
                }},
                # What is told counts at once: Envoy gathers changes for up to a second.
                "common_lb_config": {"healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s"},
                "circuit_breakers": {"thresholds": [breakers]},
                "typed_extension_protocol_options": {f"{extension.split('/')[1]}.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": f"{extension}.upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": protocol,
                }},
            })  # fmt: skip
        config = {"node": {"id": "front", "cluster": "front"},
                  "static_resources": {"listeners": listeners, "clusters": clusters}}  # fmt: skip
        path = self.write("envoy.json", json.dumps(config))
        return [self.program or find("envoy"), "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning", "-c", path]

    def _tell(self):
        endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(self.slots[slot])}} for slot in sorted(self.members)]}]
        assignment = {"@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment", "cluster_name": "fleet",
                      "endpoints": endpoints if self.members else []}  # fmt: skip
        new = Path(self.write("endpoints.new", json.dumps({"resources": [assignment]})))
        # It watches for files that are moved in, so that it never reads half of one.
        new.rename(self.folder / "endpoints.json")

    def apply(self, slot, is_member):
        self._tell()


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


FRONTS = {each.name: each for each in (Nginx, HAProxy, Envoy, Connections)}
