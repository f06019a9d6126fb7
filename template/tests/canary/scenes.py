"""Rollouts as series of Prometheus: what the pods of a canary, and those that are live beside it, count in ten minutes."""

# A scrape, as in the chart.
STEP = "15s"
# Of ten minutes.
STEPS = 40
# How each sample names the pods that are live. Half of their requests fail: none of it is the canary's.
LIVE = {"flagger": "quotes-primary-55bd9-lllll", "argo": "quotes-55bd9-lllll", "rules": "quotes-55bd9-lllll"}

SLOW = {"latency", "CanarySlow"}
NO_REQUESTS = {"success", "CanaryIdle"}
# `pods`: what each pod of the canary counts in a scrape, by (route, status); of `slow` none is below the objective. `ends`:
# the step in which it drains, for two steps, with probes of ten balancers on /healthz. `fails`: the looks that say no.
SCENES = {
    "drains": {
        # One stays, one drains at the end of the last minute, one has been gone for minutes, one has just come.
        "pods": [{"ok": 150}, {"ok": 150, "ends": 37}, {"ok": 150, "ends": 20}, {"ok": 150, "begins": 30}],
        "fails": set(),
    },
    "5 % of errors": {"pods": [{"ok": 143, "errors": 7}, {"ok": 143, "errors": 8}], "fails": {"success", "CanaryFails"}},
    "a tenth of the requests is slow": {"pods": [{"ok": 135, "slow": 15}], "fails": SLOW},
    "refusals by 429": {"pods": [{"ok": 140, "shed": 10}], "fails": {"refusals", "CanaryRefuses"}},
    "one replica is full": {
        "pods": [{"ok": 150}, {"ok": 150, "utilization": 0.97, "saturation": 1}],
        "fails": {"utilization", "saturation", "CanaryFull"},
    },
    # No value is no verdict: not a number, or none at all.
    "no requests": {"pods": [{"ok": 0}], "fails": NO_REQUESTS | {"latency", "refusals"}},
}


def series(scene, sample):
    found = pod({"errors": 75, "ok": 75, "shed": 20, "slow": 75, "utilization": 1, "saturation": 1}, "quotes", LIVE[sample])
    for number, each in enumerate(scene["pods"]):
        found += pod(each, "quotes-canary", f"quotes-6f7d8-pod{number}")
    return found


def pod(counts, job, name):
    labels = f'namespace="shop",job="{job}",pod="{name}"'
    begin, end = counts.get("begins", 0), counts.get("ends", STEPS)
    metric = "http_server_request_duration_seconds"
    found = []
    for kind, status in (("ok", "200"), ("slow", "200"), ("errors", "500"), ("shed", "429")):
        route = f'{labels},http_request_method="POST",http_route="/v1/{kind}",http_response_status_code="{status}"'
        each = counts.get(kind, 0)
        if not each and kind != "ok":
            continue
        # A pod that drains serves on for a scrape or two.
        found.append(counter(f"{metric}_count{{{route}}}", each, begin, end + 2))
        for le, below in (("0.25", kind != "slow"), ("0.5", kind != "slow"), ("1", True), ("+Inf", True)):
            found.append(counter(f'{metric}_bucket{{{route},le="{le}"}}', each * below, begin, end + 2))
    # Balancers ask twice a second; in the drain they are answered 503, and so is a scanner with 404.
    for route, status, first, last in (("/healthz", "200", begin, end), ("/healthz", "503", end, end + 2), ("", "404", begin, end)):
        if first < min(last, STEPS):
            route = f'{labels},http_request_method="GET",http_route="{route}",http_response_status_code="{status}"'
            found.append(counter(f"{metric}_count{{{route}}}", 300, first, last))
    found.append(counter(f'overload_shed_total{{{labels},pool="io",reason="queue_full"}}', counts.get("shed", 0), begin, end + 2))
    for gauge, key, label in (("replica_utilization_ratio", "utilization", ""), ("overload_saturation_ratio", "saturation", ',pool="io"')):
        found.append(values(f"{gauge}{{{labels}{label}}}", f"{counts.get(key, 0.4)}+0x", begin, end + 2))
    return found


def counter(name, step, begin, end):
    return values(name, f"0+{step}x", begin, end)


def values(name, rising, begin, end):
    """Nothing before `begin`; stale from `end` on."""
    end = min(end, STEPS)
    text = (f"_x{begin} " if begin else "") + f"{rising}{end - begin - 1}" + (" stale" if end < STEPS else "")
    return {"series": name, "values": text}
