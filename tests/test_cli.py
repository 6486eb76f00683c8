"""The command line as a process: exit codes, what it needs, and what it does to terminals and pipes."""

import json
import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest
from running import BAD, NATNETD, ONE, TWO, natnetd, run, start, undone, written
from test_daemon_place import RIGHTLESS

from natnetd.cli import PACKAGES, VERBS
from natnetd.lab.netns import Namespace
from natnetd.lab.world import World

# --- exit codes


@pytest.mark.parametrize(
    "words",
    [[], ["frob"], ["plan", "--frob"], ["run", "x"], ["--log-level", "loud", "plan"], ["status", "a", "b"]],
)
def test_a_usage_error_is_64_and_is_told_on_stderr(tmp_path: Path, words: list[str]) -> None:
    done = run(tmp_path, *words)
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith("usage: natnetd ")


def test_help_and_version_are_no_errors(tmp_path: Path) -> None:
    for verb, told in VERBS.items():
        shown = natnetd(tmp_path, verb, "--help")
        assert shown.startswith(f"usage: natnetd {verb} ")
        assert told[1:] in " ".join(shown.split())
    listed = natnetd(tmp_path, "--help")
    assert [verb for verb in VERBS if f"    {verb} " not in listed] == []
    assert natnetd(tmp_path, "--version").startswith("natnetd 0.")


def test_each_state_of_the_host_has_its_exit_codes(world: World, directory: Path) -> None:
    def codes() -> dict[str, int]:
        return {verb: run(directory, verb).returncode for verb in ("check", "plan", "status")}

    written(directory)
    assert codes() == {"check": 0, "plan": 2, "status": 2}
    natnetd(directory, "apply")
    assert codes() == {"check": 0, "plan": 0, "status": 0}
    world.host.ip("link set vmbr0 name vmbr8")
    assert codes() == {"check": 0, "plan": 0, "status": 2}  # waiting for its uplink
    natnetd(directory, "apply")
    world.host.ip("link del vmbr1", "link add vmbr1 type veth peer name other")
    assert codes() == {"check": 0, "plan": 1, "status": 2}  # a conflict
    natnetd(directory, "apply", code=1)
    written(directory, BAD)
    assert codes() == {"check": 1, "plan": 1, "status": 1}
    natnetd(directory, "apply", code=1)
    natnetd(directory, "teardown")


def test_the_file_may_be_named_before_and_after_the_verb(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "natnetd.yaml"
    good.write_text(ONE, "utf-8")
    bad.write_text(BAD, "utf-8")
    assert natnetd(tmp_path, "check", code=1) == ""
    assert natnetd(tmp_path, "check", "--config", str(good)) == f"{good}: good, 1 network\n"
    assert natnetd(tmp_path, "check", str(good)) == f"{good}: good, 1 network\n"


# --- what it needs


def test_a_snapshot_gives_the_same_plan_without_kernel_rights_or_libraries(
    world: World, directory: Path
) -> None:
    written(directory, TWO)
    natnetd(directory, "apply")
    world.host.ip("address del 10.0.0.1/16 dev vmbr1")
    world.host.check(["nft", 'delete element inet natnetd snat4 { "vmbr2" }'])
    recorded = natnetd(directory, "snapshot")
    (directory / "seen.json").write_text(recorded, "utf-8")
    now = natnetd(directory, "plan", code=2)
    assert now == "+ nat snat4 vmbr2\n+ address 10.0.0.1/16 on vmbr1\n"
    words = [*RIGHTLESS, *NATNETD, "--config", str(directory / "natnetd.yaml"), "plan", "--snapshot"]
    libraries = stubs(directory / "stubs", "pyroute2", "nftables")
    with Namespace.new("elsewhere") as elsewhere:
        asked = elsewhere.popen(
            [*words, str(directory / "seen.json")],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(libraries)},
        )
        assert asked.communicate(timeout=10)[0] == now
        assert asked.returncode == 2


def stubs(directory: Path, *names: str) -> Path:
    """Make modules that say they are not installed."""
    directory.mkdir(exist_ok=True)
    for name in names:
        (directory / f"{name}.py").write_text(f"raise ModuleNotFoundError('no', name={name!r})\n", "utf-8")
    return directory


@pytest.mark.parametrize(
    ("library", "verb"),
    [
        ("yaml", "check"),
        ("pyroute2", "plan"),
        ("nftables", "status"),
        ("systemd", "apply"),
        ("prometheus_client", "run"),
    ],
)
def test_a_missing_library_is_named_with_its_package(tmp_path: Path, library: str, verb: str) -> None:
    written(tmp_path)
    done = run(tmp_path, verb, PYTHONPATH=str(stubs(tmp_path / "stubs", library)))
    package = f"python3-{library.replace('_', '-')}"
    assert PACKAGES[library] == package
    assert done.returncode == 1
    assert done.stderr == f"natnetd: cannot import {library}: install the package {package}\n"


