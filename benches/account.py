"""Turns what a run of scripts/chaos accounted for into a table."""

import re

BEGIN, END = "<!-- {} -->\n", "<!-- end of {} -->\n"


def table(results):
    machine, counts, aws = results["machine"], results["counts"], results["aws"]
    hand, weather = counts.get("hand", {}), counts.get("AWS weather", {})
    end, settled = results["end"], results["settled"]
    lines = [
        f"{results['date']}, {results['host']}, {nodes(results['nodes'])}, seed {results['seed']}: "
        f"{machine['cores']} cores of {machine['processor']}, {machine['memory_kib'] / 2**20:.0f} GiB, "
        f"Linux {machine['kernel']}.",
    ]
    if results["quick"]:
        lines.append("**A quick run: what only time settles was left to it.**")

    def row(what, number):
        rows.append(f"| {what} | {number} |")

    rows = ["| what happened | |", "| :-- | --: |"]
    row("time of the kills, s", f"{results['chaos_s']:.0f}")
    for what in sorted(hand, key=hand.get, reverse=True):
        row(what, f"{hand[what]:,}")
    row("changes of AWS's mood", f"{sum(weather.values()):,}")
    row("calls to AWS", f"{aws['calls']:,}")
    for fault in sorted(aws["faults"], key=aws["faults"].get, reverse=True):
        row(f"of them met: {fault}", f"{aws['faults'][fault]:,}")
    for what in sorted(set(counts) - {"hand", "AWS weather"}):
        asked = counts[what]
        done, hung_up = asked.get("done", 0), asked.get("hung up", 0)
        failed = sum(asked.values()) - done - hung_up
        row(f"requests to {what}: done, hung up, failed", f"{done:,}, {hung_up:,}, {failed:,}")
    row("IAM users made, access keys, sessions",
        f"{aws['users']:,}, {aws['access_keys']:,}, {aws['sessions']:,}")
    row("leases of users given to clients, of sessions",
        f"{results['leases_given']:,}, {results['sessions_given']:,}")

    rows += ["", "| what was left | |", "| :-- | --: |"]
    at_once = results["at_once"]
    row("users without a lease when all was mended", without_lease(at_once))
    row("until nothing was left but doubts, s", seconds(results["healed_s"]))
    row("doubts then", len(results["healed"]["doubts"]))
    if not results["quick"]:
        row("until nothing was left at all, s", seconds(results["settled_s"]))
    row("**leases lost**", len(end["lost"]))
    if results["quick"]:
        row("**users without a lease, but for doubts**", without_lease(end) - len(end["doubts"]))
    else:
        row("**users without a lease**", without_lease(settled))
    accounts = [results[moment] for moment in ("at_once", "healed", "settled", "contained", "end")]
    undead = {name for account in accounts for name in account["undead"]}
    row("**sessions and users that worked although they should be dead**", len(undead))
    row("**access keys without an owner**", len(end["spare_keys"]))
    row("**static roles whose stored key does not work**", len(end["dead_static_keys"]))
    row("**faults of the engine's own access key**", len(end["root"]))
    if not results["quick"]:
        row("leases that outlived their end", len(settled["overdue"]))
        row("leases that the host gave up; their users are gone", len(settled["given_up"]))
        row("entries left in the write-ahead log", settled["wal"])
    row("the whole run, s", f"{results['took_s']:.0f}")
    return "\n".join(lines) + "\n\n" + "\n".join(rows) + "\n"


def nodes(count):
    return f"{count} node{'s' * (count > 1)}"


def without_lease(account):
    return sum(len(account[kind]) for kind in ("half_made", "doubts", "forgotten"))


def seconds(value):
    return "never" if value is None else f"{value:.0f}"


def publish(page, results, text):
    """Puts a run's table among those of its host, in the place of an earlier one of its seed."""
    host = results["host"].split()[0]
    old = page.read_text()
    runs = find(old, host)
    if runs is None:
        raise LookupError(f"{page} has no place for {host}")
    run = f"seed {results['seed']}"
    table = f"{BEGIN.format(run)}\n{text}\n{END.format(run)}"
    earlier = find(runs, run)
    new = runs.replace(earlier, table) if earlier else runs.replace(END.format(host), f"{table}{END.format(host)}")
    page.write_text(old.replace(runs, new))


def find(text, name):
    """What stands between the marks of that name, with them."""
    begin, end = re.escape(BEGIN.format(name)), re.escape(END.format(name))
    found = re.search(f"{begin}.*?{end}", text, re.DOTALL)
    return found and found[0]
