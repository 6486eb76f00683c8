"""`natnetd import`: what stanzas of interfaces(5) become, and what is said of the rest."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from import_shapes import SHAPES
from imports import imported, stanza, way
from networks import HOST, INTERNET
from running import natnetd, run, written

from natnetd.cli import VERBS
from natnetd.cli.import_ import complaints, head, translated
from natnetd.config import parse
from natnetd.lab.echo import Echo
from natnetd.lab.traffic import Flow, tcp
from natnetd.lab.world import World
from natnetd.linux.ifupdown import gather
from natnetd.moving.answer import Answer, answer
from natnetd.moving.interfaces import read
from natnetd.moving.places import Place
from natnetd.moving.site import Site
from natnetd.moving.told import told

HERE = Path(__file__).parent / "import"
FILES = sorted([path.name for path in HERE.glob("*.interfaces")] + ["22-files/network/interfaces"])


# --- one row for each shape that was found in the wild


@pytest.mark.parametrize("name", FILES)
def test_each_shape_has_an_answer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)
    wanted, code, phrases = SHAPES[name.removesuffix(".interfaces")]
    found = translated(Path(name), None)
    networks = parse(found.text, "stdout").networks.values()
    rows = [f"{n.name} {' '.join(map(str, n.addresses))} {way(n)}" for n in networks]
    assert "; ".join(rows) == wanted
    assert 2 * bool(found.missing) == code
    report = "\n".join(told(found))
    assert [phrase for phrase in phrases if phrase not in report] == []


def test_every_shape_is_there() -> None:
    assert [name.removesuffix(".interfaces") for name in FILES] == list(SHAPES)
    assert {name[:2] for name in SHAPES} == {f"{number:02}" for number in range(27)}


@pytest.mark.parametrize("name", FILES)
def test_the_answer_is_word_for_word(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)
    found = translated(Path(name), None)
    stem = name.partition("/")[0].removesuffix(".interfaces")
    for ending, text in (("yaml", found.text), ("txt", "\n".join(told(found)) + "\n")):
        path = HERE / f"{stem}.{ending}"
        if os.environ.get("NATNETD_GOLDEN") == "write":
            path.write_text(text, "utf-8")
        assert text == path.read_text("utf-8"), f"differs from {path}; if that is right, NATNETD_GOLDEN=write"


def test_comments_of_the_stanza_describe_it() -> None:
    texts = {
        n: parse((HERE / f"{n}.yaml").read_text(), n).networks for n in ("20-commented-out", "21-remarks")
    }
    assert [n.description for n in texts["21-remarks"].values()] == [
        'Internal: "web", 100 % natted',
        "one; two; and it has three",
        None,
    ]
    assert texts["20-commented-out"]["vmbr1"].description == "Kept for the lab"


def test_settings_of_the_bridge_are_taken_over() -> None:
    (network,) = parse((HERE / "02-bridge-words.yaml").read_text(), "f").networks.values()
    assert (network.mtu, network.mac, network.stp, network.forward_delay) == (
        1400,
        "52:54:00:12:34:56",
        True,
        9,
    )


# --- nothing is dropped in silence


def lines_told(found: Answer) -> set[int]:
    items = [*found.missing, *found.stays, *found.notes, *found.goes]
    return {n for item in items for n in range(item.place.first, item.place.last + 1)}


@pytest.mark.parametrize("name", [name for name in FILES if "/" not in name])
def test_every_line_that_says_something_is_told_of(name: str) -> None:
    text = (HERE / name).read_text()
    told_of = lines_told(imported(text))
    loose = [
        line
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip() and line.strip()[0] != "#" and number not in told_of
    ]
    assert [line for line in loose if line.split()[0] != "auto" and not line.startswith("allow-")] == []


@pytest.mark.parametrize(
    "line",
    [
        "frobnicate the network",
        "iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o vmbr0 -p tcp -j MASQUERADE",
        "iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -d 10.9.0.0/16 -j MASQUERADE",
        "iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -m mark --mark 1 -j MASQUERADE",
        "iptables -t nat -A POSTROUTING ! -s 10.0.0.0/24 -j MASQUERADE",
        "iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -j MASQUERADE --to-ports 1024-2048",
        "iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -j NETMAP --to 10.9.0.0/24",
        "iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -j MINE",
        "iptables -t nat -A POSTROUTING -s host.example -j MASQUERADE",
        "iptables -t nat -A POSTROUTING -s 10.0.0.0/24",
        "iptables -t raw -A PREROUTING -i eth+ -j CT --zone 1",
        "iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o $UPLINK -j MASQUERADE",
        "iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o $(cat /up) -j MASQUERADE",
        "cat rules | sh",
        "[ -e /x ] && iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o vmbr0 -j MASQUERADE",
        "sysctl net.ipv4.ip_forward",
        "ip rule add fwmark 1 table 5",
        "modprobe nf_nat_ftp",
        "echo 1 > /proc/sys/net/ipv4/ip_forward; frobnicate",
    ],
)
def test_what_cannot_be_imported_is_listed_with_its_line(line: str) -> None:
    found = imported(stanza(f"post-up {line}"))
    assert [item.place for item in found.missing] == [Place("f", 5, 5)]
    assert found.missing[0].text.startswith(f"post-up {line}: ")
    assert parse(found.text, "f").networks["vmbr1"].nat is None


def leaves(*commands: str) -> str:
    """Return how vmbr1 leaves by these commands."""
    return way(parse(imported(stanza(*commands)).text, "f").networks["vmbr1"])


def test_the_first_rule_of_the_chain_wins() -> None:
    masquerade = "up iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o vmbr0 -j MASQUERADE"
    source = masquerade.replace("MASQUERADE", "SNAT --to-source 192.0.2.1")
    exempt = "up iptables -t nat -A POSTROUTING -d 10.9.0.0/16 -j RETURN"
    assert leaves(masquerade, source) == "vmbr0"
    assert leaves(source, masquerade) == "vmbr0 as 192.0.2.1"
    assert leaves(masquerade, source.replace("-A", "-I")) == "vmbr0 as 192.0.2.1"
    assert leaves(exempt, masquerade) == "vmbr0 but 10.9.0.0/16"
    assert leaves(masquerade, exempt) == "vmbr0"
    assert leaves(masquerade, exempt.replace("-A", "-I")) == "vmbr0 but 10.9.0.0/16"
    assert leaves(exempt) == "closed"


def test_a_rule_for_guests_that_reach_each_other_by_the_outside_gives_no_way_out() -> None:
    way_out = "up iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o {} -j MASQUERADE"
    found = imported(stanza(way_out.format("vmbr1"), way_out.format("eno1")))
    assert way(parse(found.text, "f").networks["vmbr1"]) == "eno1"
    assert [item.place.first for item in found.missing] == [5]


def test_what_stays_names_the_stanza_it_moves_to() -> None:
    found = imported(
        stanza(
            "up iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o wg0 -j MASQUERADE",
            "up iptables -t nat -A PREROUTING -i wg0 -p tcp --dport 80 -j REDIRECT",
        )
    )
    assert found.missing[0].text.endswith("keep the line; move it to the stanza of wg0 first")


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ("bridge-vlan-aware yes", "VLAN-aware"),
        ("gateway 10.0.0.254", "has a gateway"),
        ("bridge-ports eno1", "uplink bridge"),
        ("ovs_type OVSBridge", "Open vSwitch"),
        ("address 10.0.0.300/24", "is no address"),
        ("address 10.0.1.1/32", "leaves no room for guests"),
        ("auto vmbr1.7\niface vmbr1.7 inet manual", "carries the VLAN vmbr1.7"),
        ("iface bond0 inet manual\nbond-slaves vmbr1", "is a part of bond0"),
        ("iface vmbr9 inet manual\nbridge-ports vmbr1", "is a port of vmbr9"),
        ("iface vmbr1 inet dhcp", "by DHCP"),
    ],
)
def test_a_bridge_that_is_more_than_an_internal_network_is_left_alone(extra: str, reason: str) -> None:
    text = stanza(extra, "up iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o eno1 -j MASQUERADE")
    found = imported(text)
    assert parse(found.text, "f").networks == {}
    assert [item for item in [*found.missing, *found.stays] if reason in item.text]
    assert found.commands == []
    assert found.goes == []


def test_networks_that_the_file_could_not_hold_are_left_out_with_its_own_words() -> None:
    twice = stanza() + stanza(name="vmbr2", address="10.0.0.9/16") + stanza(name="a-name-that-is-long")
    found = imported(twice + stanza(name="vmbr3", address="127.0.0.1/8"))
    assert list(parse(found.text, "f").networks) == ["vmbr1"]
    texts = [item.text for item in found.missing]
    assert texts[0] == (
        "vmbr2: 10.0.0.0/16 overlaps 10.0.0.0/24 of vmbr1; give each network a subnet of its own; "
        "it stays as it is"
    )
    assert [text for text in texts if "an interface name has at most 15" in text]
    assert [text for text in texts if "is a loopback address" in text]


def test_an_uplink_that_is_no_name_of_one_is_not_imported() -> None:
    found = imported(stanza("up iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o lo -j MASQUERADE"))
    assert "lo is a reserved word" in found.missing[0].text
    assert way(parse(found.text, "f").networks["vmbr1"]) == "routed"


def test_a_line_outside_the_stanza_goes_only_if_all_of_it_is_imported() -> None:
    uplink = "iface eno1 inet manual\npost-up {}\n"
    nat = "iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o eno1 -j MASQUERADE"
    found = imported(uplink.format(nat) + stanza())
    assert str(found.goes[0]) == f"f:2: post-up {nat}"
    found = imported(uplink.format(f"{nat} ; frobnicate") + stanza())
    assert [item.place.first for item in found.goes] == [3, 4]
    assert found.missing[0].text.endswith("; the rest of the line is imported: split it")


# --- files


def test_sources_are_followed_from_their_own_directory(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "interfaces").write_text("source a/*.cfg\n", "utf-8")
    (tmp_path / "a" / "one.cfg").write_text("source-directory b\n", "utf-8")
    (tmp_path / "a" / "b" / "two").write_text(stanza(), "utf-8")
    (tmp_path / "a" / "b" / ".hidden").write_text(stanza(name="vmbr2"), "utf-8")
    gathered = gather(tmp_path / "interfaces")
    assert [Path(page.file).name for page in gathered.pages] == ["interfaces", "one.cfg", "two"]
    assert [item.place.file for item in gathered.missing] == [str(tmp_path / "a" / "b" / ".hidden")]


def test_forwarding_of_sysctl_files_counts(tmp_path: Path) -> None:
    (tmp_path / "network").mkdir()
    (tmp_path / "network" / "interfaces").write_text(stanza(), "utf-8")

    def says() -> str:
        return way(parse(translated(tmp_path / "network" / "interfaces", None).text, "f").networks["vmbr1"])

    (tmp_path / "sysctl.conf").write_text("#net.ipv4.ip_forward=1\nnet.ipv4.ip_forward=0\n", "utf-8")
    assert says() == "closed"
    (tmp_path / "sysctl.conf").write_text("net.ipv4.ip_forward=1\n", "utf-8")
    assert says() == "routed"


# --- the command line


def test_the_verb_prints_the_file_and_says_the_rest_on_stderr(tmp_path: Path) -> None:
    made = tmp_path / "natnetd.yaml"
    for name, code in (("00-how-to", 0), ("13-forwards", 2)):
        done = run(tmp_path, "import", str(HERE / f"{name}.interfaces"))
        assert done.returncode == code
        made.write_text(done.stdout, "utf-8")
        assert natnetd(tmp_path, "check") == f"{made}: good, 1 network\n"
        assert done.stderr.startswith("1 network imported. Nothing was changed.\n")
        assert ("Not imported:" in done.stderr) == (code == 2)


def test_a_file_that_is_not_there_is_trouble(tmp_path: Path) -> None:
    for path, text in (
        (tmp_path / "none", "there is no such file"),
        (tmp_path, "is a directory; name a file in it"),
    ):
        done = run(tmp_path, "import", str(path))
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"natnetd: {path}: {text}\n")


def test_nothing_is_changed(tmp_path: Path) -> None:
    subprocess.run(["cp", "-a", str(HERE), str(tmp_path / "copy")], check=True)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "copy").rglob("*")}
    run(tmp_path, "import", str(tmp_path / "copy" / "22-files" / "network" / "interfaces"))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "copy").rglob("*")} == before


def test_the_page_about_moving_over_is_right() -> None:
    page = (HERE.parents[1] / "docs/moving-over.md").read_text()
    blocks = dict(re.findall(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    path = "/etc/network/interfaces"
    found = answer(Site.of([read(blocks["interfaces"], path)]), complaints)
    assert blocks["yaml"] == f"{head(path)}\n{found.text}"
    assert "\n".join(told(found)).startswith(blocks["text"])
    verbs = re.findall(r"^   natnetd (\w+)", page, re.MULTILINE)
    assert verbs == ["import", "check", "plan", "status"]
    assert {*verbs} <= {*VERBS}


def test_addresses_that_commands_add_count() -> None:
    found = imported(
        stanza(
            "up ip addr add dev $IFACE 10.1.0.1/24",
            "up ip address add 10.0.0.1/24 brd + dev vmbr1",
            "up ip addr add 192.0.2.9/32 dev vmbr1",
            "up ip addr add 10.2.0.1/24 dev eno1",
        )
    )
    (network,) = parse(found.text, "f").networks.values()
    assert [str(address) for address in network.addresses] == ["10.0.0.1/24", "10.1.0.1/24"]
    assert [item.place.first for item in found.missing] == [7, 8]


# --- on a host where the old rules are in force


def test_guests_notice_nothing(world: World, directory: Path) -> None:
    text = stanza("up iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o vmbr0 -j MASQUERADE")
    host = world.host
    host.ip("link add vmbr1 up type bridge", "address add 10.0.0.1/24 dev vmbr1")
    host.check(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
    chain = "chain POSTROUTING { type nat hook postrouting priority srcnat; }"
    rule = 'ip nat POSTROUTING ip saddr 10.0.0.0/24 oifname "vmbr0" masquerade'
    host.check(["nft", f"table ip nat {{ {chain}\n}}\nadd rule {rule}"])
    index = host.check(["cat", "/sys/class/net/vmbr1/ifindex"])
    guest = world.guest("web", "vmbr1", "10.0.0.2/24", "10.0.0.1")
    with Echo(world.outside), Flow(guest.ns, INTERNET) as before:
        assert before.ask()
        written(directory, f"metrics: false\n{imported(text).text}")
        natnetd(directory, "apply")
        assert (before.ask() or "").startswith(HOST)
        assert (tcp(guest.ns, INTERNET) or "").startswith(HOST)
        host.check(["nft", "delete table ip nat"])
        assert (before.ask() or "").startswith(HOST)
        assert (tcp(guest.ns, INTERNET) or "").startswith(HOST)
    assert host.check(["cat", "/sys/class/net/vmbr1/ifindex"]) == index
    assert natnetd(directory, "plan") == "nothing to do\n"
