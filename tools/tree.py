"""The whole command line as argparse knows it: natnetd itself imports only the verb that is asked for."""

import argparse
from collections.abc import Iterator

from natnetd.cli import module_of, parser


def whole() -> argparse.ArgumentParser:
    """Return the parser of all verbs with all their arguments."""
    top = parser([])
    for name, sub in verbs(top):
        module_of(name).arguments(sub)
    return top


def verbs(top: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the verbs below a parser; none if it has no subparsers."""
    for action in top._actions:  # noqa: SLF001  # argparse has no public way to look at a parser
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            yield from action.choices.items()


def told(top: argparse.ArgumentParser) -> dict[str, str]:
    """Return what is said of each verb below a parser."""
    for action in top._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
    return {}


def arguments(verb: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the arguments and options of a parser, without its verbs, --help and what is hidden."""
    hidden = (argparse._HelpAction, argparse._SubParsersAction)  # noqa: SLF001
    return [
        action
        for action in verb._actions  # noqa: SLF001
        if not isinstance(action, hidden) and action.help is not argparse.SUPPRESS
    ]


def own(verb: argparse.ArgumentParser, top: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the arguments that only this verb takes."""
    shared = {option for action in arguments(top) for option in action.option_strings}
    return [action for action in arguments(verb) if not shared.intersection(action.option_strings)]


def value(action: argparse.Action) -> str:
    """Return what stands for the value of an argument; empty if it takes none."""
    if action.nargs == 0:
        return ""
    if action.choices is not None and action.metavar is None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return str(action.metavar or action.dest.upper())
