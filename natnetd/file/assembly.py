"""From what a file says to `Config`."""

from dataclasses import replace

from natnetd.errors import Complaint
from natnetd.file import coherence, forwards, guarded, served
from natnetd.file.draft import Draft, Found, Values
from natnetd.file.grammar import Named
from natnetd.file.guard_keys import QUARANTINE
from natnetd.file.keys import DEFAULTS, FILE, METRICS, NETWORKS, PROXMOX
from natnetd.file.nodes import Mapping, Node, Scalar, Unusable, complaint
from natnetd.file.reading import known, misplaced, read, read_section
from natnetd.file.shapes import Unfit
from natnetd.model import Config, Metrics, Proxmox


def assemble(root: Node, complaints: list[Complaint], *, whole: bool = True) -> Config:
    """Return what `root` says; worth nothing if there were complaints.

    What is not `whole` lacks the words of a file that cannot be read: nothing is said to be missing then.
    """
    top = {key.name: node for key, node in known(root, FILE, complaints)}
    if whole and isinstance(root, Mapping) and "networks" not in top:
        complaints.append(complaint(root, "networks is missing; write networks: {} if there shall be none"))
    shared: Values = read_section(top["defaults"], DEFAULTS, complaints) if "defaults" in top else {}
    defaults = Draft(Scalar(root.mark, "defaults", "", plain=False), shared, shared)
    drafts = read_networks(top["networks"], NETWORKS, shared, complaints) if "networks" in top else []
    metrics: Values = {}
    if "metrics" in top:
        read(top["metrics"], METRICS, complaints, metrics, "metrics")
    proxmox: Values = {}
    if "proxmox" in top:
        read(top["proxmox"], PROXMOX, complaints, proxmox, "proxmox")
    cut = read_quarantine(top["quarantine"], complaints) if "quarantine" in top else []
    if whole:
        complaints.extend(coherence.check(defaults, drafts))
        complaints.extend(coherence.check_guests(metrics, drafts))
        complaints.extend(guarded.check(defaults, drafts, cut))
    subnets = {draft.key.text: tuple(a.network for a in served.four(draft)) for draft in drafts}
    networks = {
        draft.key.text: replace(
            guarded.complete(draft, served.complete(draft, subnets), cut),
            forwards=forwards.forwards_of(draft),
        )
        for draft in drafts
    }
    return Config(networks, metrics_of(metrics), proxmox_of(proxmox))


def read_networks(node: Node, takes: Named, shared: Values, complaints: list[Complaint]) -> list[Draft]:
    """Return every network, with the defaults laid under it."""
    if not isinstance(node, Mapping):
        if not isinstance(node, Unusable):
            complaints.append(misplaced(node, takes.words))
        return []
    drafts = []
    for name, child in node.values.items():
        key = node.keys[name]
        try:
            takes.names.read(key)
        except Unfit as reason:
            complaints.append(complaint(key, str(reason)))
        own = read_section(child, takes.section, complaints)
        if not isinstance(child, Mapping):
            own["addresses"] = []  # that there are none has been said
        drafts.append(Draft(key, own, shared | own))
    return drafts


def read_quarantine(node: Node, complaints: list[Complaint]) -> list[Found]:
    """Read the guests that are cut off, each with its network."""
    values: Values = {}
    read(node, QUARANTINE, complaints, values, "quarantine")
    return [found for found in values["quarantine"] if found.value is not None]


def metrics_of(values: Values) -> Metrics | None:
    """Return where metrics are served; `None` if they are turned off."""
    on = [found.value for found in values.get("metrics", ())]
    listen = [found.value for found in values.get("metrics.listen", ()) if found.value]
    if on == [False]:
        return None
    guests = [found.value for found in values.get("metrics.guests", ()) if found.value]
    return replace(Metrics(*listen[0]) if listen else Metrics(), guests=guests[0] if guests else 0)


def proxmox_of(values: Values) -> Proxmox:
    """Return what Proxmox VE is told; a mapping that does not say leaves it at `auto`."""
    register = [found.value for found in values.get("proxmox.register", ())]
    if register:
        return Proxmox(None if register == ["auto"] else register[0])
    on = [found for found in values.get("proxmox", ()) if isinstance(found.node, Scalar)]
    return Proxmox(on[0].value) if on else Proxmox()
