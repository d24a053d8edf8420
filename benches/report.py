"""Turns what the benchmark measured into tables and a chart."""

import html
import json

BEGIN, END = "<!-- what scripts/bench measured -->\n", "<!-- end -->\n"
READ, ASSUMED = "read role", "issue assumed role"
ISSUE, REVOKE = "issue full role", "revoke full role"
ISSUE_ONE, REVOKE_ONE = "issue one-policy role", "revoke one-policy role"
OPERATIONS = (READ, ISSUE, REVOKE, ISSUE_ONE, REVOKE_ONE, ASSUMED)


class Measured:
    """One plugin's results."""

    def __init__(self, results):
        self.all = results
        self.cases = {
            (case["operation"], case["delay_ms"], case["clients"]): case for case in results["cases"]
        }

    def case(self, operation, delay, clients):
        return self.cases.get((operation, delay, clients))

    def value(self, operation, delay, clients, name):
        case = self.case(operation, delay, clients)
        return case and case[name]

    def round_trips(self, operation):
        """How many calls to AWS follow one another: what each call's delay adds to the latency."""
        delays = [delay for what, delay, clients in self.cases if what == operation and clients == 1]
        if len(delays) < 2:
            return None
        longest = max(delays)
        slow, fast = (self.value(operation, delay, 1, "p50_ms") for delay in (longest, min(delays)))
        return (slow - fast) / (longest - min(delays))

    def calls(self, operation):
        """Calls to AWS, without the repetitions that throttling or doubt cause under load."""
        calls = [case["calls"] for (what, _, clients), case in self.cases.items()
                 if what == operation and clients == 1]
        return sum(calls[0].values()) if calls else None

    def busy(self, operation):
        """Microseconds of processor time where the machine is busiest."""
        clients = [clients for what, delay, clients in self.cases if (what, delay) == (operation, 0)]
        return self.value(operation, 0, max(clients), "cpu_us") if clients else None

    def start(self, name):
        return self.all["start"] and self.all["start"][name]

    def memory(self, mounts, name):
        found = [memory[name] for memory in self.all["memory"] if memory["mounts"] == mounts]
        return found[0] / 1024 if found else None

    def storm(self, limited):
        found = [storm for storm in self.all["storms"] if bool(storm["limit"]) == limited]
        return found[0] if found else None


def measured(results):
    return [Measured(plugin) for plugin in results["plugins"]]


def failures(results):
    """What went wrong, in sentences."""
    found = []
    for plugin in results["plugins"]:
        for case in plugin["cases"]:
            if case["failures"]:
                found.append(
                    f"{plugin['name']}, {case['operation']}, {case['delay_ms']} ms, "
                    f"{case['clients']} clients: {case['failures']} failed: {case['failure']}"
                )
        for storm in plugin["storms"]:
            if storm["users_left"] > storm["lost"]:
                found.append(
                    f"{plugin['name']}, storm of {storm['leases']}: "
                    f"{storm['users_left']} users left in AWS, {storm['lost']} leases lost"
                )
    return found


# --- tables ---------------------------------------------------------------------------------


def tables(results, names):
    plugins = measured(results)
    titles = [names[plugin["name"]] for plugin in results["plugins"]]
    parts = [about(results), overview(plugins, titles), latencies(plugins, titles), storms(plugins, titles)]
    if len(plugins) > 1:
        parts.append(aims(plugins[0], plugins[1], names["peer"]))
    return "\n".join(part for part in parts if part)


def about(results):
    machine, stand_in = results["machine"], results["stand_in"]
    lines = [
        f"{machine['cores']} cores of {machine['processor']}, {machine['memory']}, "
        f"Linux {machine['kernel']}. Host: {results['host']}."
    ]
    if stand_in:
        lines.append(
            f"The simulated AWS by itself: {stand_in['p50_ms']:.2f} ms for one client, "
            f"{stand_in['calls_per_second']:,.0f} calls a second for 64."
        )
    if results["quick"]:
        lines.append("**A quick run: few repetitions, not for quoting.**")
    return "\n".join(lines) + "\n"


