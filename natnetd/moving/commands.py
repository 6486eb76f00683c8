"""From a line of shell to facts: the programs that the how-to and its relatives use."""

from collections.abc import Callable, Iterator

from natnetd.moving import links, rules
from natnetd.moving.facts import (
    Fact,
    Foreign,
    Forwarding,
    Nothing,
    Ruled,
    Unclear,
)
from natnetd.moving.shell import Simple, Unreadable, split

PROC = "/proc/sys/"
GLOBAL = ("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding")
SHELLS = ("sh", "bash", "dash")
DEEPEST = 3  # shells in shells
UNKNOWN = "is a program that natnetd does not know: what it does is not imported"


def understand(line: str, iface: str, depth: int = 0) -> Iterator[Fact]:
    """Yield what a line does, command by command; $IFACE stands for `iface`."""
    try:
        commands = list(split(line, iface))
    except Unreadable as reason:
        yield Unclear(str(reason))
        return
    while commands:
        command = stripped(commands.pop(0))
        if commands and commands[0].joined == "|":
            after = stripped(commands.pop(0))
            piped = is_tee(command, after) and not (commands and commands[0].joined == "|")
            if not piped:
                yield Unclear("hands one program's output to another (|)")
                return
            command = Simple(command.words, command.joined, after.words[-1])
        if command.words and base(command) in SHELLS:
            yield from shell(command, iface, depth)
        elif base(command) == "sysctl":
            yield from sysctl(command)
        else:
            yield fact(command)


def stripped(command: Simple) -> Simple:
    """Take away words that only say who runs it."""
    words = command.words
    while words and words[0].rpartition("/")[2] in ("sudo", "exec", "command", "nohup"):
        words = words[1:]
    return Simple(words, command.joined, command.into, command.source)


def is_tee(command: Simple, after: Simple) -> bool:
    """Whether `echo 1 | tee FILE` is meant."""
    return base(command) in ("echo", "printf") and base(after) == "tee" and len(after.words) > 1


def base(command: Simple) -> str:
    """Return a program's name without its directory."""
    return command.words[0].rpartition("/")[2] if command.words else ""


def shell(command: Simple, iface: str, depth: int) -> Iterator[Fact]:
    """Look into `sh -c "..."`; a script is not read."""
    words = command.words[1:]
    if depth < DEEPEST and len(words) == 2 and words[0] in ("-c", "-ec", "-e -c"):
        yield from understand(words[1], iface, depth + 1)
    else:
        yield Unclear("runs a script: what that does is not imported")


def fact(command: Simple) -> Fact:
    """Return what one command does."""
    program = base(command)
    if not program:
        return Unclear("writes to a file without a command")
    if program.startswith(("iptables", "ip6tables")):
        return iptables(command, program)
    known = PROGRAMS.get(program)
    return known(command) if known else Unclear(f"{program} {UNKNOWN}")


def iptables(command: Simple, program: str) -> Fact:
    """Understand one of iptables' family."""
    if program.endswith(("-restore", "-apply")):
        text = (
            "loads a whole set of rules from a file, which is not read; it replaces the rules of its tables"
        )
        return Foreign(text, weighty=True)
    if program.endswith("-save"):
        return Nothing()
    try:
        return Ruled(rules.parse(command.words))
    except rules.Broken as reason:
        return Unclear(f"iptables would not take it: {reason}")


def echo(command: Simple) -> Fact:
    """Understand `echo 1 > /proc/sys/...`."""
    if not command.into:
        return Nothing()
    if not command.into.startswith(PROC):
        return Foreign(f"writes {command.into}")
    value = "".join(word for word in command.words[1:] if word not in ("-n", "-e"))
    if not value:
        return Unclear(f"writes an empty line to {command.into}: 1> is a redirection; write echo 1 > there")
    return setting(command.into.removeprefix(PROC).replace("/", "."), value.replace("\\n", ""))


def sysctl(command: Simple) -> Iterator[Fact]:
    """Understand `sysctl -w key=value`, and that `sysctl -p` reads files."""
    words = [word for word in command.words[1:] if word not in ("-w", "-q", "-e", "--write", "--quiet")]
    if not words or words[0].startswith(("-p", "--load", "--system")):
        yield Nothing()  # the files say what they set; the verb looks for forwarding there
        return
    for key, equals, value in (word.partition("=") for word in words):
        if not equals or key.startswith("-"):
            yield Unclear("is no sysctl key=value")
        else:
            yield setting(key.strip().replace("/", "."), value.strip())


def setting(key: str, value: str) -> Fact:
    """Understand one kernel setting."""
    if key in GLOBAL and value in ("0", "1"):
        return Forwarding(value == "1")
    if key.startswith("net.ipv6") and key.endswith("forwarding"):
        return Foreign(f"{key}: natnetd switches it on for networks with IPv6", weighty=True)
    return Foreign(f"{key} is a setting that natnetd does not keep")


def nft(command: Simple) -> Fact:
    """Say what to look out for with nft."""
    if "-f" in command.words or command.source:
        text = (
            "loads a file that is not read; if it begins with flush ruleset, it takes away everybody's tables"
        )
        return Foreign(f"{text}, natnetd's too (which natnetd puts back)", weighty=True)
    return Foreign("changes nftables directly; that is not imported and stays in force", weighty=True)


def nothing(_: Simple) -> Fact:
    """Do nothing."""
    return Nothing()


PROGRAMS: dict[str, Callable[[Simple], Fact]] = {
    "echo": echo,
    "printf": echo,
    "ip": links.ip,
    "brctl": links.brctl,
    "nft": nft,
    "route": links.route,
    "ifconfig": links.ifconfig,
    **dict.fromkeys(("true", ":", "exit", "sleep"), nothing),
}
