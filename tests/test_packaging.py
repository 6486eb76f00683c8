"""What the package is made of: the unit, and files that must agree with each other and with the program."""

import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from natnetd import __version__, config
from natnetd.cli import DEFAULT_FILE, PACKAGES, VERBS
from natnetd.file.schema import CHAPTERS
from natnetd.rows import GROUP
from natnetd.state import RUNTIME_DIRECTORY, STATE_DIRECTORY

HOME = Path(__file__).parents[1]
PACKAGING = HOME / "packaging"
UNIT = PACKAGING / "systemd" / "natnetd.service"
SERVED_UNIT = PACKAGING / "systemd" / "natnetd-dnsmasq@.service"
CONFFILE = PACKAGING / "etc" / "natnetd.yaml"
MACROS = {".TH", ".SH", ".SS", ".PP", ".TP", ".IP", ".RS", ".RE", ".EX", ".EE"}


def analyze(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make the root of a system that has the binaries the unit names."""
    for path in ("/usr/bin/natnetd", "/usr/bin/kill", "/bin/kill", "/usr/bin/true"):
        program = tmp_path / path[1:]
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n", "ascii")
        program.chmod(0o755)
    place = tmp_path / "etc/systemd/system"
    place.mkdir(parents=True)
    for name in ("sysinit.target", "basic.target", "shutdown.target", "multi-user.target"):
        (place / name).write_text("[Unit]\nDefaultDependencies=no\n", "ascii")
    return tmp_path


def verified(root: Path, text: str) -> "subprocess.CompletedProcess[str]":
    (root / "etc/systemd/system/natnetd.service").write_text(text, "utf-8")
    return analyze("verify", "--man=no", "--recursive-errors=no", f"--root={root}", "natnetd.service")


def test_systemd_understands_the_unit(root: Path) -> None:
    done = verified(root, UNIT.read_text("utf-8"))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_mistake_in_the_unit_would_be_seen(root: Path) -> None:
    wrong = UNIT.read_text("utf-8").replace("NoNewPrivileges=yes", "NoNewPrivilege=yes")
    assert verified(root, wrong).returncode != 0


def test_the_unit_leaves_little_to_attack() -> None:
    done = analyze("security", "--offline=yes", "--threshold=17", str(UNIT))
    assert done.returncode == 0, done.stdout


def test_the_unit_names_verbs_and_directories_that_exist() -> None:
    text = UNIT.read_text("utf-8")
    started = re.findall(r"^Exec\w+=/usr/bin/natnetd (\w+)", text, re.MULTILINE)
    assert started == ["run", "check"]
    assert set(started) <= set(VERBS)
    assert f"/run/{re.search(r'^RuntimeDirectory=(.+)$', text, re.MULTILINE)[1]}" == RUNTIME_DIRECTORY  # type: ignore[index]
    assert f"/var/lib/{re.search(r'^StateDirectory=(.+)$', text, re.MULTILINE)[1]}" == STATE_DIRECTORY  # type: ignore[index]


@pytest.mark.parametrize(
    "line",
    [
        "Type=notify",
        "Restart=always",
        "StartLimitIntervalSec=0",
        "KillMode=mixed",
        "Nice=-10",
        "CPUWeight=1000",
        "User=natnetd",
        "RuntimeDirectoryMode=0755",
        "UMask=0022",
        "AmbientCapabilities=CAP_NET_ADMIN",
        "CapabilityBoundingSet=CAP_NET_ADMIN",
        "ReadWritePaths=/proc/sys/net",
    ],
)
def test_what_the_service_cannot_do_without_is_there(line: str) -> None:
    assert line in UNIT.read_text("utf-8").splitlines()


def told_by_unit(key: str) -> list[str]:
    """Return all values of a key of the unit."""
    return " ".join(re.findall(rf"^{key}=(.+)$", UNIT.read_text("utf-8"), re.MULTILINE)).split()


def test_the_unit_comes_after_firewalls_and_before_whoever_needs_a_bridge() -> None:
    assert {"nftables.service", "ufw.service", "firewalld.service"} <= set(told_by_unit("After"))
    assert {"pve-guests.service", "libvirtd.service", "docker.service"} <= set(told_by_unit("Before"))
    assert "network-online.target" not in told_by_unit("After") + told_by_unit("Wants")


def test_the_boot_waits_for_a_bounded_time() -> None:
    (seconds,) = told_by_unit("TimeoutStartSec")
    assert 0 < int(seconds) <= 60


def test_the_user_of_the_unit_is_made_by_the_package() -> None:
    made = (PACKAGING / "sysusers" / "natnetd.conf").read_text("utf-8")
    users = [*told_by_unit("User"), *re.findall("^User=(.*)", SERVED_UNIT.read_text("utf-8"), re.MULTILINE)]
    assert re.findall(r"^u\s+(\S+)", made, re.MULTILINE) == users


def test_systemd_understands_the_unit_of_dnsmasq(root: Path) -> None:
    program = root / "usr/sbin/dnsmasq"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n", "ascii")
    program.chmod(0o755)
    (root / "etc/systemd/system" / SERVED_UNIT.name).write_text(SERVED_UNIT.read_text("utf-8"), "utf-8")
    instance = SERVED_UNIT.name.replace("@", "@vmbr1.0123456789ab")
    done = analyze("verify", "--man=no", "--recursive-errors=no", f"--root={root}", instance)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_of_dnsmasq_has_three_capabilities_and_no_program_to_run() -> None:
    done = analyze("security", "--offline=yes", "--threshold=30", str(SERVED_UNIT))
    assert done.returncode == 0, done.stdout
    text = SERVED_UNIT.read_text("utf-8")
    (bounds,) = re.findall("^CapabilityBoundingSet=(.*)", text, re.MULTILINE)
    assert bounds.split() == ["CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_NET_ADMIN"]
    assert re.findall("^(?:No)?ExecPaths=(.*)", text, re.MULTILINE) == [
        "/",
        "/usr/sbin/dnsmasq /usr/lib /lib /lib64",
    ]


def debian(name: str) -> str:
    return (PACKAGING / "debian" / name).read_text("utf-8")


def test_all_say_the_same_version() -> None:
    project = tomllib.loads((HOME / "pyproject.toml").read_text("utf-8"))["project"]
    logged = re.match(r"natnetd \(([^)]+)\)", debian("changelog"))
    assert logged
    assert (project["version"], logged[1]) == (__version__, __version__)
    assert f"## {__version__}" in (HOME / "CHANGELOG.md").read_text("utf-8")


def test_the_package_wants_what_the_project_wants() -> None:
    """The floors of pyproject.toml, at least, and every package that a missing module's message names."""
    project = tomllib.loads((HOME / "pyproject.toml").read_text("utf-8"))["project"]
    names = {"PyYAML": "yaml", "systemd-python": "systemd"}
    wanted = dict(word.split(">=") for word in project["dependencies"])
    floors = {f"python3-{names.get(name, name)}": floor for name, floor in wanted.items()}
    depends = re.search(r"^Depends:(.*?)^\S", debian("control"), re.MULTILINE | re.DOTALL)
    assert depends
    bounds = dict(re.findall(r"^ (python3\S*) \(>= ([^)]+)\)", depends[1], re.MULTILINE))
    assert bounds.pop("python3") == project["requires-python"].removeprefix(">=")
    assert set(bounds) == set(PACKAGES.values())
    assert bounds == {**floors, "python3-nftables": bounds["python3-nftables"]}


def test_no_part_of_the_program_is_left_out() -> None:
    listed = tomllib.loads((HOME / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    there = {".".join(p.parent.relative_to(HOME).parts) for p in (HOME / "natnetd").rglob("__init__.py")}
    assert set(listed) == there


def test_the_first_file_asks_for_nothing() -> None:
    assert config.load(CONFFILE).networks == {}
    assert f"packaging{DEFAULT_FILE} etc" in debian("natnetd.install")


def test_the_example_in_the_first_file_is_good_once_it_counts() -> None:
    """Prose is "# Text"; what may count is "#key", or indented further."""
    text = CONFFILE.read_text("utf-8").replace("networks: {}\n", "")
    counting = re.sub(r"^#(?! \S)", "", text, flags=re.MULTILINE)
    example = config.parse(counting, "example")
    assert list(example.networks) == ["vmbr1", "vmbr2", "vault"]


@pytest.mark.parametrize(
    "path",
    [
        "udev/73-natnetd.rules",
        "debian/natnetd.postinst",
        "debian/natnetd.prerm",
        "debian/natnetd.postrm",
        "man/natnetd.8.md",
    ],
)
def test_all_know_the_mark_of_our_bridges(path: str) -> None:
    assert set(re.findall(r"\b\d{10}\b", (PACKAGING / path).read_text("utf-8"))) == {str(GROUP)}


def test_networkd_leaves_alone_what_the_udev_rule_marks() -> None:
    rule = (PACKAGING / "udev" / "73-natnetd.rules").read_text("utf-8")
    marks = dict(re.findall(r'ENV\{(\w+)\}="(\w+)"', rule))
    assert marks == {"NM_UNMANAGED": "1", "ID_NET_MANAGED_BY": "natnetd"}
    network = (PACKAGING / "networkd" / "05-natnetd.network").read_text("utf-8").splitlines()
    assert f"Property=ID_NET_MANAGED_BY={marks['ID_NET_MANAGED_BY']}" in network
    assert "Unmanaged=yes" in network


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the manual pages and the completions."""
    place = tmp_path_factory.mktemp("pages")
    env = {**os.environ, "PYTHONPATH": str(HOME), "SOURCE_DATE_EPOCH": "1795507200"}
    for tool in ("manual.py", "completion.py"):
        subprocess.run([sys.executable, HOME / "tools" / tool, place], env=env, check=True)
    return place


def plain(page: str) -> str:
    """Return a page without fonts and escapes of single characters."""
    return re.sub(r"\\f[BIR]", "", page).replace("\\-", "-").replace("\\(aq", "'")


def test_the_page_of_the_commands_knows_each_verb(pages: Path) -> None:
    page = plain((pages / "natnetd.8").read_text("utf-8"))
    assert page.startswith(f'.TH NATNETD 8 2026-11-24 "natnetd {__version__}"')
    for name in VERBS:
        assert re.search(rf'^\.SS "{name}\b', page, re.MULTILINE)
    for option in ("--config FILE", "--force", "--snapshot FILE", "--watch", "NETWORK"):
        assert f"\n.TP\n{option}\n" in page
    for title in ("EXIT STATUS", "SIGNALS", "ENVIRONMENT", "FILES"):
        assert f'\n.SH "{title}"\n' in page


def test_the_page_of_the_file_knows_each_key(pages: Path) -> None:
    page = plain((pages / "natnetd.yaml.5").read_text("utf-8"))
    for _title, section in CHAPTERS:
        for key in section.keys:
            assert f'\n.SS "{key.name}"\n' in page


@pytest.mark.parametrize("name", ["natnetd.8", "natnetd.yaml.5"])
def test_no_line_of_a_page_is_a_request_by_accident(pages: Path, name: str) -> None:
    lines = (pages / name).read_text("utf-8").splitlines()
    assert {line.split()[0] for line in lines if line[:1] in (".", "'")} <= MACROS
    assert not [line for line in lines if "`" in line or "**" in line or "<!--" in line]


def test_text_that_looks_like_a_request_is_none() -> None:
    made = runpy.run_path(str(HOME / "tools" / "roff.py"))["page"]
    page = made("x", 1, "2026-11-24", "1", "## A\n\n.nf `'a-b`\n\n'so c\n\n```\n.x - '\\\n```\n")
    assert page.splitlines()[2:] == [
        "\\&.nf \\fB\\(aqa\\-b\\fR",
        ".PP",
        "\\&'so c",
        ".PP",
        ".RS 4",
        ".EX",
        "\\&.x \\- \\(aq\\e",
        ".EE",
        ".RE",
    ]


STATUS = """natnetd() {
    printf '%s\\n' 'natnetd[1] keeps it' '' 'NETWORK  STATE' 'vmbr1    in sync' 'vault    failed' '' '! note'
}"""


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("natnetd st", ["status"]),
        ("natnetd --config x te", ["teardown"]),
        ("natnetd plan --s", ["--snapshot"]),
        ("natnetd plan --f", []),
        ("natnetd --log-level w", ["warning"]),
        ("natnetd status v", ["vmbr1", "vault"]),
        ("natnetd check pyp", ["pyproject.toml"]),
        ("natnetd plan pyp", []),
        ("natnetd plan --snapshot pyp", ["pyproject.toml"]),
    ],
)
def test_bash_completes(pages: Path, typed: str, offered: list[str]) -> None:
    words = typed.split()
    script = f"""source {pages}/bash/natnetd
        {STATUS}
        COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _natnetd; printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "-c", script], cwd=HOME, capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == (offered, "")


@pytest.mark.parametrize("name", ["zsh/_natnetd", "fish/natnetd.fish"])
def test_other_shells_know_each_verb(pages: Path, name: str) -> None:
    text = (pages / name).read_text("utf-8")
    for verb in VERBS:
        assert re.search(rf"'{verb}:|-a {verb} -d '", text)
    assert text.count("_natnetd_networks") >= 2
