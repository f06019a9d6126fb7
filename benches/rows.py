"""What stands in most tables."""

from names import ALL, BASE, FULL, NAIVE, USUAL
from peers import peers
from servers import LAYERS, naive, own, service, usual


def steps(collector):
    """The service from as little as its settings allow to everything at full sampling."""
    return {
        "service, no access log, admission or traces": service(access_log=False, overload=False),
        "service, with admission": service(access_log=False),
        "service, with the access log": service(),
        "service, traces at 0 %": service(collector, 0),
        FULL: service(collector),
        ALL: service(collector, 1),
    }


def main_rows(collector, scratch):
    """All, and the names of what is not installed."""
    there, absent = peers(scratch)
    rows = {BASE: own("hyper_http1"), "bare axum": own("axum_bare"), **steps(collector), **there}
    rows[USUAL] = usual(LAYERS, collector)
    rows[f"{USUAL}, 100 %"] = usual(LAYERS, collector, 1)
    rows[NAIVE] = naive(collector)
    return rows, absent