def test_check_and_schema_need_no_library_of_the_kernel_and_no_rights(tmp_path: Path) -> None:
    written(tmp_path)
    libraries = str(stubs(tmp_path / "stubs", "pyroute2", "nftables", "systemd", "prometheus_client"))
    assert natnetd(tmp_path, "check", PYTHONPATH=libraries).endswith("good, 1 network\n")
    schema = json.loads(natnetd(tmp_path, "schema", PYTHONPATH=libraries))
    assert schema["$schema"].startswith("https://json-schema.org/")


@pytest.mark.parametrize("verb", ["plan", "apply", "snapshot", "teardown", "status"])
def test_without_rights_a_verb_says_so_in_one_line(host: Namespace, directory: Path, verb: str) -> None:
    written(directory)
    words = [*RIGHTLESS, *NATNETD, "--config", str(directory / "natnetd.yaml"), verb]
    with host.popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (1, "")
    assert err == "natnetd: needs CAP_NET_ADMIN: run it as root or by its systemd unit\n"


# --- logs, terminals and pipes


def test_debug_prints_each_nft_text(world: World, directory: Path) -> None:
    written(directory)
    done = run(directory, "apply", "--log-level", "debug")
    assert "add table inet natnetd" in done.stderr
    assert 'add element inet natnetd nets { "vmbr1" }' in done.stderr
    assert "table inet" not in run(directory, "--log-level", "info", "teardown").stderr
    assert undone(directory) != ()
    assert world.host.up("vmbr0")


def on_a_terminal(directory: Path, *words: str, **env: str) -> str:
    """Run a verb with a terminal for its output, and return what that got."""
    ours, theirs = pty.openpty()
    command = [*NATNETD, "--config", str(directory / "natnetd.yaml"), *words]
    subprocess.run(command, stdout=theirs, check=False, timeout=20, env={**os.environ, **env})
    os.close(theirs)
    found = b""
    while True:
        try:
            found += os.read(ours, 65536)
        except OSError:  # the other end is closed, and all is read
            os.close(ours)
            return found.decode()


def test_colour_is_for_terminals_that_want_it(host: Namespace, directory: Path) -> None:
    assert host.up("lo")
    written(directory)
    plain = natnetd(directory, "plan", code=2)
    assert "\x1b" not in plain
    coloured = on_a_terminal(directory, "plan", NO_COLOR="")
    assert "\x1b[32m+ nft table inet natnetd\x1b[0m" in coloured
    assert "\x1b[33m~ forwarding" in coloured
    assert on_a_terminal(directory, "plan", NO_COLOR="1").replace("\r\n", "\n") == plain


def test_a_terminal_that_knows_no_arrows_gets_the_rest(host: Namespace, directory: Path) -> None:
    assert host.up("lo")
    written(directory)
    shown = natnetd(directory, "plan", code=2, PYTHONIOENCODING="ascii")
    assert "~ forwarding net.ipv4.ip_forward value 0 \\u2192 1" in shown


def test_names_and_aliases_that_are_no_text_do_no_harm(world: World, directory: Path) -> None:
    world.host.check(["sh", "-ec", "ip link add $(printf 'x\\377') type bridge"])
    with start(world.host, directory) as service:
        world.host.check(["sh", "-ec", "ip link set vmbr1 alias $(printf 'a\\377')"])
        service.wait_line("drift: ~ bridge vmbr1 alias", "repaired in")
        assert '"x\\udcff"' in natnetd(directory, "snapshot")
        assert "alias a\\udcff → Internal network" in natnetd(directory, "status")
        assert json.loads(natnetd(directory, "status", "--json"))["drifts"]


@pytest.mark.parametrize("verb", ["schema", "snapshot"])
def test_a_reader_that_goes_away_is_no_reason_for_a_traceback(
    host: Namespace, directory: Path, verb: str
) -> None:
    assert host.up("lo")
    reading, writing = os.pipe()
    os.close(reading)
    words = [*NATNETD, "--config", str(written(directory)), verb]
    done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, check=False, timeout=20)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_watching_ends_quietly_with_an_interrupt(host: Namespace, directory: Path) -> None:
    written(directory)
    words = [*NATNETD, "--config", str(directory / "natnetd.yaml"), "status", "--watch"]
    with host.popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("no daemon is running")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10)[1] == ""
    assert process.returncode == 130