def overview(plugins, titles):
    rows = []

    def row(what, form, values):
        if any(value is not None for value in values):
            shown = [form.format(value) if value is not None else "" for value in values]
            rows.append([what, *shown, ratio(values)])

    def each(value):
        return [value(plugin) for plugin in plugins]

    row("binary, MB", "{:.1f}", each(lambda plugin: plugin.all["binary_bytes"] / 1e6))
    for name, title in (("p50_ms", "p50"), ("p95_ms", "p95")):
        row(f"process start to handshake line, {title}, ms", "{:.1f}",
            each(lambda plugin: plugin.start(name)))
    for mounts in (1, 100):
        for name, title in (("idle", "idle"), ("loaded", "loaded, peak"), ("settled", "after load")):
            row(f"memory (PSS), {mounts} mount{'s' * (mounts > 1)}, {title}, MiB", "{:.1f}",
                each(lambda plugin: plugin.memory(mounts, f"{name}_kib")))
    for operation in OPERATIONS:
        row(f"plugin CPU, {operation}, µs", "{:,.0f}", each(lambda plugin: plugin.busy(operation)))
    for operation in OPERATIONS[1:]:
        row(f"AWS calls, {operation}", "{:.0f}", each(lambda plugin: plugin.calls(operation)))
        row(f"round trips to AWS, {operation}", "{:.2f}",
            each(lambda plugin: plugin.round_trips(operation)))
    return grid(["", *titles, *ratio_title(titles)], rows)


def latencies(plugins, titles):
    cases = sorted(
        plugins[0].cases, key=lambda case: (OPERATIONS.index(case[0]), case[1], case[2])
    )
    if not cases:
        return ""
    rows = []
    for operation, delay, clients in cases:
        found = [plugin.case(operation, delay, clients) for plugin in plugins]
        values = [
            f"{case['p50_ms']:,.1f} / {case['p95_ms']:,.1f} / {case['p99_ms']:,.1f} · "
            f"{case['per_second']:,.0f}" + (" ⚠" if case["failures"] else "")
            for case in found
        ]
        rows.append([operation, str(delay), str(clients), *values,
                     ratio([case["p50_ms"] for case in found])])
    heads = ["", "ms per AWS call", "clients", *titles, *ratio_title(titles)]
    title = "Latency in ms, p50 / p95 / p99, and operations a second:\n\n"
    return title + grid(heads, rows, texts=1)


def storms(plugins, titles):
    rows = []
    for limited in (False, True):
        found = [plugin.storm(limited) for plugin in plugins]
        if not all(found):
            continue
        storm = found[0]
        name = f"{storm['leases']} leases, " + (
            f"IAM takes {storm['limit']} calls/s" if limited else "no limit"
        )
        for what, form, value in (
            ("all done, s", "{:.1f}", lambda storm: storm["done_s"]),
            ("every key dead, s", "{:.1f}", lambda storm: storm["keys_dead_s"]),
            ("calls to AWS", "{:,.0f}", lambda storm: storm["calls"]),
            ("of them refused, %", "{:.1f}", refused_share),
            ("leases the host gave up", "{}", lambda storm: storm["lost"]),
            ("plugin CPU, s", "{:.2f}", lambda storm: storm["cpu_s"]),
        ):
            values = [value(storm) for storm in found]
            rows.append([f"{name}: {what}", *map(form.format, values), ratio(values)])
    return rows and grid(["Revoking a prefix", *titles, *ratio_title(titles)], rows)


def refused_share(storm):
    return 100 * storm["refused"] / max(1, storm["calls"])


def ratio_title(titles):
    return ["ratio"] if len(titles) > 1 else []


def ratio(values):
    """How many times as much the second one takes."""
    if len(values) < 2 or None in values:
        return ""
    return f"{values[1] / values[0]:.1f}×" if values[0] else "–"


