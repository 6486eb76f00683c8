"""The page: a line for each row as it comes, then the targets; and the same as docs/performance.md."""

import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path

from bench.figures import Row, Spread, short

PATH = Path(__file__).parent.parent / "docs" / "performance.md"
WIDTHS = (38, 9, 10, 10, 5, 26, 10, 10, 8)
HEADS = ("what", "networks", "natnetd", "p90", "", "beside", "median", "p90", "ratio")


class Page:
    """Collects rows, and prints each at once."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def add(self, row: Row) -> None:
        """Print one more row."""
        if not self.rows or self.rows[-1].topic != row.topic:
            print(f"\n{row.topic}\n" + line(HEADS), flush=True)
        self.rows.append(row)
        print(line(cells(row)) + (f" {row.note}" if row.note else ""), flush=True)

    def end(self) -> None:
        """Print which targets were met."""
        print("\ntargets")
        for met, words in self.verdicts():
            print(f"  {'met    ' if met else 'NOT MET'}  {words}")

    def verdicts(self) -> list[tuple[bool, str]]:
        """List the targets, those that were missed first."""
        return sorted((v for row in self.rows for v in row.verdicts), key=lambda verdict: verdict[0])

    def write(self) -> None:
        """Write docs/performance.md."""
        parts = [INTRODUCTION.format(machine=machine(), date=time.strftime("%Y-%m-%d"))]
        for topic in dict.fromkeys(row.topic for row in self.rows):
            rows = [row for row in self.rows if row.topic == topic]
            parts += [f"## {topic}", ABOUT[topic], table(rows)]
        lines = [f"| {'met' if met else '**missed**'} | {words} |" for met, words in self.verdicts()]
        parts.append("## Targets\n\n| | |\n|---|---|\n" + "\n".join(lines))
        PATH.write_text("\n\n".join(parts) + "\n", "utf-8")


def cells(row: Row) -> tuple[str, ...]:
    """Write a row's cells."""
    other = (str(row.other), figure(row.other)) if row.other else ("", "")
    ratio = short(row.ratio) if row.ratio is not None else ""
    return (
        row.what,
        f"{row.networks:,}",
        str(row.ours),
        figure(row.ours),
        row.unit,
        row.beside,
        *other,
        ratio,
    )


def figure(spread: Spread) -> str:
    """Write a p90, if there are enough runs for one."""
    return short(spread.p90) if spread.runs >= 5 else ""


def line(texts: tuple[str, ...]) -> str:
    """Set cells in columns, figures to the right."""
    left = {0, 4, 5}
    pairs = enumerate(zip(texts, WIDTHS, strict=True))
    return " ".join(f"{t:<{w}}" if i in left else f"{t:>{w}}" for i, (t, w) in pairs).rstrip()


def table(rows: list[Row]) -> str:
    """Write rows as Markdown."""
    head = "| what | networks | natnetd (p90) | beside it | median (p90) | ratio | |"
    return "\n".join([head, "|---|--:|--:|---|--:|--:|---|", *(markdown(row) for row in rows)])


def markdown(row: Row) -> str:
    """Write one row."""
    what, number, ours, p90, unit, beside, other, other_p90, ratio = cells(row)
    mine = f"**{ours}** {unit}" + (f" ({p90})" if p90 else "")
    theirs = f"{other} {unit}" + (f" ({other_p90})" if other_p90 else "") if other else ""
    return f"| {what} | {number} | {mine} | {beside} | {theirs} | {ratio} | {row.note} |"


def machine() -> str:
    """Describe what this runs on."""
    about = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    cpus = [row.partition(": ")[2] for row in about if row.startswith("model name")]
    release = Path("/etc/os-release").read_text("utf-8").partition('PRETTY_NAME="')[2].partition('"')[0]
    nft = subprocess.run(["nft", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    ip = subprocess.run(["ip", "-V"], capture_output=True, text=True, check=True).stdout.split()[2]
    pyroute2 = metadata.version("pyroute2")
    return (
        f"{len(cpus)} cores of {cpus[0]}, Linux {platform.release()}, {release}, nft {nft}, {ip}, "
        f"Python {platform.python_version()}, pyroute2 {pyroute2}"
    )


INTRODUCTION = """\
# Performance

Measured by `make bench` (`python -m bench --write` writes this page) on {date}, on {machine}.

Each figure is the median of its runs, the p90 in brackets. What counts is the ratio to the alternative, which
was measured in the same run on the same machine; single figures carry 10-20 % of noise."""

ABOUT = {
    "repair": "From the return of the disturbing call until the kernel is right again. The floor is a bare "
    "loop that hears the same event and answers with a prepared message, without a look.",
    "converge": "From nothing to networks with bridge, address, NAT and isolation.",
    "rest": "What natnetd costs while nothing happens.",
    "busy": "Eight processes make and delete foreign links as fast as the kernel lets them.",
    "fight": "Somebody deletes the table, or sets an MTU back, a hundred times a second.",
    "served": "The same repairs with and without a dnsmasq for each network, natnetd running as root, with "
    "the unit's `Nice=` and `CPUWeight=`.",
    "forwards": "1,000 forwards in one network, beside none.",
    "packets": "64-byte UDP datagrams from a guest through the host to somebody outside; all the work of all "
    "three is in the sender's CPU time. `guests counted`: the same with `count_guests`.",
    "lost": "What a guest notices, and what gets out untranslated.",
    "growth": "The exponent is the slope of the figures on logarithmic axes: 1 is linear.",
}
