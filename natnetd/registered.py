"""What Proxmox VE's list of bridges should say of our networks, and whose a stanza there is; pure."""

from collections.abc import Iterable, Iterator, Mapping

from natnetd.deputy.stanzas import Entry, cleaned
from natnetd.host import Finding, Snapshot, State
from natnetd.model import Config, Network
from natnetd.rows import Register, Stanza

MAIN = "interfaces"
BEGINS = "not registered with Proxmox VE: "


def wanted(config: Config, register: Register) -> Mapping[str, Stanza]:
    """The stanza of each network; none if Proxmox VE is not told."""
    told = config.proxmox.register
    if not (register.proxmox if told is None else told):
        return {}
    return {name: stanza(entry(network)) for name, network in config.networks.items()}


def entry(network: Network) -> Entry:
    """What Proxmox VE is told of a network: its first address of each family, for it knows no more."""
    first = {a.version: str(a) for a in reversed(network.addresses)}
    description = network.description or ""
    comment = map(cleaned, description.splitlines())
    return Entry(network.name, first.get(4, ""), first.get(6, ""), tuple(line for line in comment if line))


def stanza(told: Entry, *, recorded: bool = True, place: str = "") -> Stanza:
    """Make the row of an entry."""
    addresses = ", ".join(filter(None, (told.inet, told.inet6)))
    return Stanza(addresses, " / ".join(told.comment), recorded, told.lines, place)


def stranger(name: str, want: Stanza, register: Register) -> str:
    """Say where somebody else speaks of a network; empty if nobody does.

    Ours is what the deputy has recorded; if the record was lost, what is exactly as we would write it.
    """
    if name in register.strange:
        return register.strange[name]
    for file in register.files:
        row = register.stanzas.get(f"{name} in {file}")
        if row and not row.recorded and row.lines != want.lines:
            return row.place
    return ""


def notes(config: Config, seen: Snapshot) -> Iterator[Finding]:
    """Explain which networks are not listed as they should be, for the stanza is not ours to change."""
    if seen.register is None:
        return
    listed = wanted(config, seen.register)
    if listed and seen.register.trouble:
        yield Finding(None, State.IN_SYNC, f"{BEGINS}{seen.register.trouble}")
        return
    for name, want in listed.items():
        place = stranger(name, want, seen.register)
        if place:
            text = (
                f"{BEGINS}{place} speaks of {name} already, and is left alone; `natnetd import` turns such a"
                " stanza into a network of the file, then remove it there"
            )
            yield Finding(name, State.IN_SYNC, text)


def is_note(finding: Finding) -> bool:
    """Whether a finding is one of these."""
    return finding.text.startswith(BEGINS)


def others(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Leave these out."""
    return tuple(finding for finding in findings if not is_note(finding))
