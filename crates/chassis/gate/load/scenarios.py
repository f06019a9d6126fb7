"""What each scenario does beside the load, and what has to come out of it beyond k6's own thresholds."""

import statistics
from dataclasses import dataclass
from typing import Callable

from fleet import Trouble
from k6 import REFUSED, percentile


@dataclass
class Scenario:
    """`run` drives it; `replicas` start, `to` is how many there are in the end; `seconds` whole and quick; `rate` is of
    the whole fleet, 0 where the scenario has none."""

    about: str
    run: Callable
    seconds: int
    quick: int
    replicas: int = 3
    to: int = 0
    rate: int = 0
    balancer: str = "haproxy"
    settings: dict = None
    # Whether the runner has to do something to the replicas meanwhile.
    disturbs: bool = False
    # What of load-tests/requests.js it cannot do without.
    needs: str = ""


def plain(run):
    """Load, and nothing else."""
    run.load(run.name, RATE=run.rate)
    run.finish()


def soak(run):
    """Memory and open files at the end against those after a quarter, when caches and pools are warm."""
    begin = run.load(run.name, RATE=run.rate)
    run.finish()
    for name in run.samples.of:
        for column, unit, slack in (("memory", 2**20, 8), ("files", 1, 20)):
            early = run.samples.values(name, column, begin + run.seconds * 0.25, begin + run.seconds * 0.35)
            late = run.samples.values(name, column, begin + run.seconds * 0.9)
            if not early or not late:
                raise Trouble(f"too few samples of {name}: is the soak too short?")
            early, late = (statistics.median(value for _, value in values) / unit for values in (early, late))
            word = {"memory": "MiB", "files": "open files"}[column]
            run.check(
                f"{name}: {word} stay within 1.2 times", f"<= {early * 1.2 + slack:.0f}", f"{late:.0f}",
                late <= early * 1.2 + slack,
            )  # fmt: skip


def drain(run):
    """Every replica restarts in turn, as often as the time allows, and at least once."""
    begin = run.load(run.name, RATE=run.rate)
    run.wait_until(begin + 2)
    if run.fleet is None:
        run.during()
        run.finish()
        return
    restarts, longest = 0, 0.0
    while restarts == 0 or run.now() + longest * len(run.fleet.all) + 2 < begin + run.seconds:
        for replica in run.fleet.all:
            started = run.now()
            run.fleet.restart(replica, run.note)
            restarts += 1
            longest = max(longest, run.now() - started)
    run.check("the restarts ended before the load did", "yes", "yes" if run.is_loaded() else "no", run.is_loaded())
    run.finish()
    clean = run.fleet.exit_codes.count(0)
    run.check("replicas that restarted and lost nothing (exit code 0)", f"= {restarts}", clean, clean == restarts)


def scale_out(run):
    """New replicas have at least 0.7 of an even share in the last fifth."""
    begin = run.load(run.name, RATE=run.rate)
    run.wait_until(begin + run.seconds * 0.25)
    if run.fleet is None:
        run.during()
        run.finish()
        return
    run.fleet.add(run.to - run.replicas, run.note)
    run.finish()
    # As the replicas count: answers to POSTs need not name them.
    counts = run.samples.shares(begin + run.seconds * 0.8, begin + run.seconds)
    total, even = sum(counts.values()), 1 / run.to
    for replica in run.fleet.all[run.replicas :]:
        share = counts.get(replica.name, 0) / max(total, 1)
        ok = share >= 0.7 * even
        run.check(f"share of {replica.name}, which joined", f">= {0.7 * even:.1%}", f"{share:.1%}", ok)


def balance(run):
    """Two steps behind a balancer of connections: from 1 replica to 2, and on to 8. With age off it shows what then
    happens instead: nothing."""
    # Where there is no age, the time that the sample's age would have had.
    span = run.age or run.options.contrast
    # It is ended when all has been seen. A minute more: replicas of a busy machine take their time to start.
    begin = run.load(run.name, DURATION=f"{6 * span + 60:.0f}", CLIENTS=run.options.clients)
    run.wait_until(begin + span)
    to_two(run, span)
    to_eight(run, span)
    run.check("the load lasted until all was seen", "yes", "yes" if run.is_loaded() else "no", run.is_loaded())
    run.k6.end()
    run.finish()


