#!/usr/bin/env python3
"""The comparison and the growth table, by tests/perf/run.py; see tests/bench/run."""
import json, os, statistics, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PERF = os.path.join(HERE, "..", "perf")
PEER = os.environ.get("PEER", "haproxy")
ROUNDS = os.environ.get("ROUNDS", "3")
SECS = os.environ.get("SECS", "4")
GATEWAY = "gateway"

# scenario, figure, what it is compared with ("": it is an aim by itself), the aim; None: only told.
AIMS = [
    ("json_h1", "cpu_us", "nginx", 0.95),
    ("json_tls1", "cpu_us", "nginx", 0.95),
    ("json_h2", "cpu_us", "nginx", 0.95),
    ("handshake", "cpu_us", "nginx", 0.95),
    ("reject", "cpu_us", "nginx", 1.0),
    ("sse_1000", "cpu_us", PEER, 0.9),
    ("sse_1000", "kb_per_stream", "", 6),
    ("sse_1000", "first_p99_us", "", 1000),
    ("sse_5000", "cpu_us", "nginx", 0.9),
    ("idle", "kb_per_conn", "", 2),
    ("idle_tls", "kb_per_conn", "", 12),
    ("idle_tls", "idle_cpu_pct", "", 0.1),
    ("startup", "ms", "nginx", None),
    ("startup", "rss_mb", "", None),
    ("reload", "accepted_ms", "", 30),
    ("upload", "cpu_s_per_gb", "nginx", None),
]


def run(targets, scenarios, *more, **env):
    """The measurements of one run of the lab."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        argv = [os.path.join(PERF, "run.py"), "--target", targets, "--scenario", scenarios, "--rounds", ROUNDS,
                "--secs", SECS, "--json", out.name, *more]
        # What fails is missing below, and told.
        subprocess.run(argv, cwd=PERF, env=dict(os.environ, **env), stdout=subprocess.DEVNULL)
        try:
            return json.load(open(out.name))
        except ValueError:
            sys.exit("nothing was measured")


def figures(result, scenario, target, field):
    rows = result["scenarios"].get(scenario, {}).get(target, [])
    return [row.get(field) for row in rows]


def shown(value):
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"


def compare(gate):
    scenarios = os.environ.get("SCENARIOS") or ",".join(dict.fromkeys(aim[0] for aim in AIMS))
    # Everything on: bodies checked field by field, one line of log a request, on both sides.
    result = run(f"./{GATEWAY},nginx,{PEER}", scenarios, BODY="checked", ACCESS_LOG="on")
    print(f"{result['date']}, {result['cpu']}, {result['cores']} cores, kernel {result['kernel']}, one worker, access log on, "
          f"bodies checked, {ROUNDS} rounds of {SECS} s")
    for name, version in result["versions"].items():
        print(f"  {name}: {' '.join(version.split()[:8])}")
    print(f"\n| | flowgate | nginx | {PEER} | flowgate / peer | spread | aim | |\n|---|---|---|---|---|---|---|---|")
    missed = asked = 0
    for scenario, field, peer, aim in AIMS:
        if scenario not in result["scenarios"]:
            continue
        asked += aim is not None
        own = figures(result, scenario, GATEWAY, field)
        if not [x for x in own if x is not None]:
            print(f"| {scenario}: {field} | - | | | | | | not measured |")
            missed += aim is not None
            continue
        medians = [statistics.median(v) if (v := [x for x in figures(result, scenario, t, field) if x is not None]) else None
                   for t in (GATEWAY, "nginx", PEER)]
        # Round by round: neighbours in time are compared.
        values = [a / b for a, b in zip(own, figures(result, scenario, peer, field)) if a and b] if peer else \
            [x for x in own if x is not None]
        value = statistics.median(values) if values else None
        is_met = aim is None or (value is not None and value <= aim)
        missed += not is_met
        cells = [shown(x) if x is not None else "-" for x in medians]
        ratio = f"{shown(value)} x {peer}" if peer and value is not None else ""
        spread = f"{shown(min(values))} to {shown(max(values))}" if values else "-"
        verdict = "" if aim is None else "met" if is_met else "missed"
        print(f"| {scenario}: {field} | {' | '.join(cells)} | {ratio} | {spread} | {'' if aim is None else f'<= {aim}'} | {verdict} |")
    if missed:
        print(f"\n{missed} of {asked} aims missed")
    return 1 if gate and missed else 0


# What grows, the steps, the scenario, the figure, and how a step is run.
GROWTH = [
    ("workers", [1, 2], "json_h1", ["rps", "cpu_us"], lambda n: (["--workers", str(n), "--no-pin"], {})),
    ("keys", [1, 100, 10_000, 100_000], "json_h1", ["cpu_us"], lambda n: (["--keys", str(n)], {})),
    ("keys", [1, 100, 10_000, 100_000], "startup", ["ms", "rss_mb"], lambda n: (["--keys", str(n)], {})),
    ("streams", [1, 1000, 5000, 9500], "sse_{}", ["cpu_us", "kb_per_stream"], lambda n: ([], {})),
    ("chatflows", [1, 50, 500], "json_h1", ["cpu_us"], lambda n: ([], {"CHATFLOWS": str(n)})),
    ("chatflows", [1, 50, 500], "startup", ["ms", "rss_mb"], lambda n: ([], {"CHATFLOWS": str(n)})),
    ("body, bytes", [1_000, 10_000, 100_000, 1_000_000], "json_h1", ["cpu_us"], lambda n: (["--body", str(n)], {})),
]


def scale():
    print("| what grows | " + "steps | figure | at each step |\n|---|---|---|---|")
    for what, steps, scenario, fields, options in GROWTH:
        results = []
        for step in steps:
            more, env = options(step)
            name = scenario.format(step)
            results.append((name, run(f"./{GATEWAY}", name, *more, BODY="checked", **env)))
        for field in fields:
            values = []
            for name, result in results:
                found = [x for x in figures(result, name, GATEWAY, field) if x is not None]
                values.append(shown(statistics.median(found)) if found else "-")
            print(f"| {what} | {', '.join(map(str, steps))} | {scenario.split('_{')[0]}: {field} | {', '.join(values)} |", flush=True)
    return 0


if __name__ == "__main__":
    known = {"--gate", "--scale"}
    if set(sys.argv[1:]) - known:
        sys.exit(__doc__ + "options: " + ", ".join(sorted(known)))
    sys.exit(scale() if "--scale" in sys.argv else compare("--gate" in sys.argv))
