"""Turns what the benchmark measured into tables and a chart."""

import html
import json

BEGIN, END = "<!-- what scripts/bench measured -->\n", "<!-- end -->\n"
READ, ASSUMED = "read role", "issue assumed role"
ISSUE, REVOKE = "issue full role", "revoke full role"
ISSUE_ONE, REVOKE_ONE = "issue one-policy role", "revoke one-policy role"
OPERATIONS = (READ, ISSUE, REVOKE, ISSUE_ONE, REVOKE_ONE, ASSUMED)
# What the numbers of the overview are of: milliseconds of a call to AWS, and clients.
DELAY, MANY = 50, 64


class Measured:
    """One plugin's results."""

    def __init__(self, results):
        self.all = results
        self.kind, self.title = results["name"], results["title"]
        self.cases = {
            (case["operation"], case["delay_ms"], case["clients"]): case for case in results["cases"]
        }

    def case(self, operation, delay, clients):
        return self.cases.get((operation, delay, clients))

    def value(self, operation, delay, clients, name):
        case = self.case(operation, delay, clients)
        return case and case[name]

    def alone(self, operation, name="p50_ms"):
        """Of one client, where each call to AWS takes DELAY."""
        return self.value(operation, DELAY, 1, name)

    def trips(self, operation):
        """The latency, in calls to AWS."""
        latency = self.alone(operation)
        return latency and latency / DELAY

    def calls(self, operation):
        """Calls to AWS, without the repetitions that throttling or doubt cause under load."""
        calls = self.alone(operation, "calls")
        return calls and sum(calls.values())

    def busy(self, operation, name="cpu_us"):
        """Of many clients, where AWS takes no time: when the machine is busiest."""
        return self.value(operation, 0, MANY, name)

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
    """What went wrong, each with the plugin that it went wrong with."""
    found = []
    for plugin in results["plugins"]:
        for case in plugin["cases"]:
            if case["failures"]:
                found.append((
                    plugin["name"],
                    f"{case['operation']}, {case['delay_ms']} ms, {case['clients']} clients: "
                    f"{case['failures']} failed: {case['failure']}",
                ))
        for storm in plugin["storms"]:
            if lost(storm):
                found.append((
                    plugin["name"],
                    f"storm of {storm['leases']}: "
                    f"{storm['users_left']} users left in AWS, {storm['lost']} leases lost",
                ))
        if overload := plugin["overload"]:
            if lost(overload):
                found.append((
                    plugin["name"],
                    f"overload: {overload['users_left']} users left in AWS, "
                    f"{overload['lost']} leases lost",
                ))
    return found


# --- tables ---------------------------------------------------------------------------------


def tables(results):
    plugins = measured(results)
    titles = [plugin.title for plugin in plugins]
    peer = plugins[1] if len(plugins) > 1 else None
    parts = [
        about(results),
        aims(plugins[0], peer),
        overview(plugins, titles),
        stand_in(results["stand_in"], plugins),
        latencies(plugins, titles),
        storms(plugins, titles),
        overload(plugins, titles),
        sweep(plugins[0]),
    ]
    return "\n".join(part for part in parts if part)


def about(results):
    machine = results["machine"]
    lines = [
        f"{results['date']}: {machine['cores']} cores of {machine['processor']}, "
        f"{machine['memory_kib'] / 2**20:.0f} GiB, Linux {machine['kernel']}. "
        f"Host: {results['host']}."
    ]
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
    for operation in OPERATIONS:
        row(f"host CPU, {operation}, µs", "{:,.0f}",
            each(lambda plugin: plugin.busy(operation, "host_cpu_us")))
    for operation in OPERATIONS[1:]:
        row(f"AWS calls, {operation}", "{:.1f}", each(lambda plugin: plugin.calls(operation)))
        row(f"AWS calls in a row, {operation}", "{:.1f}",
            each(lambda plugin: plugin.alone(operation, "trips")))
        row(f"latency in AWS calls, {operation}", "{:.2f}",
            each(lambda plugin: plugin.trips(operation)))
    return grid(["", *titles, *ratio_title(titles)], rows)


