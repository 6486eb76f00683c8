"""Networks in Proxmox VE's list: what is planned, the stanza, and that editing touches nothing else."""

import re
from dataclasses import replace
from ipaddress import ip_interface

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natnetd.deputy.editing import edited
from natnetd.deputy.stanzas import Entry, Page, cleaned, entry_of
from natnetd.host import ALL, Before, Layer, Scope, Snapshot, State
from natnetd.kinds import registration
from natnetd.model import Config, Network, Proxmox
from natnetd.reconcile import decide
from natnetd.registered import entry, stanza
from natnetd.rows import Register, Stanza

NETWORK = Network("vmbr1", (ip_interface("10.0.0.1/16"),), description="Internal network")
TOLD = Config({"vmbr1": NETWORK}, proxmox=Proxmox(True))
WANT = stanza(entry(NETWORK))
TEXT = b"""\
iface vmbr1 inet static
\taddress 10.0.0.1/16
\tbridge-ports none
\tbridge-stp off
\tbridge-fd 0
\taddress-purge no
\tip-forward on
#Internal network
"""
MAIN, PENDING = "vmbr1 in interfaces", "vmbr1 in interfaces.new"


def planned(config: Config, register: Register | None) -> list[str]:
    return [str(change) for change in registration.plan(config, Snapshot(register=register))]


def notes(config: Config, register: Register, scope: Scope = ALL, before: Before | None = None) -> list[str]:
    seen = Snapshot(register=register, before=before or Before())
    findings = [f for f in decide(config, seen, scope)[0].findings if "Proxmox" in f.text]
    assert {f.state for f in findings} <= {State.IN_SYNC}
    return [str(f) for f in findings]


def listed(*keys: str, row: Stanza = WANT, **fields: object) -> Register:
    files = ("interfaces", "interfaces.new") if PENDING in keys else ("interfaces",)
    usual = {"files": files, "recorded": frozenset({"vmbr1"}), "stanzas": dict.fromkeys(keys, row)}
    return Register(**(usual | fields))  # type: ignore[arg-type]


# --- the plan


def test_a_network_is_registered_in_every_file_there_is() -> None:
    there = Register(files=("interfaces", "interfaces.new"))
    assert planned(TOLD, there) == [f"+ registration {MAIN}", f"+ registration {PENDING}"]


def test_at_rest_nothing_is_planned() -> None:
    assert planned(TOLD, listed(MAIN, PENDING)) == []
    assert notes(TOLD, listed(MAIN)) == []


def test_what_was_not_looked_at_is_not_planned() -> None:
    assert planned(TOLD, None) == []
    assert planned(TOLD, Register(trouble="closed")) == []


@pytest.mark.parametrize(
    ("told", "proxmox", "on"),
    [(None, True, True), (None, False, False), (True, False, True), (False, True, False)],
)
def test_auto_goes_by_the_host(told: bool | None, proxmox: bool, on: bool) -> None:
    config = replace(TOLD, proxmox=Proxmox(told))
    assert bool(planned(config, Register(proxmox, ("interfaces",)))) is on
    # What is registered and shall not be is taken out.
    assert planned(config, listed(MAIN, proxmox=proxmox)) == ([] if on else [f"- registration {MAIN}"])


def test_what_somebody_edited_is_told_in_words() -> None:
    row = stanza(Entry("vmbr1", "10.0.0.9/16", "", ("mine",)))
    assert planned(TOLD, listed(MAIN, row=row)) == [
        f"~ registration {MAIN} address 10.0.0.9/16 → 10.0.0.1/16, comment mine → Internal network"
    ]
    odd = replace(WANT, lines=(*WANT.lines, "mtu 9000"))
    assert planned(TOLD, listed(MAIN, row=odd)) == [f"~ registration {MAIN} (altered)"]


def test_a_pending_file_that_lacks_it_would_take_it_away() -> None:
    there = replace(listed(MAIN), files=("interfaces", "interfaces.new"))
    assert planned(TOLD, there) == [f"+ registration {PENDING}"]


def test_a_network_that_went_is_no_longer_listed() -> None:
    assert planned(Config(proxmox=Proxmox(True)), listed(MAIN, PENDING)) == [
        f"- registration {MAIN}",
        f"- registration {PENDING}",
    ]
    # Its stanza went first: the record must go too, or it would claim what others write there later.
    assert planned(Config(), listed()) == [f"- registration {MAIN}"]
    assert planned(Config(), Register(files=("interfaces",))) == []


def test_a_lost_record_is_renewed_for_what_is_exactly_ours() -> None:
    row = replace(WANT, recorded=False, place="interfaces:3")
    there = listed(MAIN, row=row, recorded=frozenset())
    assert planned(TOLD, there) == [f"~ registration {MAIN} recorded off → on"]
    assert notes(TOLD, there) == []