def to_two(run, span):
    ready = run.fleet.add(1, run.note)
    # All connections are past their age by 1.1 of it, and the shares are counted over a tenth more.
    counts = run.shares(ready + 1.1 * span, ready + 1.2 * span)
    share = counts.get("replica-1", 0) / max(1, sum(counts.values()))
    what = f"1 to 2 replicas: share of the new one after {1.2 * span:.1f} s"
    if not run.age:
        run.check(f"{what}, age off", "<= 5 %", f"{share:.1%}", share <= 0.05)
    else:
        run.check(what, bound_of(run, ">= 40 %"), f"{share:.1%}", share >= 0.4 or not deals_evenly(run))


def to_eight(run, span):
    ready = run.fleet.add(6, run.note)
    # The last half of an age, so that it is not one moment's luck.
    counts = run.shares(ready + 1.5 * span, ready + 2 * span)
    counts = [counts.get(replica.name, 0) for replica in run.fleet.all]
    ratio = max(counts) / min(counts) if min(counts) else float("inf")
    what = f"2 to 8 replicas: largest share by smallest after {2 * span:.1f} s"
    if not run.age:
        run.check(f"{what}, age off", "> 1.5", f"{ratio:.2f}", ratio > 1.5)
    else:
        run.check(what, bound_of(run, "<= 1.5"), f"{ratio:.2f}", ratio <= 1.5 or not deals_evenly(run))


def deals_evenly(run):
    """The others throw dice: 64 connections that fall on 8 replicas by chance are 8 for each, give or take 2.6."""
    return run.options.algorithm in ("roundrobin", "leastconn")


def bound_of(run, bound):
    return bound if deals_evenly(run) else "none, by chance"


def overload(run):
    """Goodput in a flood as a share of the capacity that was measured just before, refusals in time, and recovery."""
    long = run.seconds
    # For each of the work threads one client that is served and two that wait behind it.
    begin = run.load(run.name, PHASE="capacity", CLIENTS=3 * run.replicas, DURATION=f"{long / 2:.1f}")
    run.finish()
    # The first second is for connections and caches.
    capacity = goodput(run, "capacity", begin + 1, begin + long / 2)
    if capacity < 1:
        raise Trouble("no capacity to measure: not one answer a second is in time")
    run.note(f"capacity {capacity:.0f}/s, now {run.options.factor:g} times as much")
    begin = run.load(
        run.name, PHASE="flood", CAPACITY=f"{capacity:.1f}", FACTOR=run.options.factor, DURATION=long, AFTER=long / 2
    )
    run.finish()
    # 60 %: the flood's clients, balancer and refusals take their part of the same cores.
    good = goodput(run, "flood", begin + 2, begin + long)
    run.check(
        f"answered in time at {run.options.factor:g} times the capacity of {capacity:.0f}/s",
        ">= 60 % of it", f"{good / capacity:.0%}", good >= 0.6 * capacity,
    )  # fmt: skip
    flood = list(run.trace.between(begin + 2, begin + long, "flood"))
    refused = sorted(took for status, took in flood if status in REFUSED)
    # Otherwise there was no overload, and the rest shows nothing.
    run.check("refused in the flood", ">= 30 %", f"{len(refused) / max(1, len(flood)):.0%}", len(refused) >= 0.3 * len(flood))
    slowest = percentile(refused, 0.99)
    run.check("99 % of refusals within", "<= 250 ms", f"{slowest:.0f} ms", slowest <= 250)


def goodput(run, scenario, begin, end):
    """Answers of 200 within 250 ms, each second."""
    return sum(status == 200 and took <= 250 for status, took in run.trace.between(begin, end, scenario)) / (end - begin)


SCENARIOS = {
    "smoke": Scenario("every route, right and wrong requests, a few seconds", plain, 5, 3, replicas=2),
    "steady": Scenario("an even load", plain, 120, 10, rate=300),
    "soak": Scenario("little load for long: memory and open files do not grow", soak, 1800, 20, rate=100),
    "spike": Scenario("ten times the load within a second, and back", plain, 60, 16, rate=60),
    "drain": Scenario("rolling restarts under load lose nothing", drain, 60, 15, rate=200, disturbs=True),
    "scale-out": Scenario(
        "replicas that join get their share", scale_out, 60, 12, replicas=2, to=4, rate=300, disturbs=True,
    ),
    "balance": Scenario(
        "fair shares behind a balancer of connections, by connection age: 1 to 2 to 8 replicas", balance, 0, 0,
        replicas=1, to=8, balancer="haproxy-tcp", needs="who",
    ),
    "overload": Scenario(
        "five times as much CPU-bound work as there is CPU", overload, 20, 8, replicas=2,
        # One thread each: the clients need a part of the machine too.
        settings={"APP__RUNTIME__WORK_THREADS": "1"}, needs="work",
    ),
}  # fmt: skip