def stand_in(alone, plugins):
    """What the simulated AWS can do, beside what was asked of it."""
    if not alone:
        return ""
    rows = [
        [f"by itself, {case['clients']} client{'s' * (case['clients'] > 1)}",
         f"{case['p50_ms']:.2f} / {case['p95_ms']:.2f} / {case['p99_ms']:.2f}",
         f"{case['per_second']:,.0f}"]
        for case in alone
    ]
    most = max(
        case["per_second"] * sum(case["calls"].values())
        for plugin in plugins for case in plugin.cases.values()
    )
    rows.append(["the most that any case below asks of it", "", f"{most:,.0f}"])
    return grid(["The simulated AWS", "ms, p50 / p95 / p99", "calls a second"], rows)


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
        name = storm_title(found[0], ", IAM takes {} calls/s")
        for what, form, value in (
            ("all done, s", "{:.1f}", done),
            ("every key dead, s", "{:.1f}", keys_dead),
            ("calls to AWS", "{:,.0f}", lambda storm: storm["calls"]),
            ("of them refused, %", "{:.1f}", refused_share),
            ("lost", "{}", lost),
            ("plugin CPU, s", "{:.2f}", lambda storm: storm["cpu_s"]),
        ):
            values = [value(storm) for storm in found]
            shown = ["never" if value is None else form.format(value) for value in values]
            rows.append([f"{name}: {what}", *shown, ratio(values)])
    return rows and grid(["Revoking a prefix", *titles, *ratio_title(titles)], rows)


def overload(plugins, titles):
    found = [plugin.all["overload"] for plugin in plugins]
    if not all(found):
        return ""
    first = found[0]
    rows = []
    for what, form, value in (
        ("requests", "{:,}", lambda it: it["asked"]),
        ("served in time", "{:,}", lambda it: it["served"]),
        ("served in time, of what AWS takes, %", "{:.0f}", goodput),
        ("p95 of those served, s", "{:.1f}", lambda it: it["served_after"]["p95_ms"] / 1000),
        ("refused", "{:,}", lambda it: it["refused"]),
        ("p50 of those refused, s", "{:.1f}", lambda it: it["refused_after"]["p50_ms"] / 1000),
        ("hung up", "{:,}", lambda it: it["given_up"]),
        ("users left when all leases were revoked", "{}", lost),
        ("plugin CPU, s", "{:.2f}", lambda it: it["cpu_s"]),
    ):
        values = [value(it) for it in found]
        rows.append([what, *[form.format(value) for value in values], ratio(values)])
    title = (
        f"Overload, {first['times']} times what an IAM of {first['limit']} calls/s takes, for "
        f"{first['time_s']} s, by clients that hang up after {first['patience_s']} s"
    )
    return grid([title, *titles, *ratio_title(titles)], rows)


def goodput(overload):
    """How much of what AWS takes went to those who were served, in percent."""
    return (
        100 * overload["served"] * overload["calls_of_an_issue"] / (overload["limit"] * overload["time_s"])
    )


def sweep(plugin):
    """What the register of issued users costs when it is large."""
    found = plugin.all["sweep"]
    if not found:
        return ""
    rows = [
        ["memory before, MiB", f"{found['before_kib'] / 1024:.1f}"],
        *(
            [f"tick {number}{': lists and reads' if number == 1 else ': reads'}, s / CPU, s / memory, MiB",
             f"{tick['time_s']:.2f} / {tick['cpu_s']:.2f} / {tick['most_kib'] / 1024:.1f}"]
            for number, tick in enumerate(found["ticks"], 1)
        ),
        *(
            [f"{look['what']}, p50 / p95, ms", f"{look['latency']['p50_ms']:.1f} / {look['latency']['p95_ms']:.1f}"]
            for look in found.get("looks", [])
        ),
        ["memory after, MiB", f"{found['after_kib'] / 1024:.1f}"],
    ]
    return grid([f"The register with {found['records']:,} users", plugin.title], rows)


def storm_title(storm, limit):
    return f"{storm['leases']} leases" + (limit.format(storm["limit"]) if storm["limit"] else "")


def done(storm):
    return None if lost(storm) else storm["done_s"]


def keys_dead(storm):
    return None if storm["keys_left"] else storm["keys_dead_s"]


def lost(storm):
    """Leases that stayed, or their users."""
    return max(storm["lost"], storm["users_left"])


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


