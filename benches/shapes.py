"""Other work than a GET of 13 bytes on HTTP/1: each a part of its own, beside the same peers.

h2load makes the requests: it speaks HTTP/2 and TLS. What counts is the server's CPU time for each completed request.
"""

import os
import re
import subprocess

import peers
from chunks import canaried, load, say
from names import BASE, FULL, GO, HYPER2, HYPER_JSON, NGINX, TONIC
from servers import LOAD_CPU, SERVER_CPU, need, own, pinned, service

LARGE = 64 << 10
# A request of the sample service.
PARCEL = ('{"from":"DE","to":"FR","weight_g":1200,"dimensions_mm":{"length":300,"width":200,"height":100},'
          '"service":"standard"}')
# A message of gRPC: not compressed, 7 bytes; field 1, a text of 5 bytes.
NAME = b"\x00\x00\x00\x00\x07\x0a\x05Alice"


class Shape:
    """What h2load asks: `count` times in a stretch, on `connections` with `streams` each; `data` bytes come back, if known."""

    def __init__(self, count, path="/hello", scheme="http", http1=False, connections=8, streams=1, data=13, body=None, headers=()):
        self.count, self.path, self.scheme, self.data = count, path, scheme, data
        self.arguments = ["-c", connections, "-m", streams, *(["--h1"] if http1 else []), *(["-d", body] if body else [])]
        for header in headers:
            self.arguments += ["-H", header]

    def ask(self, server, count=None):
        """Its report; ends the run where an answer is missing or another."""
        count = count or self.count
        url = f"{self.scheme}://{server.address}{self.path}"
        done = subprocess.run([need("h2load"), "-n", str(count), *map(str, self.arguments), url], capture_output=True,
                              text=True, preexec_fn=pinned(LOAD_CPU), timeout=300)
        report = read(done.stdout)
        if done.returncode or report["good"] != count or self.data not in (None, report["data"] / count):
            raise SystemExit(f"bench: {server.name}: not the answers to {url}:\n{done.stdout}{done.stderr}")
        return {"requests": count, "seconds": report["seconds"]}

    def ready(self, server):
        """Whether it answers; what it answers is seen when it is asked."""
        done = subprocess.run([need("h2load"), "-n", "1", "-c", "1", *map(str, self.arguments[4:]),
                               f"{self.scheme}://{server.address}{self.path}"], capture_output=True, text=True, timeout=60)
        return read(done.stdout)["good"] == 1

    def measured(self, specs, scratch, rounds):
        return canaried(specs, scratch, rounds, self.ask, self.ready)


def read(text):
    """h2load's report: seconds, answers with 2xx, and bytes of their bodies."""
    def number(pattern):
        found = re.search(pattern, text)
        return float(found[1]) if found else 0
    time = re.search(r"finished in ([0-9.]+)(us|ms|s|m)", text)
    unit = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}
    return {"seconds": float(time[1]) * unit[time[2]] if time else 0, "good": number(r"status codes: (\d+) 2xx"),
            "data": number(r"\((\d+)\) data")}


def rounds(quick):
    return 1 if quick else 8


def few(count, quick):
    return count // 20 if quick else count


def beside(there, what):
    """`what` where its program is installed; its name where not."""
    absent = []
    for name, found in {"nginx": peers.find("nginx"), GO: peers.has_go()}.items():
        if found:
            there |= what.get(name, lambda: {})()
        elif name in what:
            absent.append(name)
    return absent


def http2(collector, scratch, quick):
    """h2c with prior knowledge, 8 connections with 1, 32 and 100 streams each."""
    specs = {HYPER2: own("hyper_http2"), FULL: service(collector)}
    absent = beside(specs, {"nginx": lambda: {"nginx, return 200": peers.nginx("off", " http2"), NGINX: peers.nginx(how=" http2")},
                                   GO: lambda: peers.go(scratch, h2c=True)})
    result = {"base": HYPER2, "absent": absent, "tables": {}}
    for streams, count in ((1, 25_000), (32, 60_000), (100, 60_000)):
        say(f"{streams} streams a connection")
        shape = Shape(few(count, quick), streams=streams)
        result["tables"][str(streams)] = shape.measured(specs, scratch, rounds(quick))
    return result


