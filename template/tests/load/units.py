"""The parts of the load tests that can be wrong without a run failing: parsing, judging, drawing, the command line."""

import contextlib
import importlib.machinery
import io
import sys
import tempfile
import types
import unittest
from pathlib import Path

GATE = Path(__file__).resolve().parents[3] / "crates/chassis/gate/load"
sys.path.insert(0, str(GATE))
sys.dont_write_bytecode = True

import command_line
import fleet
import k6
import plots
import relay
import report
import samples
import scenarios

METRICS = """# HELP http_server_active_requests x
http_server_request_duration_seconds_count{http_route="/whoami",http_response_status_code="200"} 7
http_server_request_duration_seconds_count{http_route="/v1/rates",http_response_status_code="200"} 3
http_server_active_requests 2
http_server_connections 5
process_resident_memory_bytes 15728640
process_open_fds 22
process_cpu_seconds_total 4
overload_shed_total{pool="io",reason="queue_full"} 1
overload_shed_total{pool="work",reason="queue_full"} 8
overload_limit{pool="io"} 2048
overload_limit{pool="work"} 4
overload_in_flight{pool="io"} 9
overload_in_flight{pool="work"} 3
lifecycle_phase{phase="draining"} 0
lifecycle_phase{phase="ready"} 1
"""


class Samples(unittest.TestCase):
    def test_series_of_a_metric_are_added_up(self):
        seen = samples.parse(METRICS)
        self.assertEqual((seen["requests"], seen["shed"], seen["active"], seen["memory"]), (10, 9, 2, 15 * 2**20))
        self.assertEqual((seen["limit"], seen["admitted"], seen["phase"]), (4, 3, "ready"))

    def test_a_metric_that_is_gone_is_an_error_and_no_flat_line(self):
        for metric in ("http_server_connections 5\n", "process_open_fds 22\n", 'overload_limit{pool="work"} 4\n'):
            with self.assertRaisesRegex(ValueError, metric.split("{")[0].split(" ")[0]):
                samples.parse(METRICS.replace(metric, ""))
        with self.assertRaisesRegex(ValueError, "lifecycle_phase"):
            samples.parse(METRICS.replace('{phase="ready"} 1', '{phase="ready"} 0'))

    def test_an_idle_replica_has_no_requests_yet(self):
        idle = "\n".join(line for line in METRICS.splitlines() if "duration" not in line)
        self.assertEqual(samples.parse(idle)["requests"], 0)

    def test_a_replica_that_starts_has_no_metrics_of_its_server_yet(self):
        text = "\n".join(line for line in METRICS.splitlines() if not line.startswith(("http_", "overload_")))
        self.assertEqual(samples.parse(text.replace('phase="ready"', 'phase="starting"'))["phase"], "starting")
        with self.assertRaisesRegex(ValueError, "http_server_connections"):
            samples.parse(text)

    def test_shares_are_what_replicas_counted_since_over_a_restart_too(self):
        asked = samples.Sampler({})
        asked.of = {
            "replica-0": [{"at": at, "requests": count} for at, count in ((0, 5), (1, 9), (2, 3), (3, 4))],
            "replica-1": [{"at": 2, "phase": "away"}, {"at": 3, "requests": 7}],
        }
        self.assertEqual(asked.shares(0, 4), {"replica-0": 4 + 3 + 1, "replica-1": 0})


class Counting(unittest.TestCase):
    LINE = b'{"target":"access","http.route":"/whoami","user_agent.original":"%s"}\n'

    def test_a_replica_counts_its_lines_of_the_load_alone(self):
        with tempfile.NamedTemporaryFile() as log:
            log.write(2 * (self.LINE % b"load-tests") + self.LINE % b"Python-urllib/3.11" + b'{"target":"listener"}\n')
            log.flush()
            self.assertEqual(fleet.Replica.served(types.SimpleNamespace(log=Path(log.name))), 2)

    def test_what_clients_were_answered_and_a_replica_logs(self):
        trace = k6.Trace()
        for status, name in (("200", "/x"), ("0", "/x"), ("200", "/healthz"), ("200", "http://a:8080/healthz"), ("503", "/x")):
            trace.request({"metric_value": "1", "status": status, "scenario": "s", "error_code": "", "name": name, "timestamp": 1})
        self.assertEqual(trace.answered, 2)

    def test_a_request_that_was_processed_twice_fails_the_run(self):
        runner = importlib.machinery.SourceFileLoader("run", str(GATE / "run")).load_module()
        runner.COUNT_SECONDS = 0
        for served, early, holds in ((7, False, True), (8, False, False), (6, False, False), (8, True, True), (10, True, False)):
            run = fake(0)
            run.now = runner.Run.now
            run.options = types.SimpleNamespace(setting={}, clients=2)
            run.k6, run.trace = types.SimpleNamespace(ended_early=early), types.SimpleNamespace(answered=7)
            run.fleet = types.SimpleNamespace(served=lambda served=served: served)
            runner.Run.count(run)
            self.assertEqual(run.checks[0][3], holds, (served, early))

    def test_nothing_is_compared_where_a_setting_changes_the_lines(self):
        runner = importlib.machinery.SourceFileLoader("run", str(GATE / "run")).load_module()
        for name in ("ACCESS_LOG", "LOG_FILTER", "LOG_FORMAT"):
            options = types.SimpleNamespace(setting={f"APP__TELEMETRY__{name}": "x"})
            run = types.SimpleNamespace(options=options, fleet=object(), checks=[])
            runner.Run.count(run)
            self.assertEqual(run.checks, [], name)

    def test_the_relay_loses_each_nth_of_each_method(self):
        lossy = relay.Relay(0, 3)
        asked = [lossy.loses(method) for method in (b"GET", b"POST", b"GET", b"POST", b"GET", b"POST")]
        self.assertEqual(asked, [False] * 4 + [True] * 2)


