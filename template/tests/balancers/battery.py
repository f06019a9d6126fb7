"""What each balancer does where a replica loses a request: what the client sees, how often a replica had it, and whether
the requests after it are answered.

The forms are `usual`, as a manual's first example has it, and `documented`, as docs/operations.md says.

`battery.py [--later FOLDER] [--update] [NAME…]` compares with expected.txt, section by section.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from fronts import Front, free_port, programs
from replicas import Client, Replica

EXPECTED = Path(__file__).with_name("expected.txt")
# What a replica does with the request, and how the balancer's connection was before.
EVENTS = {
    "the connection, kept, ends instead of an answer; it is the client's first request": ("end", "first", 1),
    "the connection, kept, ends instead of an answer": ("end", "kept", 1),
    "the connection, new, ends instead of an answer": ("end", "new", 1),
    "the connection ends, at every try": ("end", "kept", 99),
    "no answer in time": ("silence", "kept", 1),
    "an answer of 503": ("503", "kept", 1),
}
AFTER = 10
# Cases under way: with all of them a busy machine takes longer for an answer than the balancers wait.
AT_ONCE = 8


async def one(front, replicas, method, event):
    """A line: what the client saw, arrivals, and how many of the requests after it failed."""
    lose, connection, count = event
    client, helper = Client(front.port), Client(front.port)
    warm = helper if connection == "first" else client
    connection = "kept" if connection == "first" else connection
    for each in replicas:
        each.closing = connection == "new"
        each.lose, each.left = None, [0]
        each.arrived.clear()
    # Kept connections to both, or none to either, and one of the client's that is not at its first request.
    for _ in range(6):
        seen = await warm.ask("POST", "/warm")
        assert seen == "200", f"warming up: {seen}; {front.log.read_text()[-800:]}"
    # One count for both: the loss falls on the replica that the request comes to first.
    left = [count]
    for each in replicas:
        each.lose, each.left = lose, left
    seen = await client.ask(method, "/lost")
    arrived = sorted(kind for each in replicas for kind in each.arrived)
    for each in replicas:
        each.lose = None
    failed = [await helper.ask("POST", "/after") for _ in range(AFTER)]
    client.close(), helper.close()
    bad = [status for status in failed if status != "200"]
    # Where each looks: access logs are written a moment later.
    told = await told_of(front, seen)
    tries = ", ".join(f"{arrived.count(kind)} {kind}" for kind in ("kept", "new") if kind in arrived)
    return f"{method:4}  client: {seen:9}  tries: {tries:16}  then failed: {len(bad)} of {AFTER}  {told}"


async def told_of(front, seen):
    """Whether the balancer tells of it: polled for a while, since logs are written late, and some never."""
    told = await asyncio.to_thread(front.told)
    for _ in range(15):
        if told["logged"] or seen == "200":
            break
        await asyncio.sleep(0.1)
        told = await asyncio.to_thread(front.told)
    words = [f"{name}: {'yes' if value else 'no'}" for name, value in told.items() if value is not None]
    return "  ".join(words)


async def refused(front, replicas, method):
    """One of the two is gone: its port refuses."""
    client = Client(front.port)
    for each in replicas:
        each.closing, each.lose = False, None
    assert await client.ask("POST", "/warm") == "200", "warming up"
    await replicas[0].stop()
    seen = [await client.ask(method, "/gone") for _ in range(AFTER)]
    await replicas[0].start()
    bad = [status for status in seen if status != "200"]
    return f"{method:4}  failed: {len(bad)} of {AFTER} {sorted(set(bad)) or ''}".rstrip()


async def both(front, replicas, method):
    """Each of the two loses one request on a kept connection; then both are well."""
    client, helper = Client(front.port), Client(front.port)
    for each in replicas:
        each.closing, each.lose, each.left = False, None, [0]
    for _ in range(6):
        assert await client.ask("POST", "/warm") == "200", "warming up"
    for each in replicas:
        each.lose, each.left = "end", [1]
    # Requests until both have lost one; each is sent once.
    seen = []
    while any(each.left[0] for each in replicas) and len(seen) < 10:
        seen.append(await client.ask(method, "/lost"))
    failed = [await helper.ask("POST", "/after") for _ in range(AFTER)]
    client.close(), helper.close()
    bad = [status for status in failed if status != "200"]
    return f"{method:4}  client: {' '.join(seen):20}  then failed: {len(bad)} of {AFTER}"


async def away(front, replicas, method):
    """One after the other is away for some requests, and comes back: a rolling restart. Then both are well."""
    client = Client(front.port)
    for each in replicas:
        each.closing, each.lose = False, None
    assert await client.ask("POST", "/warm") == "200", "warming up"
    during = []
    for each in replicas:
        await each.stop()
        during += [await client.ask(method, "/gone") for _ in range(4)]
        await each.start()
    failed = [await client.ask(method, "/after") for _ in range(AFTER)]
    client.close()
    during, bad = ([status for status in some if status != "200"] for some in (during, failed))
    return f"{method:4}  failed meanwhile: {len(during)} of 8  then failed: {len(bad)} of {AFTER}"


OTHERS = {
    "each of two replicas ends one kept connection": both,
    "one of two replicas refuses connections": refused,
    "each of two replicas is away in turn, and back": away,
}


async def fresh(turns, name, program, form, case, *arguments):
    """Each case has a balancer of its own: what it remembers is not the next one's."""
    replicas = [Replica(free_port()), Replica(free_port())]
    async with turns:
        for each in replicas:
            await each.start()
        return await within(name, program, form, case, replicas, *arguments)


