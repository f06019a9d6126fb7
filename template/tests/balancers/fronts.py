"""Balancers in front of replicas, without health checks: what is asked of a replica that has just gone must not depend on when
they look. The forms are `usual`, as a manual's first example has it, `documented`, as docs/operations.md says, and `least`, the
usual one with the least change by which a restart loses nothing."""

import csv
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "crates/chassis/gate/load"))
from fleet import free_port

# What `least` changes, as a reader would write it.
LEAST = {"nginx": "`max_fails=0`", "haproxy": "`option redispatch 1`", "envoy": '`retry_on: "connect-failure"` and `previous_hosts`',
         "apache": "`retry=0`", "caddy": "`lb_retries 2`"}  # fmt: skip
# Short enough to wait for; what a balancer does at a time-out does not depend on it.
TIMEOUT = 2
DOCUMENTED_HAPROXY = """  retries 3
  option redispatch 1
  retry-on conn-failure empty-response
  http-request disable-l7-retry unless METH_GET
"""


class Front:
    """One balancer, in the foreground. Its log, and what else it tells of losses, is in `told`."""

    def __init__(self, name, program, form, folder):
        self.name, self.program, self.form, self.folder = name, program, form, folder / f"{name}-{form}".replace(", ", "-")
        self.folder.mkdir()
        self.log = self.folder / "log"
        self.port, self.stats = free_port(), free_port()

    def start(self, replicas):
        command = getattr(self, f"_{self.name.split('-')[0]}")([each.port for each in replicas])
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 15
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{self.name} does not accept: {self.log.read_text()[-2000:]}") from None
                time.sleep(0.02)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)

    def told(self):
        """What is left of a loss in its logs and its counters; nothing where it keeps none of that kind."""
        texts = [path.read_text() for path in (self.log, self.folder / "access") if path.exists()]
        bad = re.compile(r"/lost.* 50[234]|50[234] .*\"(?:GET|POST) /lost|AH01102|AH00898|prematurely closed|timed out.*/lost|logger\":\"http.log.error")
        logged = any(bad.search(line) for text in texts for line in text.splitlines())
        return {"logged": logged, "counted": getattr(self, f"_{self.name.split('-')[0]}_counted", lambda: None)()}

    def _haproxy_counted(self):
        """The errors and the failed answers that `show stat` has of the pool."""
        with socket.create_connection(("127.0.0.1", self.stats)) as asked:
            asked.sendall(b"show stat\n")
            table = b"".join(iter(lambda: asked.recv(65536), b"")).decode()
        header, *rows = csv.reader(table.strip().lstrip("# ").splitlines())
        pool = next(row for row in (dict(zip(header, row)) for row in rows) if row["svname"] == "BACKEND")
        return any(int(pool[name] or 0) for name in ("econ", "eresp", "hrsp_5xx", "wretr", "srv_abrt"))

    def _envoy_counted(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.stats}/stats", timeout=5) as answer:
            stats = dict(line.split(": ", 1) for line in answer.read().decode().splitlines() if ": " in line)
        names = ("upstream_cx_destroy_remote_with_active_rq", "upstream_rq_5xx", "upstream_rq_timeout")
        return any(int(stats.get(f"cluster.fleet.{name}", 0)) for name in names)

    def _file(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def _nginx(self, ports):
        is_documented = self.form == "documented"
        fails = "" if self.form == "usual" else " max_fails=0"
        more = "proxy_connect_timeout 1s; proxy_next_upstream error timeout;" if is_documented else ""
        servers = "".join(f"    server 127.0.0.1:{port}{fails};\n" for port in ports)
        # 1.30 needs neither line: it keeps connections by itself.
        is_old = self.name == "nginx-1.22"
        keep = "    keepalive 64;\n" if is_old else ""
        version = 'proxy_http_version 1.1; proxy_set_header Connection "";' if is_old else ""
        folders = "".join(f"  {kind}_temp_path {self.folder}/{kind};\n" for kind in
                          ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))  # fmt: skip
        user = "user root;" if Path("/proc/self").stat().st_uid == 0 else ""
        config = f"""{user}
daemon off;
worker_processes 1;
pid {self.folder}/pid;
error_log {self.log} warn;
events {{ worker_connections 512; }}
http {{
  log_format told '$request_method $request_uri $status upstream $upstream_status';
  access_log {self.folder}/access told;
{folders}  upstream fleet {{
{servers}{keep}  }}
  server {{
    listen 127.0.0.1:{self.port};
    location / {{ proxy_pass http://fleet; {version} {more} proxy_read_timeout {TIMEOUT}s; }}
  }}
}}
"""
        return [self.program, "-e", str(self.log), "-p", str(self.folder), "-c", self._file("nginx.conf", config)]

    def _haproxy(self, ports):
        servers = "\n".join(f"  server s{port} 127.0.0.1:{port}" for port in ports)
        more = {"documented": DOCUMENTED_HAPROXY, "least": "  option redispatch 1\n"}.get(self.form, "")
        config = f"""global
  nbthread 1
  stats socket ipv4@127.0.0.1:{self.stats}
  log stdout format raw local0
defaults
  log global
  mode http
  option httplog
  timeout connect 1s
  timeout client 30s
  timeout server {TIMEOUT}s
frontend door
  bind 127.0.0.1:{self.port}
  default_backend fleet
backend fleet
  balance roundrobin
{more}{servers}
"""
        return [self.program, "-db", "-f", self._file("haproxy.cfg", config)]

    def _envoy(self, ports):
        extension = "type.googleapis.com/envoy.extensions"
        route = {"cluster": "fleet", "timeout": f"{TIMEOUT}s"}
        routes = [{"match": {"prefix": "/"}, "route": route}]
        if self.form == "documented":
            once = {"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]}
            routes = [
                {"match": once, "route": {**route, "retry_policy": retries("connect-failure,refused-stream,reset")}},
                {"match": {"prefix": "/"}, "route": {**route, "retry_policy": retries("connect-failure,refused-stream,reset-before-request")}},
            ]  # fmt: skip
        if self.form == "least":
            routes[0]["route"] = {**route, "retry_policy": retries("connect-failure")}
        line = "%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS%\n"
        manager = {
            "@type": f"{extension}.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "door",
            "access_log": [{"name": "file", "typed_config": {
                "@type": f"{extension}.access_loggers.file.v3.FileAccessLog", "path": f"{self.folder}/access",
                "log_format": {"text_format_source": {"inline_string": line}},
            }}],
            "route_config": {"virtual_hosts": [{"name": "door", "domains": ["*"], "routes": routes}]},
            "http_filters": [{"name": "router", "typed_config": {"@type": f"{extension}.filters.http.router.v3.Router"}}],
        }  # fmt: skip
        cluster = {
            "name": "fleet", "type": "STATIC", "connect_timeout": "1s",
            "load_assignment": {"cluster_name": "fleet", "endpoints": [{"lb_endpoints": [
                {"endpoint": {"address": address(port)}} for port in ports
            ]}]},
        }  # fmt: skip
        if self.form.startswith("checked"):
            # What is not said is 60 s, for as long as nothing has been asked.
            more = {"no_traffic_interval": "0.2s"} if self.form == "checked, documented" else {}
            cluster["health_checks"] = [{"timeout": "1s", "interval": "0.2s", "unhealthy_threshold": 1,
                                         "healthy_threshold": 1, "http_health_check": {"path": "/healthz"}, **more}]  # fmt: skip
        filters = [{"name": "manager", "typed_config": manager}]
        listener = {"name": "door", "address": address(self.port), "filter_chains": [{"filters": filters}]}
        config = {"admin": {"address": address(self.stats)},
                  "static_resources": {"listeners": [listener], "clusters": [cluster]}}  # fmt: skip
        path = self._file("envoy.json", json.dumps(config))
        return [self.program, "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning",
                "--file-flush-interval-msec", "100", "-c", path]  # fmt: skip

    def _apache(self, ports):
        modules = ("mpm_event", "authz_core", "proxy", "proxy_http", "proxy_balancer", "lbmethod_byrequests", "slotmem_shm")
        load = "".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in modules)
        # As root it would change to a user that cannot write here.
        user = "User www-data\nGroup www-data\n" if Path("/proc/self").stat().st_uid == 0 else ""
        retry = {"documented": " retry=0 ttl=600 connectiontimeout=1", "least": " retry=0"}.get(self.form, "")
        members = "".join(f"  BalancerMember http://127.0.0.1:{port}{retry}\n" for port in ports)
        # One process: each has connections of its own.
        config = f"""{load}{user}ServerRoot {self.folder}
ServerName test
PidFile {self.folder}/pid
DefaultRuntimeDir {self.folder}
ErrorLog {self.log}
LogFormat "%m %U %>s" told
CustomLog {self.folder}/access told
StartServers 1
ServerLimit 1
ThreadsPerChild 4
MaxRequestWorkers 4
ProxyTimeout {TIMEOUT}
Listen 127.0.0.1:{self.port}
<Proxy balancer://fleet>
{members}</Proxy>
ProxyPass / balancer://fleet/
"""
        return [self.program, "-DFOREGROUND", "-f", self._file("apache.conf", config)]

    def _caddy(self, ports):
        proxy = {
            "handler": "reverse_proxy",
            "upstreams": [{"dial": f"127.0.0.1:{port}"} for port in ports],
            "load_balancing": {"selection_policy": {"policy": "round_robin"}},
            "transport": {"protocol": "http", "response_header_timeout": f"{TIMEOUT}s"},
        }
        if self.form in ("documented", "least"):
            proxy["load_balancing"] |= {"retries": 2}
        config = {"admin": {"disabled": True}, "apps": {"http": {"servers": {"door": {
            "listen": [f"127.0.0.1:{self.port}"], "automatic_https": {"disable": True}, "logs": {},
            "routes": [{"handle": [proxy]}],
        }}}}}  # fmt: skip
        return [self.program, "run", "--config", self._file("caddy.json", json.dumps(config))]


def retries(on):
    """Envoy's policy, on another host each time."""
    other = "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
    predicate = [{"name": "other", "typed_config": {"@type": other}}]
    return {"retry_on": on, "num_retries": 2, "retry_host_predicate": predicate, "host_selection_retry_max_attempts": 3}


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def programs(later=None):
    """(name, program) of what is there; with the folder of `later`, its programs too."""
    path = f"{os.environ['PATH']}:/usr/sbin:{ROOT}/.tools/bin"
    names = {"nginx-1.22": "nginx", "haproxy-2.6": "haproxy", "envoy-1.40": "envoy", "apache-2.4": "apache2",
             "caddy-2.11": "caddy"}  # fmt: skip
    found = {name: shutil.which(program, path=path) for name, program in names.items()}
    if later:
        found |= {"nginx-1.30": f"{later}/bin/nginx", "haproxy-3.2": f"{later}/bin/haproxy"}
    return found
