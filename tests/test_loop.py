"""The loop on a fake host and a clock that is moved by hand: what it does when, without waiting for it."""

import socket
from typing import Any

import pytest
from running import BAD, ONE, TWO
from stage import ADDRESSES, STOP, Stage, Way

from natnetd.daemon import BLIND_RETRY, LISTEN, SETTLE, VERIFY
from natnetd.host import ALL, Layer, Scope
from natnetd.report import Reason, Traffic
from natnetd.rows import Counter
from natnetd.state import State
from natnetd.wake import Wakeup
from natnetd.words import MANY


def test_everything_is_looked_at_each_minute_of_silence(stage: Stage) -> None:
    stage.play(Wakeup(), Wakeup(), Wakeup())
    assert stage.script.slept == pytest.approx([VERIFY] * 3, abs=0.2)
    assert stage.host.looks == [ALL] * 4


def test_an_event_is_looked_at_where_it_points_and_does_not_put_off_the_minute(stage: Stage) -> None:
    def later() -> Wakeup:
        stage.script.now += 20
        return ADDRESSES

    stage.play(later, Wakeup())
    assert [scope.layers for scope in stage.host.looks] == [ALL.layers, {Layer.ADDRESS}, ALL.layers]
    assert stage.script.slept == pytest.approx([VERIFY - 20], abs=0.2)


def test_lost_events_are_made_good_by_a_look_at_everything(stage: Stage) -> None:
    daemon = stage.play(Wakeup(ADDRESSES.scope, overrun=True))
    assert stage.host.looks == [ALL, ALL]
    assert "natnetd_netlink_overruns_total 1.0" in daemon.public.metrics.render().decode()


def test_a_dnsmasq_whose_interface_has_changed_is_looked_at_when_it_has_settled(stage: Stage) -> None:
    stage.play(ADDRESSES, Wakeup(), Wakeup(), text=ONE + "    dns: true\n")
    assert stage.host.looks == [ALL, ADDRESSES.scope, ALL, ALL]
    assert stage.script.slept == pytest.approx([LISTEN, VERIFY], abs=0.2)


def test_a_way_that_is_away_for_a_moment_is_looked_at_again(stage: Stage) -> None:
    """A look at something else saw that, and its news comes when it is as it was: it tells nothing."""
    table = Wakeup(Scope(None, frozenset({Layer.NFT})))

    def away() -> Wakeup:
        stage.host.auto = frozenset()
        return table

    stage.way, stage.host.auto = Way(), frozenset({"vmbr0"})
    stage.play(table, away, ADDRESSES, text=ONE.replace("uplink: vmbr0", "uplink: auto"))
    assert stage.host.looks == [ALL, table.scope, table.scope, ALL, ADDRESSES.scope]
    assert stage.way.known == (frozenset(), frozenset())