@pytest.mark.parametrize(
    "there",
    [
        listed(MAIN, row=Stanza("", "", False, ("iface vmbr1 inet manual",), "/x:7"), recorded=frozenset()),
        listed(recorded=frozenset(), strange={"vmbr1": "/x:7"}),
    ],
    ids=["a stanza", "elsewhere"],
)
def test_what_is_not_ours_is_left_alone_and_explained(there: Register) -> None:
    assert planned(TOLD, there) == []
    (note,) = notes(TOLD, there)
    assert note.startswith("i note vmbr1: not registered with Proxmox VE: /x:7 speaks of vmbr1")
    assert "`natnetd import`" in note
    assert notes(replace(TOLD, proxmox=Proxmox(False)), there) == []


def test_files_that_cannot_be_read_are_explained() -> None:
    assert notes(TOLD, Register(trouble="/x: cannot be read: no")) == [
        "i note host: not registered with Proxmox VE: /x: cannot be read: no"
    ]


def test_a_look_at_something_else_keeps_the_note_and_a_look_at_the_files_renews_it() -> None:
    there = listed(recorded=frozenset(), strange={"vmbr1": "/x:7"})
    kept = Before(findings=decide(TOLD, Snapshot(register=there))[0].findings)
    links = Scope(None, frozenset({Layer.LINK}))
    files = Scope(None, frozenset({Layer.REGISTER}))
    assert len(notes(TOLD, Register(), links, kept)) == 1
    assert notes(TOLD, listed(MAIN), files, kept) == []
    assert len(notes(TOLD, there, files)) == 1


# --- the text


def test_the_text_is_what_was_measured_with_proxmox() -> None:
    assert entry(NETWORK).text == TEXT


def test_the_first_address_of_each_family_is_shown() -> None:
    addresses = ("fd00::1/64", "10.0.0.1/16", "10.0.1.1/24", "fd01::1/64")
    told = entry(replace(NETWORK, addresses=tuple(map(ip_interface, addresses)), description=None))
    assert (told.inet, told.inet6, told.comment) == ("10.0.0.1/16", "fd00::1/64", ())
    assert told.text.endswith(b"\tip-forward on\n\niface vmbr1 inet6 static\n\taddress fd00::1/64\n")


def test_a_network_without_an_address_is_manual() -> None:
    assert entry(Network("vault")).text.startswith(b"iface vault inet manual\n\tbridge-ports none\n")
    assert stanza(entry(Network("vault"))).address == ""


def test_no_blank_line_and_no_auto_stands_in_a_stanza() -> None:
    assert b"auto" not in TEXT
    assert b"\n\n" not in TEXT


@given(st.text())
def test_a_comment_never_ends_or_continues_its_line(text: str) -> None:
    clean = cleaned(text)
    assert clean == cleaned(clean)
    assert len(f"#{clean}".splitlines()) == 1
    assert not clean.endswith("\\")


ENTRIES = st.builds(
    Entry,
    st.sampled_from(["vmbr1", "vmbr2", "a.b-c_d"]),
    st.sampled_from(["", "10.0.0.1/16", "10.9.0.1/24"]),
    st.sampled_from(["", "fd00::1/64"]),
    st.lists(st.text(max_size=20).map(cleaned).filter(bool), max_size=3).map(tuple),
)


@given(ENTRIES)
def test_an_entry_is_read_back_from_its_lines(told: Entry) -> None:
    assert entry_of(told.name, told.lines) == told


def test_white_space_is_no_drift() -> None:
    spaced = TEXT.replace(b"\t", b"        ").replace(b"\n", b" \r\n")
    assert Page.of(spaced).lines("vmbr1") == WANT.lines


# --- editing

WORDS = st.sampled_from(
    [
        *(
            b"auto lo",
            b"iface lo inet loopback",
            b"auto vmbr0",
            b"iface vmbr0 inet static",
            b"\taddress 1.2.3.4/24",
        ),
        *(
            b"#comment",
            b"   # indented",
            b"",
            b"  ",
            b"\tpost-up a \\",
            b"\tpost-down \xff\xfe",
            b"\r",
            b"allow-hotplug x",
        ),
        *(
            b"source /etc/network/interfaces.d/*",
            b"iface eth0 inet6 manual",
            b"\tup echo \xe2\x80\xa8",
            b"mapping eth0",
        ),
    ]
)
FILES = st.builds(
    lambda rows, end, last: end.join(rows) + (end if last else b""),
    st.lists(WORDS, max_size=12),
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
)
WANTED = st.lists(ENTRIES, max_size=3, unique_by=lambda e: e.name).map(lambda es: {e.name: e for e in es})


def others(raw: bytes) -> list[bytes]:
    """Everything of a file but our stanzas and blank lines."""
    page = Page.of(raw)
    ours = {n for e in ("vmbr1", "vmbr2", "a.b-c_d") for s in page.of_name(e) for n in range(s.start, s.end)}
    return [row.rstrip(b"\n") for n, row in enumerate(page.rows) if n not in ours and row.strip()]


