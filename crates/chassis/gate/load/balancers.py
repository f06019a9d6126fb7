"""Real balancers in front of local replicas. Every retry is off: what a replica loses, the clients see."""

import csv
import json
import signal
import socket
import subprocess
import time
from pathlib import Path

from fleet import Trouble, find, free_port, until

# How long nginx, which does not look by itself, hears late of a replica that leaves: over half of the drain's delay.
NOTICE_SECONDS = 0.6


class Balancer:
    """A process in the foreground that spreads what comes to `url`."""

    name = ""

    def __init__(self, algorithm):
        self.algorithm = algorithm
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self, replicas, size, folder):
        self.replicas, self.size, self.folder = replicas, size, Path(folder)
        self.log = self.folder / f"{self.name}.log"
        command = self.command()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(f"{self.name} accepts on port {self.port}; its log is {self.log}", 15, self._accepts)

    def _accepts(self):
        if self.process.poll() is not None:
            raise Trouble(f"{self.name} ended with {self.process.returncode}: {self.log.read_text()[-500:]}")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
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

    def take_out(self, replica):
        """A replica leaves. Those that look by themselves need not be told."""

    def put_back(self, replica):
        """It is back."""

    def resize(self, size):
        """The first `size` replicas are there now."""
        self.size = size

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return str(path)


class HAProxy(Balancer):
    """Spreads requests, and asks each replica's /healthz ten times a second."""

    name = "haproxy"
    algorithms = ("roundrobin", "leastconn", "random(1)", "random(2)")
    mode = """  mode http
  http-reuse always"""

    def start(self, replicas, size, folder):
        self.stats = free_port()
        super().start(replicas, size, folder)
        # It takes all servers for up until their first check.
        until(f"{self.name} has seen which replicas are there", 15, lambda: self._up() == size)

    def _up(self):
        with socket.create_connection(("127.0.0.1", self.stats), timeout=5) as asked:
            asked.sendall(b"show stat -1 4 -1\n")
            table = b"".join(iter(lambda: asked.recv(65536), b"")).decode()
        header, *rows = csv.reader(table.strip().lstrip("# ").splitlines())
        states = [dict(zip(header, row))["status"] for row in rows]
        # "UP 1/2" is on its way.
        return states.count("UP")

    def command(self):
        servers = "\n".join(self.server(each) for each in self.replicas)
        config = f"""global
  maxconn 8192
  nbthread 1
  stats socket ipv4@127.0.0.1:{self.stats}
defaults
{self.mode}
  retries 0
  timeout connect 5s
  timeout client 90s
  timeout server 90s
  timeout check 2s
  default-server check inter 100ms fall 1 rise 1
frontend door
  bind 127.0.0.1:{self.port} backlog 4096
  default_backend fleet
backend fleet
  balance {self.algorithm}
  option httpchk GET /healthz
{servers}
"""
        return [find("haproxy"), "-db", "-f", self.write("haproxy.cfg", config)]

    def server(self, replica):
        return f"  server {replica.name} 127.0.0.1:{replica.port}"


class HAProxyTcp(HAProxy):
    """Layer 4: spreads connections, as kube-proxy and network balancers do."""

    name = "haproxy-tcp"
    mode = "  mode tcp"