def parcel(count, scratch):
    """POST /v1/quotes on 32 connections."""
    body = scratch / "parcel.json"
    body.write_text(PARCEL)
    return Shape(count, "/v1/quotes", http1=True, connections=32, data=None, body=body, headers=["content-type: application/json"])


def json(collector, scratch, quick):
    """POST /v1/quotes: JSON in, JSON out."""
    specs = {HYPER_JSON: own("hyper_json"), "bare axum": own("axum_json"), FULL: service(collector, program="server")}
    shape = parcel(few(15_000, quick), scratch)
    return {"base": HYPER_JSON, **shape.measured(specs, scratch, rounds(quick))}


def large(collector, scratch, quick):
    """64 KiB answers on 32 connections."""
    specs = {BASE: own("hyper_http1", LARGE), FULL: service(collector, APP__APP__LARGE=LARGE)}
    absent = beside(specs, {"nginx": lambda: {"nginx with its access log, a file": peers.nginx_files(LARGE)}})
    shape = Shape(few(8_000, quick), "/large", http1=True, connections=32, data=LARGE)
    return {"base": BASE, "absent": absent, **shape.measured(specs, scratch, rounds(quick))}


def grpc(collector, scratch, quick):
    """A unary call on 8 connections with 32 streams each."""
    body = scratch / "name.grpc"
    body.write_bytes(NAME)
    specs = {TONIC: own("tonic_bare"), FULL: service(collector, program="examples/grpc")}
    # The answer: 5 bytes before the message, 2 before its text, "Hello, Alice".
    shape = Shape(few(30_000, quick), "/recipes.Greeter/Greet", streams=32, data=19, body=body,
                  headers=["content-type: application/grpc", "te: trailers"])
    return {"base": TONIC, **shape.measured(specs, scratch, rounds(quick))}


def tls(collector, scratch, quick):
    """Keep-alive requests on HTTP/1 and HTTP/2, and handshakes, new and resumed."""
    certificate = peers.Certificate(scratch)
    secure = {"APP__TLS__CERTIFICATE_FILE": certificate.file, "APP__TLS__KEY_FILE": certificate.key}
    specs = {FULL: service(collector, program="hello-tls", scheme="https", **secure)}
    absent = beside(specs, {"nginx": lambda: {NGINX: peers.nginx_tls(certificate)}})
    base = NGINX if NGINX in specs else FULL
    # Few connections: h2load opens them anew for each stretch, and a handshake costs as much as 20 requests.
    one = Shape(few(25_000, quick), scheme="https", http1=True)
    two = Shape(few(60_000, quick), scheme="https", streams=32)
    result = {"base": base, "absent": absent, "http1": one.measured(specs, scratch, rounds(quick)),
              "http2": two.measured(specs, scratch, rounds(quick))}
    for kind in ("new", "resumed"):
        say(f"handshakes, {kind}")
        ask = lambda server, kind=kind: handshakes(server, kind, certificate)
        result[kind] = canaried(specs, scratch, rounds(quick), ask, one.ready)
    return result


def handshakes(server, kind, certificate):
    report = load(server.address, "tls", 0.5, kind, certificate.file)
    # The first of each thread has nothing to resume.
    wrong = report["resumed"] if kind == "new" else max(0, report["requests"] - report["resumed"] - 16)
    if wrong:
        raise SystemExit(f"bench: {server.name}: {kind} handshakes: {report}")
    return report


def two_cpus():
    """The server's and the load's, or a free one where there is a third."""
    return SERVER_CPU, max(os.sched_getaffinity(0) - {SERVER_CPU, LOAD_CPU}, default=LOAD_CPU)


def threads(collector, scratch, quick):
    """One worker thread and two, each on two CPUs, beside hyper with as many."""
    result = {}
    for count in (1, 2):
        say(f"{count} worker threads")
        specs = {BASE: own("hyper_http1", TOKIO_WORKER_THREADS=count), FULL: service(collector, APP__RUNTIME__WORKER_THREADS=count)}
        result[str(count)] = canaried(specs, scratch, rounds(quick), cpus=two_cpus())
    return result


PARTS = (http2, tls, json, large, grpc, threads)