async def within(name, program, form, case, replicas, *arguments):
    with tempfile.TemporaryDirectory(prefix="balancer-") as folder:
        Path(folder).chmod(0o755)
        front = Front(name, program, form, Path(folder))
        await asyncio.to_thread(front.start, replicas)
        try:
            return await case(front, replicas, *arguments)
        finally:
            await asyncio.to_thread(front.stop)
            for each in replicas:
                await each.stop()


async def section(turns, name, program, form):
    """All lines of one balancer in one form."""
    cases = [(title, one, (event,)) for title, event in EVENTS.items()]
    cases += [(title, case, ()) for title, case in OTHERS.items()]
    asked = (fresh(turns, name, program, form, case, method, *more) for _, case, more in cases for method in ("GET", "POST"))
    results = await asyncio.gather(*asked)
    lines = [f"[{name}, {form}]"]
    for number, (title, *_) in enumerate(cases):
        lines += [f"  {title}", *(f"    {line}" for line in results[2 * number : 2 * number + 2])]
    return lines


async def checks(front, replicas):
    """How often a replica is checked every 0.2 s where nothing is asked: once, or again and again."""
    await asyncio.sleep(2)
    counts = [each.checks for each in replicas]
    return f"    interval 0.2s, no request for 2 s: checked {'once' if counts == [1, 1] else 'all the time' if min(counts) > 3 else counts}"


async def idle(turns, name, program):
    lines = ["[envoy-1.40, checks]"]
    for form in ("usual", "documented"):
        lines += [f"  {form}", await fresh(turns, name, program, f"checked, {form}", checks)]
    return lines


async def both_forms(name, program):
    turns = asyncio.Semaphore(AT_ONCE)
    more = [idle(turns, name, program)] if name.startswith("envoy") else []
    return await asyncio.gather(*(section(turns, name, program, form) for form in ("usual", "documented")), *more)


def asked(name, program, sections):
    """The sections of one balancer. What differs from `sections` is asked once more: on a busy machine an answer may be late."""
    why = "it differs"
    try:
        found = asyncio.run(both_forms(name, program))
        if sections is None or all(sections.get(lines[0]) == "\n".join(lines) for lines in found):
            return found
    except AssertionError as error:
        why = error
    print(f"battery: {name} is asked once more: {why}", flush=True)
    return asyncio.run(both_forms(name, program))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--later")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    sections = {}
    for block in EXPECTED.read_text().split("\n\n") if EXPECTED.exists() else []:
        sections[block.split("\n")[0]] = block.strip("\n")
    wrong = []
    for name, program in programs(options.later).items():
        if options.names and name not in options.names:
            continue
        if not program:
            sys.exit(f"battery: {name} is missing; run: make tools")
        for lines in asked(name, program, None if options.update else sections):
            text = "\n".join(lines)
            if options.update:
                sections[lines[0]] = text
                print(text, flush=True)
            elif sections.get(lines[0]) != text:
                wrong.append(name)
                print(f"battery: differs from {EXPECTED.name}; it has\n{sections.get(lines[0])}\nand it is\n{text}", flush=True)
            else:
                print(f"battery: {lines[0]} is as expected", flush=True)
            if options.update:
                EXPECTED.write_text("\n\n".join(sections[key] for key in sorted(sections)) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