def grid(heads, rows, texts=1):
    width = len(heads)
    lines = [heads, [":--"] * texts + ["--:"] * (width - texts), *(row[:width] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


# --- aims -----------------------------------------------------------------------------------


def aims(ours, peer, name):
    """What this plugin is meant to reach beside that of Vault 1.21.1, on two cores."""
    rows = []

    def aim(what, value, bound, form="{:.2f}", least=False):
        if value is not None:
            reached = value >= bound if least else value <= bound
            sign = "≥" if least else "≤"
            rows.append([what, form.format(value), f"{sign} {form.format(bound)}",
                         "yes" if reached else "**no**"])

    def part(mine, theirs):
        return mine / theirs if mine is not None and theirs else None

    def at_50(plugin, operation, percentile="p50_ms"):
        return plugin.value(operation, 50, 1, percentile)

    for operation, trips, times in ((ISSUE, 2.2, 3.7), (REVOKE, 2.2, 5)):
        aim(f"{operation}: round trips", ours.round_trips(operation), trips)
        aim(f"{operation}: times faster, 50 ms, 1 client",
            part(at_50(peer, operation), at_50(ours, operation)), times, least=True)
        aim(f"{operation}: p99 to p50, 50 ms, 1 client",
            part(at_50(ours, operation, "p99_ms"), at_50(ours, operation)), 1.3)
        aim(f"{operation}: AWS calls", ours.calls(operation), 7, "{:.0f}")
    aim(f"{ASSUMED}: round trips", ours.round_trips(ASSUMED), 1.1)
    for operation, bound in ((ISSUE, 1 / 3), (READ, 1 / 4), (ASSUMED, 1 / 3)):
        aim(f"{operation}: plugin CPU, part of {name}",
            part(ours.busy(operation), peer.busy(operation)), bound)
    aim("process start, ms", ours.start("p50_ms"), 6, "{:.1f}")
    for mounts in (1, 100):
        for state in ("idle", "loaded"):
            aim(f"memory, {mounts} mount{'s' * (mounts > 1)}, {state}, part of {name}",
                part(ours.memory(mounts, f"{state}_kib"), peer.memory(mounts, f"{state}_kib")), 1 / 4)
    aim("binary, MB", ours.all["binary_bytes"] / 1e6, 10, "{:.1f}")
    if (free := ours.storm(False)) and (theirs := peer.storm(False)):
        aim(f"storm of {free['leases']}: time, part of {name}",
            part(free["done_s"], theirs["done_s"]), 1 / 2)
    if limited := ours.storm(True):
        # Seven calls a lease, of which one ends its key, at the rate that IAM takes.
        storm = f"storm of {limited['leases']} at {limited['limit']} calls/s"
        key = limited["leases"] / limited["limit"]
        aim(f"{storm}: done, s", limited["done_s"], 1.15 * 7 * key, "{:.1f}")
        aim(f"{storm}: every key dead, s", limited["keys_dead_s"], 1.5 * key, "{:.1f}")
        aim(f"{storm}: refused, %", refused_share(limited), 5, "{:.1f}")
        aim(f"{storm}: leases lost", limited["lost"], 0, "{}")
    return grid(["Aim", "measured", "wanted", "reached"], rows)


# --- chart ----------------------------------------------------------------------------------

COLOURS = {"product": "#b7410e", "peer": "#8a9aa9"}
WIDTH, LEFT, BAR, GAP = 860, 190, 13, 9


def chart(results, names):
    plugins = measured(results)
    panels = [
        ("Latency of one client at 50 ms per AWS call, p50, ms", [
            (operation, [plugin.value(operation, 50, 1, "p50_ms") for plugin in plugins])
            for operation in OPERATIONS[1:]
        ]),
        ("Plugin CPU per operation at 64 clients, µs", [
            (operation, [plugin.busy(operation) for plugin in plugins]) for operation in OPERATIONS
        ]),
        ("Memory (PSS), MiB", [
            (f"{mounts} mount{'s' * (mounts > 1)}, {state}",
             [plugin.memory(mounts, f"{state}_kib") for plugin in plugins])
            for mounts in (1, 100) for state in ("idle", "loaded")
        ]),
    ]
    kinds = [plugin["name"] for plugin in results["plugins"]]
    body, y = legend(kinds, names), 44
    for title, rows in panels:
        rows = [(name, values) for name, values in rows if None not in values]
        if not rows:
            continue
        body.append(text(16, y + 14, title, weight="bold"))
        y += 28
        most = max(value for _, values in rows for value in values)
        for name, values in rows:
            body.append(text(LEFT - 10, y + len(values) * BAR / 2 + 4, name, anchor="end"))
            for kind, value in zip(kinds, values):
                length = max(1, (WIDTH - LEFT - 90) * value / most)
                body.append(
                    f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 2}" rx="2" '
                    f'fill="{COLOURS[kind]}"/>'
                )
                shown = f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
                body.append(text(LEFT + length + 6, y + BAR - 3, shown))
                y += BAR
            y += GAP
        y += 14
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" '
        f'height="{y}" font-family="system-ui, sans-serif" font-size="12" fill="#1f2933">\n'
        f'<rect width="{WIDTH}" height="{y}" rx="6" fill="#ffffff"/>\n'
    )
    return head + "\n".join(body) + "\n</svg>\n"


def legend(kinds, names):
    found, x = [], 16
    for kind in kinds:
        found.append(f'<rect x="{x}" y="14" width="12" height="12" rx="2" fill="{COLOURS[kind]}"/>')
        found.append(text(x + 18, 24, names[kind]))
        x += 40 + 8 * len(names[kind])
    return found


def text(x, y, what, anchor="start", weight="normal"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{html.escape(what)}</text>"
    )


# --- docs -----------------------------------------------------------------------------------


def publish(docs, results, tables, chart):
    """Replaces what the last whole run left."""
    (docs / "benchmarks.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    (docs / "benchmarks.svg").write_text(chart)
    page = docs / "benchmarks.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(before + BEGIN + "\n" + tables + "\n" + END + after)