class Nginx(Balancer):
    """Spreads requests. It does not look at replicas by itself, so it is told, as a controller would."""

    name = "nginx"
    algorithms = ("roundrobin",)

    def command(self):
        (self.folder / "nginx").mkdir(exist_ok=True)
        return [find("nginx"), "-e", str(self.log), "-p", str(self.folder / "nginx"), "-c", self._configure()]

    def _configure(self):
        """All that may change is in the file from the start, and chosen by marks: a reload would close nginx's own idle
        connections to clients, some of which have a request in them already."""
        folder, present = self.folder / "nginx", self.replicas[: self.size]
        pools, choice = pool("fleet", present), ""
        for size in range(self.size + 1, len(self.replicas) + 1):
            pools += pool(f"fleet_{size}", self.replicas[:size])
            choice += f"      if (-f {folder}/size-{size}) {{ set $pool fleet_{size}; }}\n"
        for out in present if len(present) > 1 else []:
            pools += pool(f"without_{out.number}", [each for each in present if each is not out])
            choice += f"      if (-f {folder}/out-{out.number}) {{ set $pool without_{out.number}; }}\n"
        temporary = "".join(f"  {kind}_temp_path {folder}/{kind};\n" for kind in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))  # fmt: skip
        # As root, workers would change to a user that cannot write here.
        user = "user root;" if Path("/proc/self").stat().st_uid == 0 else ""
        return self.write("nginx.conf", f"""{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {self.log} warn;
events {{ worker_connections 8192; }}
http {{
  access_log off;
{temporary}{pools}  server {{
    listen 127.0.0.1:{self.port} backlog=4096;
    keepalive_requests 1000000;
    location / {{
      set $pool fleet;
{choice}      proxy_pass http://$pool;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_next_upstream off;
      proxy_connect_timeout 5s;
      proxy_read_timeout 90s;
    }}
  }}
}}
""")

    def take_out(self, replica):
        time.sleep(NOTICE_SECONDS)
        (self.folder / f"nginx/out-{replica.number}").write_text("")

    def put_back(self, replica):
        (self.folder / f"nginx/out-{replica.number}").unlink()

    def resize(self, size):
        super().resize(size)
        (self.folder / f"nginx/size-{size}").write_text("")


def pool(name, replicas):
    # max_fails=0: a passive check would hide what a replica loses.
    servers = "".join(f"    server 127.0.0.1:{each.port} max_fails=0;\n" for each in replicas)
    return f"  upstream {name} {{\n{servers}    keepalive 64;\n    keepalive_requests 1000000;\n  }}\n"


class Envoy(Balancer):
    """Spreads requests, and asks each replica's /healthz five times a second."""

    name = "envoy"
    algorithms = ("roundrobin", "leastconn")

    def command(self):
        path = self.write("envoy.json", json.dumps(self._config()))
        # No hot restart: others may run beside this one.
        return [find("envoy"), "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning", "-c", path]

    def _config(self):
        extension = "type.googleapis.com/envoy.extensions.filters"
        manager = {
            "@type": f"{extension}.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "door",
            "route_config": {"virtual_hosts": [{
                "name": "door", "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "fleet", "timeout": "90s"}}],
            }]},
            "http_filters": [{"name": "router", "typed_config": {"@type": f"{extension}.http.router.v3.Router"}}],
        }  # fmt: skip
        filters = [{"name": "manager", "typed_config": manager}]
        breakers = {"max_connections": 8192, "max_pending_requests": 8192, "max_requests": 8192}
        cluster = {
            "name": "fleet", "type": "STATIC", "connect_timeout": "5s",
            "lb_policy": "LEAST_REQUEST" if self.algorithm == "leastconn" else "ROUND_ROBIN",
            # A replica that is down must not be asked because too many are; and what the checks find counts at once:
            # Envoy gathers what changes for up to a second, as long as a replica of this fleet waits in its drain.
            "common_lb_config": {"healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s"},
            "circuit_breakers": {"thresholds": [breakers]},
            "health_checks": [{
                "timeout": "2s", "interval": "0.2s", "no_traffic_interval": "0.2s", "no_traffic_healthy_interval": "0.2s",
                "unhealthy_threshold": 1, "healthy_threshold": 1, "http_health_check": {"path": "/healthz"},
            }],
            "load_assignment": {"cluster_name": "fleet", "endpoints": [{"lb_endpoints": [
                {"endpoint": {"address": address(each.port)}} for each in self.replicas
            ]}]},
        }  # fmt: skip
        return {"static_resources": {
            "listeners": [{"name": "door", "address": address(self.port), "filter_chains": [{"filters": filters}]}],
            "clusters": [cluster],
        }}  # fmt: skip


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


BALANCERS = {each.name: each for each in (HAProxy, HAProxyTcp, Nginx, Envoy)}
