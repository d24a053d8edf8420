"""The table of what was seen: a row for each flow, a column for each host."""

import datetime
import re

BEGIN, END = "<!-- what scripts/clients saw -->\n", "<!-- end -->\n"


def table(hosts, order):
    """Of what each host saw, by client; the clients in that order."""
    flows = {}
    for name in order:
        for version, clients in hosts.items():
            for row in clients.get(name, []):
                seen = flows.setdefault((row["client"], row["flow"]), {"version": "", "results": {}})
                seen["version"] = seen["version"] or row["version"]
                seen["results"][version] = row["result"]
    lines = [
        f"Seen on {datetime.date.today().isoformat()}.", "",
        f"| client | version | what it does | {' | '.join(hosts)} |",
        "| --- | --- | --- |" + " --- |" * len(hosts),
    ]
    last = None
    for (client, flow), seen in flows.items():
        shown = (client, seen["version"]) if client != last else ("", "")
        results = (seen["results"].get(version, "–") for version in hosts)
        lines.append(f"| {shown[0]} | {shown[1]} | {flow} | {' | '.join(results)} |")
        last = client
    return "\n".join(lines) + "\n"


def publish(page, text):
    """Puts the table into its place on the page."""
    place = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    new, found = place.subn(lambda _: f"{BEGIN}\n{text}\n{END}", page.read_text())
    if not found:
        raise LookupError(f"{page} has no place for the table")
    page.write_text(new)