@given(FILES, WANTED)
@settings(max_examples=400)
def test_added_and_removed_is_as_before(raw: bytes, wanted: dict[str, Entry]) -> None:
    there, texts = edited(raw, wanted, {})
    assert edited(there, {}, texts) == (raw, {})
    assert there.startswith(raw)


@given(FILES, WANTED, st.randoms(use_true_random=False))
@settings(max_examples=400)
def test_one_by_one_in_any_order_is_as_before_too(raw: bytes, wanted: dict[str, Entry], rng: object) -> None:
    now, texts, kept = raw, {}, dict(wanted)  # type: ignore[var-annotated]
    for step in range(1, len(wanted) + 1):
        now, texts = edited(now, dict(list(wanted.items())[:step]), texts)
    names = list(wanted)
    rng.shuffle(names)  # type: ignore[attr-defined]
    for name in names:
        del kept[name]
        now, texts = edited(now, kept, texts)
        assert all(Page.of(now).lines(n) == e.lines for n, e in kept.items())
    assert (now, texts) == (raw, {})


@given(FILES, WANTED, WANTED, WANTED)
@settings(max_examples=400)
def test_whatever_changes_others_stay_and_ours_are_right(
    raw: bytes, first: dict[str, Entry], second: dict[str, Entry], third: dict[str, Entry]
) -> None:
    now, texts = raw, {}  # type: ignore[var-annotated]
    for wanted in (first, second, third):
        now, texts = edited(now, wanted, texts)
        page = Page.of(now)
        assert others(now) == others(raw)
        assert {name: page.lines(name) for name in wanted} == {n: e.lines for n, e in wanted.items()}
        assert texts.keys() == wanted.keys()
        assert [n for n in page.stanzas if n in ("vmbr1", "vmbr2", "a.b-c_d") and n not in wanted] == []
        assert edited(now, wanted, texts) == (now, texts)


@given(FILES, WANTED, WANTED)
@settings(max_examples=400)
def test_what_was_written_in_other_words_is_found_all_the_same(
    raw: bytes, first: dict[str, Entry], second: dict[str, Entry]
) -> None:
    """Proxmox VE has moved and spaced it in its own way, and the record says something else."""
    there, texts = edited(b"", first, {})
    moved = there.replace(b"\t", b"    ") + b"\nauto zz\niface zz inet manual\n\n" + raw
    now, _ = edited(moved, second, {name: text + b"#" for name, text in texts.items()})
    assert others(now) == others(moved)
    assert {n: Page.of(now).lines(n) for n in second} == {n: e.lines for n, e in second.items()}
    assert [n for n in first if n not in second and Page.of(now).of_name(n)] == []


@given(FILES, WANTED)
def test_what_somebody_edited_in_its_place_is_repaired_and_leaves_no_trace(
    raw: bytes, wanted: dict[str, Entry]
) -> None:
    there, texts = edited(raw, wanted, {})
    harmed = there.replace(b"\tbridge-fd 0\n", b"\tbridge-fd 5\n\tmtu 9000\n")
    mended, texts = edited(harmed, wanted, texts)
    assert mended == there
    assert edited(mended, {}, texts) == (raw, {})


@given(FILES, WANTED)
def test_a_line_that_somebody_puts_right_in_front_stays_whole(raw: bytes, wanted: dict[str, Entry]) -> None:
    """Ticking Autostart puts `auto` there."""
    there, texts = edited(raw, wanted, {})
    ticked = there
    for name in wanted:
        head = f"iface {name} inet ".encode()
        ticked = ticked.replace(b"\n" + head, b"\nauto " + name.encode() + b"\n" + head)
    other = {name: replace(told, comment=("Other",)) for name, told in wanted.items()}
    for step in (wanted, other, {}):
        ticked, texts = edited(ticked, step, texts)
        assert all(b"\nauto " + name.encode() + b"\n" in b"\n" + ticked for name in wanted if raw)


def test_options_behind_a_blank_line_go_with_their_stanza() -> None:
    """They are its options for ifupdown, and would be those of the stanza before if they were left behind."""
    before = b"auto vmbr0\niface vmbr0 inet dhcp\n\n"
    raw = before + TEXT + b"\n\tpost-up rm -rf /\n\n# next\nauto x\n"
    assert edited(raw, {}, {"vmbr1": TEXT})[0] == before + b"# next\nauto x\n"


def test_a_comment_behind_a_blank_line_is_not_ours() -> None:
    raw = edited(b"", {"vmbr1": entry(NETWORK)}, {})[0] + b"# BEGIN somebody's block\nauto x\n"
    assert Page.of(raw).lines("vmbr1") == WANT.lines


def test_a_stanza_of_ours_is_changed_in_its_place() -> None:
    raw = b"iface a inet manual\n\n" + TEXT + b"\niface b inet manual\n"
    told = replace(entry(NETWORK), comment=("Other",))
    now, texts = edited(raw, {"vmbr1": told}, {"vmbr1": TEXT})
    assert now == raw.replace(b"#Internal network", b"#Other")
    assert re.search(rb"#Other\n\Z", texts["vmbr1"])