class Traces(unittest.TestCase):
    def test_rows_of_k6_become_columns(self):
        trace = k6.Trace()
        row = {"metric_value": "12.5", "status": "503", "scenario": "flood", "error_code": "1503", "name": "/x"}
        trace.request({**row, "timestamp": "1000500"})
        trace.request({**row, "timestamp": "1002500", "status": "0", "error_code": "1212"})
        trace.answer({"extra_tags": "replica=replica-1", "timestamp": "1000100"})
        self.assertEqual(list(trace.between(1000, 1001, "flood")), [(503, 12.5)])
        self.assertEqual(list(trace.between(1000, 1003, "after")), [])
        self.assertEqual(trace.errors, {("/x", "503", "1503"): 1, ("/x", "0", "1212"): 1})
        self.assertEqual((trace.shares(1000, 1001), trace.shares(1001, 1002)), ({"replica-1": 1}, {"replica-1": 0}))

    def test_percentiles(self):
        self.assertEqual([k6.percentile([], 0.9), k6.percentile([1, 2, 3, 4], 0.5), k6.percentile([1, 2], 1)], [0, 3, 2])


class Drawing(unittest.TestCase):
    def test_axes_end_at_or_above_the_largest_value(self):
        for value in (0.0004, 0.3, 1, 1.01, 7, 9, 99, 101, 940, 12_345, 99_999):
            self.assertTrue(value * 0.999 <= plots.nice(value) <= value * 2.6 + 0.001, value)

    def test_a_gap_lifts_the_pen(self):
        drawn = plots.path(plots.Axes(10, 10), [(0, 1), (1, 2), (2, None), (3, 4), (4, 5)])
        self.assertEqual(drawn.count("M"), 2)

    def test_growth_over_a_restart_is_none(self):
        steady = [(at, float(at // 2)) for at in range(12)]
        self.assertEqual(report.slopes(steady)[3][1], None)
        self.assertAlmostEqual(report.slopes(steady)[11][1], 0.4, delta=0.2)
        restarted = steady[:8] + [(8, None), (9, 0.0), (10, 1.0)]
        self.assertEqual([value for _, value in report.slopes(restarted)][8:], [None, None, None])


class Judging(unittest.TestCase):
    """Each scenario's own judgement, on a run that is made up."""

    def test_a_leak_fails_the_soak(self):
        for late, holds in ((21.0, True), (60.0, False)):
            run = fake(seconds=100)
            run.samples.of = {"replica-0": [sample(at, 20.0 if at < 80 else late) for at in range(0, 100, 2)]}
            scenarios.soak(run)
            self.assertEqual([check[3] for check in run.checks], [holds, True])

    def test_too_short_a_soak_is_no_pass(self):
        run = fake(seconds=100)
        run.samples.of = {"replica-0": []}
        with self.assertRaisesRegex(Exception, "too few samples"):
            scenarios.soak(run)


    def test_the_overload_is_judged_by_goodput_refusals_and_their_haste(self):
        for good, refused, took, verdicts in (
            (45, 200, 60, [True, True, True]),
            (20, 200, 60, [False, True, True]),
            (45, 10, 60, [True, False, True]),
            (45, 200, 400, [True, True, False]),
        ):
            with self.subTest(good=good, refused=refused, took=took):
                run = overloaded(good, refused, took)
                scenarios.overload(run)
                self.assertEqual([check[3] for check in run.checks], verdicts)

    def test_no_capacity_is_no_verdict(self):
        run = overloaded(0, 0, 0)
        run.trace = k6.Trace()
        with self.assertRaisesRegex(Exception, "no capacity"):
            scenarios.overload(run)

    def test_shares_are_judged_by_what_the_balancer_can_do(self):
        for age, algorithm, share, verdict in (
            (2.0, "roundrobin", 0.45, True),
            (2.0, "roundrobin", 0.3, False),
            (2.0, "random(1)", 0.3, True),
            (0.0, "roundrobin", 0.0, True),
            (0.0, "roundrobin", 0.3, False),
        ):
            run = fake(0)
            run.age, run.options = age, types.SimpleNamespace(algorithm=algorithm)
            run.fleet, run.note = types.SimpleNamespace(add=lambda *_: 0), None
            run.shares = lambda *_, share=share: {"replica-0": 1 - share, "replica-1": share}
            scenarios.to_two(run, 2.0)
            self.assertEqual(run.checks[0][3], verdict, (age, algorithm, share))


def overloaded(good, refused, took):
    """50 good answers a second for 10 s, and then 20 s with so many good and refused ones a second."""
    run, trace = fake(20), k6.Trace()
    row = {"error_code": "", "name": "/v1/work"}
    for at in range(100, 110):
        for _ in range(50):
            trace.request({**row, "metric_value": "80", "status": "200", "scenario": "capacity", "timestamp": at * 1000})
    for at in range(200, 220):
        for status, count, each in ((200, good, 80), (503, refused, took), (200, 5, 900)):
            for _ in range(count):
                trace.request({**row, "metric_value": each, "status": status, "scenario": "flood", "timestamp": at * 1000})
    starts = iter((100, 200))
    run.trace, run.replicas, run.note = trace, 2, lambda *_: None
    run.options = types.SimpleNamespace(factor=5.0)
    run.load = lambda *_, **__: next(starts)
    return run


def sample(at, mebibytes):
    return {"at": at, "memory": mebibytes * 2**20, "files": 20}


def fake(seconds):
    run = types.SimpleNamespace(name="soak", seconds=seconds, rate=1, checks=[], samples=samples.Sampler({}))
    run.load, run.finish = lambda *_, **__: 0, lambda: None
    run.check = lambda *check: run.checks.append(check)
    return run


class CommandLine(unittest.TestCase):
    REFUSED = {
        "": "the following arguments are required: SCENARIO",
        "nothing": "invalid choice: 'nothing'",
        "steady --duration 5": "expected a duration such as 500ms, 10s or 30m, and not '5'",
        "steady --rate 0": "expected a whole number above 0, and not '0'",
        "steady --url localhost": "expected http://host:port, and not 'localhost'",
        "steady --lose 0": "expected a whole number above 0, and not '0'",
        "steady --url http://x --lose 3": "--lose is for a fleet on this machine",
        "steady --url http://x --replicas 3": "--replicas is for a fleet on this machine",
        "balance --url http://x": "balance needs a fleet on this machine",
        "drain --url http://x": "drain with --url needs --during COMMAND",
        "soak --url http://x": "soak with --url needs the --admin URL",
        "steady --admin http://x": "--admin needs --url",
        "steady --url http://x --during true": "--during is for drain and scale-out",
        "steady --to 5": "--to is for scale-out",
        "scale-out --replicas 4 --to 4": "--to 4 has to be more than the 4 replicas",
        "balance --replicas 2": "leave out --replicas",
        "balance --rate 5": "balance takes its time from --age",
        "balance --age 200ms": "--age has to be 1s at least",
        "steady --age 5s": "--age is for balance",
        "steady --fault 503": "expected one rule, a JSON object",
        "steady --fault {": "expected a rule as JSON",
        "steady --setting SERVER=1": "expected APP__SECTION__KEY=VALUE",
        "steady --balancer iptables": "invalid choice: 'iptables'",
        "steady --balancer nginx --algorithm random": "nginx takes roundrobin",
        "overload --factor 1": "--factor has to be 1.5 at least",
        "steady --server /nothing/here": "/nothing/here is no program",
        "steady --report /nothing/here/x.html": "there is no folder /nothing/here",
        "all --report x.html": "--report is for one scenario",
    }

    def test_what_is_wrong_is_named_and_ends_with_2(self):
        for line, message in self.REFUSED.items():
            with self.subTest(line), contextlib.redirect_stderr(io.StringIO()) as said:
                with self.assertRaises(SystemExit) as ended:
                    command_line.parse(line.split())
                self.assertEqual(ended.exception.code, 2)
                self.assertIn(message, said.getvalue())

    def test_what_is_right_is_taken(self):
        options = command_line.parse("balance --age 0s --algorithm leastconn --setting APP__SERVER__BACKLOG=9".split())
        self.assertEqual((options.age, options.setting), (0.0, {"APP__SERVER__BACKLOG": "9"}))
        self.assertEqual((command_line.parse(["balance", "--quick"]).age, command_line.parse(["all"]).age), (2.0, 10.0))


if __name__ == "__main__":
    unittest.main(verbosity=1)