def aims(ours, peer):
    """What this plugin is meant to reach, also beside that of Vault 1.21.1, on two cores."""
    rows = []

    def aim(what, value, bound, form="{:.2f}", least=False):
        if value is not None:
            reached = value >= bound if least else value <= bound
            sign = "≥" if least else "≤"
            rows.append([what, form.format(value), f"{sign} {form.format(bound)}",
                         "yes" if reached else "**no**"])

    def beside(what, bound, measure):
        """Our part of the peer's."""
        mine, theirs = measure(ours), peer and measure(peer)
        if mine is not None and theirs:
            aim(f"{what}, part of {peer.title}", mine / theirs, bound)

    def faster(operation, bound):
        mine, theirs = ours.alone(operation), peer and peer.alone(operation)
        if mine and theirs:
            aim(f"{operation}, times faster than {peer.title}", theirs / mine, bound, least=True)

    for operation, trips in ((ISSUE, 2.2), (REVOKE, 2.2), (ISSUE_ONE, 2.2), (ASSUMED, 1.1)):
        aim(f"{operation}, latency in AWS calls", ours.trips(operation), trips)
    faster(ISSUE, 3.7)
    faster(REVOKE, 5)
    if median := ours.alone(ISSUE):
        aim(f"{ISSUE}, p99 to p50", ours.alone(ISSUE, "p99_ms") / median, 1.3)
    for operation in (ISSUE, REVOKE):
        aim(f"{operation}, AWS calls", ours.calls(operation), 7, "{:.1f}")
    for operation, bound in ((ISSUE, 1 / 3), (READ, 1 / 4), (ASSUMED, 1 / 3)):
        beside(f"{operation}, plugin CPU", bound, lambda plugin: plugin.busy(operation))
    aim("process start, ms", ours.start("p50_ms"), 6, "{:.1f}")
    for mounts in (1, 100):
        for key, state in (("idle", "idle"), ("settled", "after load")):
            beside(f"memory, {mounts} mount{'s' * (mounts > 1)}, {state}", 1 / 4,
                   lambda plugin: plugin.memory(mounts, f"{key}_kib"))
    aim("binary, MB", ours.all["binary_bytes"] / 1e6, 10, "{:.1f}")
    if free := ours.storm(False):
        beside(f"storm of {free['leases']}, done", 1 / 2,
               lambda plugin: plugin.storm(False) and done(plugin.storm(False)))
    if limited := ours.storm(True):
        # Seven calls a lease, of which one ends its key, at the rate that IAM takes.
        storm = f"storm of {limited['leases']} at {limited['limit']} calls/s"
        key = limited["leases"] / limited["limit"]
        aim(f"{storm}, done, s", done(limited), 1.15 * 7 * key, "{:.1f}")
        aim(f"{storm}, every key dead, s", keys_dead(limited), 1.5 * key, "{:.1f}")
        aim(f"{storm}, refused, %", refused_share(limited), 5, "{:.1f}")
        aim(f"{storm}, lost", lost(limited), 0, "{}")
    if overloaded := ours.all["overload"]:
        aim("overload, served of what AWS takes, %", goodput(overloaded), 80, "{:.0f}", least=True)
        aim("overload, users left", lost(overloaded), 0, "{}")
    return grid(["Aim", "measured", "wanted", "reached"], rows)


# --- chart ----------------------------------------------------------------------------------

COLOURS = {"product": "#b7410e", "peer": "#8a9aa9"}
WIDTH, LEFT, BAR, GAP = 860, 190, 13, 9


def chart(results):
    plugins = measured(results)
    panels = [
        (f"Latency of one client at {DELAY} ms per AWS call, p50, ms", [
            (operation, [plugin.alone(operation) for plugin in plugins])
            for operation in OPERATIONS[1:]
        ]),
        (f"Plugin CPU per operation, {MANY} clients, AWS takes no time, µs", [
            (operation, [plugin.busy(operation) for plugin in plugins]) for operation in OPERATIONS
        ]),
        ("Memory (PSS), MiB", [
            (f"{mounts} mount{'s' * (mounts > 1)}, {state}",
             [plugin.memory(mounts, f"{key}_kib") for plugin in plugins])
            for mounts in (1, 100) for key, state in (("idle", "idle"), ("settled", "after load"))
        ]),
        ("Start to handshake line, p50, ms", [
            ("process start", [plugin.start("p50_ms") for plugin in plugins])
        ]),
        ("Revoking a prefix, s", [
            (storm_title(stormed[0], " at {}/s") + f", {name}", [value(storm) for storm in stormed])
            for limited in (False, True)
            if None not in (stormed := [plugin.storm(limited) for plugin in plugins])
            for name, value in (("done", done), ("keys dead", keys_dead))
        ]),
    ]
    body, y = legend(plugins), 44
    for title, rows in panels:
        rows = [(name, values) for name, values in rows if None not in values]
        if not rows:
            continue
        body.append(text(16, y + 14, title, weight="bold"))
        y += 28
        most = max(value for _, values in rows for value in values)
        for name, values in rows:
            body.append(text(LEFT - 10, y + len(values) * BAR / 2 + 4, name, anchor="end"))
            for plugin, value in zip(plugins, values):
                length = max(1, (WIDTH - LEFT - 90) * value / most)
                body.append(
                    f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 2}" rx="2" '
                    f'fill="{COLOURS[plugin.kind]}"/>'
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


def legend(plugins):
    found, x = [], 16
    for plugin in plugins:
        colour = COLOURS[plugin.kind]
        found.append(f'<rect x="{x}" y="14" width="12" height="12" rx="2" fill="{colour}"/>')
        found.append(text(x + 18, 24, plugin.title))
        x += 40 + 8 * len(plugin.title)
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
