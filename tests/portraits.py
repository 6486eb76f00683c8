"""What the chaos compares of tables and links: not what changes by itself."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from natnetd.page import SAMPLED
from natnetd.rows import FRAMES, TABLE

PASSING = (
    "root_id",
    "bridge_id",
    "root_port",
    "root_path_cost",
    "timer",
    "ifindex",
    "designated",
    "learned",
    "topology_change",
)
"""Words in the names of a bridge's figures that change by themselves."""
PASSED = "passing"
"""Ageing time under STP: while the topology changes it is twice the forward delay (br_stp.c)."""
UNSET = (*PASSING, "ageing_time")
"""Those, and one that nobody but a harm sets: he may have given his bridge to us."""


def figures(about: dict[str, Any], left_out: tuple[str, ...] = PASSING) -> dict[str, Any]:
    """Figures of a bridge, as ip(8) has them."""
    return {name: value for name, value in about.items() if not any(word in name for word in left_out)}


def difference(have: Any, want: Any) -> str:
    """Tell where two mappings differ."""
    keys = {**have, **want}
    return "; ".join(
        f"{k}: is {have.get(k)}, should be {want.get(k)}" for k in keys if have.get(k) != want.get(k)
    )


def handle_of(line: str) -> re.Match[str] | None:
    return re.search(r"# handle (\d+)$", line)


def canonical(listing: str) -> dict[str, Any]:
    """Split a table's listing into its blocks, whose order is nobody's business, nor that of elements."""
    blocks: dict[str, Any] = {}
    for part in listing.split("\n\n"):
        flat = re.sub(r",\s*\n\s*", ", ", part)
        lines = [line.strip() for line in flat.splitlines() if line.strip()]
        lines = [line for line in lines if line not in ("}", f"table {TABLE} {{", f"table {FRAMES} {{")]
        if not lines:
            continue
        head, *rest = lines
        if head.split()[1] in SAMPLED:  # what packets count is as it is
            rest = [line for line in rest if not line.startswith("elements =")]
        blocks[head] = [
            sorted(re.findall(r"[^,{}]+", line.partition("=")[2])) if line.startswith("elements =") else line
            for line in rest
        ]
        blocks[head] = [[e.strip() for e in r] if isinstance(r, list) else r for r in blocks[head]]
        blocks[head] = [sorted(r) if isinstance(r, list) else r for r in blocks[head]]
    return blocks


def sysctls(link: str) -> dict[str, str]:
    """Read the settings of a link but for forwarding, which ip_forward writes wherever it is switched."""
    found = {}
    for version in ("ipv4", "ipv6"):
        for path in Path("/proc/sys/net", version, "conf", link).glob("*"):
            heard = path.name == "accept_ra" and link.startswith("vmbr")  # an uplink goes on hearing routers
            if not heard and path.name not in ("forwarding", "mc_forwarding", "stable_secret", "mtu"):
                with suppress(OSError):
                    found[f"{version}.{path.name}"] = path.read_text("ascii")
    return found
