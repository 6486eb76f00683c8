"""What each verb prints, word for word, in tests/golden/*.txt."""

from pathlib import Path

import pytest
from running import BAD, ONE, TWO, converged, reloaded, start, written
from transcript import Transcript

from natnetd.lab.netns import Namespace
from natnetd.lab.traffic import ping
from natnetd.lab.world import World


@pytest.fixture
def transcript(request: pytest.FixtureRequest, directory: Path) -> Transcript:
    """Give each test a transcript of its own name."""
    return Transcript(request.node.name.removeprefix("test_"), directory)


def test_first_use(transcript: Transcript, world: World, directory: Path) -> None:
    assert world.host.up("vmbr0")
    written(directory, TWO)
    for words in (
        "check",
        "plan",
        "status",
        "apply",
        "apply",
        "plan",
        "status",
        "status vmbr2",
        "status nope",
    ):
        transcript.natnetd(*words.split())
    assert transcript.matches()


def test_drift(transcript: Transcript, world: World, directory: Path) -> None:
    written(directory, TWO)
    transcript.natnetd("apply")
    transcript.note("somebody breaks things")
    world.host.ip("address del 10.0.0.1/16 dev vmbr1", "link set vmbr1 mtu 1400", "link set vmbr2 down")
    world.host.check(["nft", 'delete element inet natnetd snat4 { "vmbr2" }'])
    world.host.check(["nft", 'add element inet natnetd pairs { "vmbr1" . "vmbr2" }'])
    world.host.check(["nft", "insert rule inet natnetd forward accept"])
    for words in ("plan", "plan --json", "status", "apply", "plan"):
        transcript.natnetd(*words.split())
    assert transcript.matches()


def test_findings(transcript: Transcript, host: Namespace, directory: Path) -> None:
    written(directory, TWO)
    transcript.note("vmbr1 is something else, and there is no uplink")
    host.ip("link add vmbr1 type veth peer name other")
    for words in ("plan", "apply", "plan", "status"):
        transcript.natnetd(*words.split())
    assert transcript.matches()


def test_adoption_and_guests(transcript: Transcript, world: World, directory: Path) -> None:
    transcript.note("vmbr1 was there before")
    world.host.ip("link add vmbr1 up type bridge", "link set vmbr1 mtu 1400")
    written(directory, TWO)
    for words in ("plan", "apply", "status"):
        transcript.natnetd(*words.split())
    transcript.note("guests come, and vmbr2 is taken out of the file")
    world.guest("web", "vmbr1", "10.0.0.2/16")
    world.guest("db", "vmbr2", "10.20.0.2/24", kind="tap")
    written(directory, ONE)
    for words in ("plan", "apply", "plan", "status", "apply --force --json", "plan"):
        transcript.natnetd(*words.split())
    assert transcript.matches()
    assert "tap101i0" in world.host.check(["ip", "link", "show", "tap101i0"])


def test_teardown(transcript: Transcript, world: World, directory: Path) -> None:
    written(directory, TWO)
    transcript.natnetd("apply")
    transcript.note("a guest is plugged in")
    world.guest("web", "vmbr1", "10.0.0.2/16")
    for words in ("teardown", "teardown", "teardown --json", "status"):
        transcript.natnetd(*words.split())
    assert transcript.matches()
    assert world.host.check(["nft", "list", "ruleset"]) == ""
    assert "1851880548" not in world.host.check(["ip", "-d", "link"])
    assert "master" not in world.host.check(["ip", "link", "show", "veth100i0"])


def test_bad_files(transcript: Transcript, host: Namespace, directory: Path) -> None:
    assert host.up("lo")
    transcript.natnetd("check")
    written(directory, BAD.replace("nat:", "nta:"))
    for words in ("check", "plan", "apply", "status"):
        transcript.natnetd(*words.split())
    written(directory, "")
    for words in ("check", "plan", "apply", "status"):
        transcript.natnetd(*words.split())
    (directory / "broken.json").write_text('{"links": 3}', "utf-8")
    written(directory)
    transcript.natnetd("plan", "--snapshot", f"{directory}/broken.json")
    transcript.natnetd("plan", "--snapshot", f"{directory}/missing.json")
    assert transcript.matches()


def test_with_the_service(transcript: Transcript, world: World, directory: Path) -> None:
    with start(world.host, directory, TWO) as service:
        world.guest("web", "vmbr1", "10.0.0.2/16")
        reloaded(service)
        for words in ("status", "status vmbr1 --json", "status nope", "plan", "apply", "teardown"):
            transcript.natnetd(*words.split())
        transcript.note("somebody breaks things")
        world.host.check(["nft", "flush", "ruleset"])
        service.wait_line("drift: + nft table")
        assert converged(directory)
        transcript.natnetd("status")
        transcript.note("the file becomes bad")
        written(directory, BAD)
        service.wait_line("stays in force")
        transcript.natnetd("status")
    transcript.note("the service has stopped")
    transcript.natnetd("status")
    assert transcript.matches()


def test_guests(transcript: Transcript, world: World, directory: Path) -> None:
    bridged = Path("/proc/sys/net/bridge/bridge-nf-call-ip6tables")
    if bridged.exists():  # else guests' own IPv6 chatter is forwarded too, some time
        bridged.write_text("0", "ascii")
    counting = TWO.replace("vmbr1:\n", "vmbr1:\n    count_guests: true\n", 1)
    written(directory, counting)
    transcript.natnetd("apply")
    for words in ("status --guests", "top --once --interval 0.1"):
        transcript.natnetd(*words.split())
    transcript.note("guests send")
    web = world.guest("web", "vmbr1", "10.0.0.2/16", "10.0.0.1")
    db = world.guest("db", "vmbr2", "10.20.0.2/24", "10.20.0.1")
    assert ping(web.ns, "198.51.100.7", 3)
    assert ping(db.ns, "198.51.100.7")
    for words in (
        "status --guests",
        "status vmbr2 --guests",
        "top --once --interval 0.1",
        "top vmbr2 --once --interval 0.1",
        "top vmbr1 --json --interval 0.1",
        "top nope",
    ):
        transcript.natnetd(*words.split())
    assert transcript.matches()
