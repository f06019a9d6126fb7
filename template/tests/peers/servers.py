"""The servers that are asked: ours, nginx, Caddy, and Go where it is (Caddy is Go's net/http behind a proxy of its own).

Each has `/hello` and `/upload`, at an address for HTTP/1 and one for HTTP/2 without TLS.

Next: `wire.py`, how they are asked.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).parent


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Server:
    """A process that serves for as long as the `with` block does; its output goes to a file in `folder`."""

    name = ""

    def __init__(self, folder):
        self.folder = folder / self.name
        self.folder.mkdir()
        self.ports = free_ports(3)

    def command(self):
        raise NotImplementedError

    def environment(self):
        return os.environ

    def addresses(self):
        return ("127.0.0.1", self.ports[0]), ("127.0.0.1", self.ports[1])

    def __enter__(self):
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, env=self.environment())
        deadline = time.monotonic() + 60
        while not all(self.accepts(address) for address in self.addresses()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"peers: {self.name} does not serve: {(self.folder / 'log').read_text()[-600:]}")
            time.sleep(0.05)
        return self

    @staticmethod
    def accepts(address):
        try:
            socket.create_connection(address, timeout=1).close()
            return True
        except OSError:
            return False

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)


class Ours(Server):
    name = "ours"

    def command(self):
        return ["target/debug/streams"]

    def environment(self):
        return os.environ | {
            "APP__SERVER__LISTEN": f"http://127.0.0.1:{self.ports[0]}",
            "APP__ADMIN__LISTEN": "127.0.0.1:0",
            "APP__SERVER__TRUSTED_PEERS": "192.0.2.1/32",
            "APP__LIFECYCLE__DRAIN_DELAY": "0s",
        }

    def addresses(self):
        return (("127.0.0.1", self.ports[0]),) * 2


class Nginx(Server):
    """It proxies uploads to itself: what only answers does not read bodies."""

    name = "nginx"

    def command(self):
        http1, http2, inner = self.ports
        routes = f"""
            location = /hello {{ default_type text/plain; return 200 "hello\\n"; }}
            location = /upload {{ proxy_pass http://127.0.0.1:{inner}; }}
            location / {{ return 404; }}"""
        (self.folder / "nginx.conf").write_text(f"""
            daemon off; pid {self.folder}/pid; error_log stderr;
            events {{ }}
            http {{
              access_log off; client_body_temp_path {self.folder}/bodies; proxy_temp_path {self.folder}/proxy;
              fastcgi_temp_path {self.folder}/fastcgi; uwsgi_temp_path {self.folder}/uwsgi; scgi_temp_path {self.folder}/scgi;
              server {{ listen 127.0.0.1:{http1}; {routes} }}
              server {{ listen 127.0.0.1:{http2} http2; {routes} }}
              server {{ listen 127.0.0.1:{inner}; location / {{ return 200 "uploaded\\n"; }} }}
            }}""")
        return ["nginx", "-e", "stderr", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")]


class Caddy(Server):
    name = "caddy"

    def command(self):
        port, _, inner = self.ports
        (self.folder / "Caddyfile").write_text(f"""{{
            admin off
            auto_https off
            servers {{
                protocols h1 h2c
            }}
        }}
        http://:{port} {{
            bind 127.0.0.1
            handle /hello {{
                respond "hello" 200
            }}
            handle /upload {{
                reverse_proxy 127.0.0.1:{inner}
            }}
            handle {{
                respond 404
            }}
        }}
        http://:{inner} {{
            bind 127.0.0.1
            respond "uploaded" 200
        }}
        """)
        caddy = self.folder.parent / "environment/bin/caddy"
        return [str(caddy), "run", "--adapter", "caddyfile", "--config", str(self.folder / "Caddyfile")]

    def environment(self):
        return os.environ | {"XDG_DATA_HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder)}

    def addresses(self):
        return (("127.0.0.1", self.ports[0]),) * 2


class Go(Server):
    name = "go"

    def command(self):
        built = self.folder / "server"
        subprocess.run(["go", "build", "-o", built, HERE / "server.go"], check=True)
        return [str(built), f"127.0.0.1:{self.ports[0]}"]

    def addresses(self):
        return (("127.0.0.1", self.ports[0]),) * 2


def peers():
    """In the order of their columns."""
    return [Nginx, Caddy, *([Go] if shutil.which("go") else [])]