def test_signs_of_life_come_in_silence_from_the_start(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    stage.play()  # the next start finds everything true and goes to sleep at once
    stage.play(*[Wakeup()] * 4)
    assert stage.script.slept == pytest.approx([15.0] * 4, abs=0.2)


def test_drift_found_by_the_minutes_look_is_repaired_and_said_so(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    def silently() -> None:
        stage.host.addresses["vmbr1"].clear()

    daemon = stage.play(silently)
    assert "drift: + address 10.0.0.1/16 on vmbr1; repaired in" in caplog.text
    assert daemon.public.report.reason is Reason.VERIFY
    text = daemon.public.metrics.render().decode()
    assert 'change="missing",kind="address",layer="address",source="verify"} 1.0' in text


def test_a_blind_look_is_tried_again_each_second_and_said(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    def struck() -> Wakeup:
        stage.host.blind = True
        return ADDRESSES

    def healed() -> Wakeup:
        assert stage.published()["blind"] == "cannot read from the kernel: no"
        assert stage.published()["networks"][0]["state"] == "failed"
        stage.host.blind = False
        return Wakeup()

    stage.play(struck, Wakeup(), healed)
    assert stage.script.slept == pytest.approx([BLIND_RETRY] * 2, abs=0.2)
    assert "cannot look at the host: cannot read from the kernel: no" in caplog.text
    assert stage.published()["blind"] == ""


def test_what_a_blind_look_was_to_see_is_seen_by_the_next_one(stage: Stage) -> None:
    """The next one may come before its time, and be told to look elsewhere."""

    def struck() -> Wakeup:
        stage.host.blind = True
        return ADDRESSES

    def healed() -> Wakeup:
        stage.host.blind = False
        stage.host.addresses["vmbr1"].clear()
        return Wakeup(Scope(frozenset(), frozenset({Layer.NFT})))

    def mended() -> Wakeup:
        assert "10.0.0.1/16" in str(stage.host.addresses["vmbr1"])
        return STOP

    stage.play(struck, healed, mended)


def test_what_failed_is_tried_again_in_its_time_and_told_as_failed_meanwhile(stage: Stage) -> None:
    states: list[str] = []

    def told() -> Wakeup:
        states.append(stage.published()["networks"][0]["state"])
        return Wakeup()

    def elsewhere() -> Wakeup:
        told()
        return Wakeup(Scope(None, frozenset({Layer.NFT}), host=False), rung=True)

    def healed() -> Wakeup:
        stage.host.broken = frozenset()
        return told()

    stage.host.broken = frozenset({"vmbr1"})
    daemon = stage.play(told, elsewhere, told, healed, *[Wakeup()] * 20, told)
    assert states == ["failed"] * 4 + ["in_sync"]
    assert 0.1 <= stage.script.slept[0] < 0.12
    assert daemon.before.troubles == {}


def test_news_of_the_table_waits_in_a_fight_over_the_table_only(stage: Stage) -> None:
    """Else its loss would wait for the minute's look: the retry of a switch looks at no table."""

    def switched_off() -> Wakeup:
        stage.host.ip_forward = False
        return Wakeup(Scope(frozenset(), frozenset({Layer.SYSCTL})))

    def table_lost() -> Wakeup:
        assert not stage.host.ip_forward, "there is no fight"
        stage.host.table = None
        return Wakeup(Scope(None, frozenset({Layer.NFT})))

    def back() -> Wakeup:
        assert stage.host.table is not None
        return Wakeup()

    stage.play(*[switched_off] * 12, table_lost, back)


def test_a_changed_file_is_left_alone_for_a_moment_and_then_read(stage: Stage) -> None:
    def saved() -> Wakeup:
        stage.write(TWO)
        return Wakeup(file=True)

    stage.play(saved, Wakeup())
    assert stage.script.slept == pytest.approx([SETTLE], abs=0.01)
    assert "vmbr2" in stage.host.links


def test_a_change_of_the_file_that_nobody_told_of_is_found_within_a_minute(stage: Stage) -> None:
    stage.play(lambda: stage.write(TWO))
    assert stage.script.slept == pytest.approx([VERIFY], abs=0.2)
    assert "vmbr2" in stage.host.links
    assert stage.follows == pytest.approx([1000.0 + VERIFY], abs=0.2)


def test_a_bad_file_is_not_read_out_each_minute(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.play(lambda: stage.write(BAD), Wakeup(), Wakeup(), Wakeup())
    assert caplog.text.count("10.0.0.300") == 1


def test_a_port_that_is_taken_is_tried_again_each_minute(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        seen: list[bool] = []

        def free() -> Wakeup:
            squatter.close()
            return Wakeup()

        def open_now() -> Wakeup:
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                seen.append(True)
            return STOP

        text = ONE.replace("metrics: false", f"metrics: {{listen: 127.0.0.1:{port}}}")
        stage.play(Wakeup(), free, open_now, text=text)
    assert seen == [True]
    assert caplog.text.count(f"cannot serve metrics at 127.0.0.1:{port}") == 2


def test_a_finding_is_said_and_published_when_it_comes_and_when_it_goes(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    links = Wakeup(Scope(None, frozenset({Layer.LINK, Layer.ADDRESS, Layer.SYSCTL})))
    uplink = stage.host.links["vmbr0"]

    def gone() -> Wakeup:
        del stage.host.links["vmbr0"]
        return links

    def back() -> Wakeup:
        assert stage.published()["networks"][0]["state"] == "waiting"
        stage.host.links["vmbr0"] = uplink
        return links

    stage.play(gone, links, links, back)
    assert caplog.text.count("? waiting vmbr1: uplink vmbr0") == 1
    assert stage.published()["networks"][0]["state"] == "in_sync"


def test_counters_are_kept_at_the_end_and_on_each_scrape(stage: Stage) -> None:
    seen: list[int] = []

    def counted(packets: int) -> Any:
        def act() -> Wakeup:
            seen.append(State(stage.directory / "state").tally().total.elements.get(name, Counter()).packets)
            stage.host.traffic = Traffic({name: Counter(packets, packets)})
            return Wakeup(rung=True)

        return act

    name = "tx vmbr1"
    stage.play(counted(5), counted(3), counted(7))
    stage.host.table = None
    stage.play(counted(8), text=None)
    assert seen == [0, 5, 8, 12]
    assert State(stage.directory / "state").tally().total.elements[name] == Counter(13, 13)


def test_counters_that_cannot_be_read_stop_no_scrape(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    def struck() -> Wakeup:
        stage.host.blind = True
        return Wakeup(rung=True)

    daemon = stage.play(struck)
    assert "cannot read the counters: cannot read nftables: no" in caplog.text
    assert daemon.public.metrics.samples >= 2


def test_many_changes_are_told_in_few_lines(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    networks = "\n".join(f"  n{i}: {{addresses: 10.{i}.0.1/24}}" for i in range(50))
    stage.play(text=f"metrics: false\nnetworks:\n{networks}\n")
    told = [r.message for r in caplog.records if r.message.startswith("start: ")]
    assert len(told) == MANY + 1
    assert told[-1].startswith("start: and ")


def test_without_a_good_file_nothing_is_touched_whatever_happens(stage: Stage) -> None:
    stage.play(ADDRESSES, Wakeup(), Wakeup(reload=True), Wakeup(rung=True), text=BAD)
    assert (stage.host.looks, stage.host.writes) == ([], 0)
    assert stage.published()["waiting"] is True


def test_counters_survive_a_time_without_a_good_file(stage: Stage) -> None:
    def counted() -> Wakeup:
        stage.host.traffic = Traffic({"tx vmbr1": Counter(5, 5)})
        return Wakeup(rung=True)

    stage.play(counted)
    (stage.directory / "state" / "last-good.yaml").unlink()
    stage.play(Wakeup(rung=True), text=BAD)
    assert State(stage.directory / "state").tally().total.elements["tx vmbr1"] == Counter(5, 5)
