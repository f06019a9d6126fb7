"""Servers that others wrote: nginx, Node and Go, as far as they are installed."""

import os
import pathlib
import subprocess

from names import GO, GO_LOGS, NGINX
from servers import ROOT, find

# One process with one worker, as all the others have it.
CONFIG = """daemon off; master_process off; pid {directory}/pid; error_log {directory}/error warn;
events {{ worker_connections 20000; }}
http {{ access_log {access}; keepalive_requests 1000000000; default_type text/plain;
client_body_temp_path {directory}/a; proxy_temp_path {directory}/b; fastcgi_temp_path {directory}/c;
uwsgi_temp_path {directory}/d; scgi_temp_path {directory}/e; {more}
server {{ listen {address}{how} backlog=1024; {inside}
location /hello {{ return 200 "Hello, World!"; }} }} }}
"""
LINES = "lines combined buffer=32k flush=1s"
# What nginx has for files: no copy, whole packets, and no open for each answer.
FILES = "sendfile on; tcp_nopush on; open_file_cache max=100;"


def nginx(access=LINES, how="", more="", inside=""):
    """`how` it listens, `more` settings for all, and `inside` its one server."""
    def spec(server):
        text = CONFIG.format(directory=server.directory, address=server.address, access=access, how=how, more=more,
                            inside=inside.format(directory=server.directory))
        (server.directory / "nginx.conf").write_text(text)
        return [find("nginx"), "-p", server.directory, "-c", server.directory / "nginx.conf"], {}
    return spec


def nginx_files(length):
    """`/large` from a file of `length` bytes."""
    inside = nginx(more=FILES, inside="location /large {{ root {directory}; }}")

    def spec(server):
        (server.directory / "large").write_bytes(b"x" * length)
        return inside(server)
    return spec


def nginx_tls(certificate):
    """HTTP/1 and HTTP/2, as the client wants it; sessions are resumed by tickets, as the service's."""
    inside = f"ssl_certificate {certificate.file}; ssl_certificate_key {certificate.key}; ssl_protocols TLSv1.2 TLSv1.3;"
    return nginx(how=" ssl http2", inside=inside)


class Certificate:
    """A server's own, for `localhost`: P-256, which both libraries are fastest with."""

    SETTINGS = """[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = localhost
[extensions]
subjectAltName = DNS:localhost, IP:127.0.0.1
basicConstraints = critical, CA:FALSE
"""

    def __init__(self, scratch):
        self.file, self.key, config = (scratch / name for name in ("server.pem", "server.key", "openssl.conf"))
        config.write_text(self.SETTINGS)
        subprocess.run([find("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-config", config, "-keyout", self.key, "-out", self.file],
                       check=True, capture_output=True)


NODE = """require('http').createServer((_, answer) => { answer.setHeader('content-type', 'text/plain');
answer.end('Hello, World!'); }).listen({port: +process.argv[1], host: '127.0.0.1', backlog: 1024});"""

# What Debian's packages of Go libraries install.
GO_LIBRARIES = pathlib.Path("/usr/share/gocode")


def has_go():
    return bool(find("go")) and (GO_LIBRARIES / "src/github.com/prometheus/client_golang").exists()


def go(scratch, h2c=False):
    """net/http, built here: alone, and with what a service has."""
    program = scratch / "hello-go"
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GO_LIBRARIES), "GOCACHE": str(scratch / "go-cache"), "GOFLAGS": ""}
    subprocess.run([find("go"), "build", "-o", program, ROOT / "benches/hello.go"], env=environment, check=True)
    variables = {"GOMAXPROCS": "1", **({"HELLO_H2C": "yes"} if h2c else {})}
    return {
        GO: lambda server: ([program, server.address], variables),
        GO_LOGS: lambda server: ([program, server.address, server.directory / "lines"], variables),
    }


def peers(scratch):
    """What is installed, and the names of what is not."""
    there, absent = {}, []
    if find("nginx"):
        there["nginx, return 200"] = nginx("off")
        there[NGINX] = nginx()
    else:
        absent.append("nginx")
    if find("node"):
        there["Node http"] = lambda server: ([find("node"), "-e", NODE, server.port], {})
    else:
        absent.append("Node http")
    if has_go():
        there |= go(scratch)
    else:
        absent.append(GO)
    return there, absent
