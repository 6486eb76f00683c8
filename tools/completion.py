#!/usr/bin/python3
"""Writes completions for bash, zsh and fish: tools/completion.py DIRECTORY.

Own code: Debian 12's python3-shtab (1.5.5) completes only the first of several choices in bash, and neither
that nor Debian 13's knows fish.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import tree

# The first column of the table that `natnetd status` prints.
NAMES = "natnetd status 2>/dev/null | awk '/^NETWORK /{on=1;next} !NF{on=0} on{print $1}'"


def main(directory: Path) -> None:
    """Write one file for each shell, named as the shell looks for it."""
    top = tree.whole()
    made: tuple[tuple[str, str, Callable[[argparse.ArgumentParser], Iterator[str]]], ...] = (
        ("bash", "natnetd", bash),
        ("zsh", "_natnetd", zsh),
        ("fish", "natnetd.fish", fish),
    )
    for shell, name, write in made:
        place = directory / shell
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("\n".join(write(top)) + "\n", "utf-8")


def all_below(verb: argparse.ArgumentParser, top: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the arguments of a verb, and of the verbs below it."""
    below = [action for _name, inner in tree.verbs(verb) for action in all_below(inner, top)]
    return [*tree.own(verb, top), *below]


def plain(text: str) -> str:
    """Quote for sh and zsh."""
    return "'" + text.replace("'", "'\\''") + "'"


# --- bash


def bash(top: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the lines of the completion for bash."""
    names = [name for name, _verb in tree.verbs(top)]
    yield "# Completion of natnetd for bash"
    yield f"_natnetd_networks() {{\n  {NAMES}\n}}"
    yield "_natnetd() {"
    yield "  local cur=${COMP_WORDS[COMP_CWORD]} verb= word words= files="
    yield '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do'
    yield f"    case $word in {'|'.join(names)}) verb=$word; break ;; esac\n  done"
    yield "  case $verb:${COMP_WORDS[COMP_CWORD-1]} in"
    yield from (bash_case("*", action) for action in tree.arguments(top) if takes_value(action))
    for name, verb in tree.verbs(top):
        yield from (bash_case(name, action) for action in all_below(verb, top) if takes_value(action))
    options = " ".join(option for action in tree.arguments(top) for option in action.option_strings)
    yield f"  *)\n    words={plain(options)}\n    case $verb in"
    yield f"      '') words+={plain(' ' + ' '.join(names))} ;;"
    for name, verb in tree.verbs(top):
        yield f"      {name}) {bash_words(verb, top)} ;;"
    yield "    esac ;;\n  esac"
    yield '  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur"; [ -z "$files" ] || compgen -f -- "$cur")'
    yield '  [ -z "$files" ] || compopt -o filenames 2>/dev/null\n}\ncomplete -F _natnetd natnetd'


def takes_value(action: argparse.Action) -> bool:
    """Whether an action is an option with a value."""
    return bool(action.option_strings and tree.value(action))


def bash_case(verb: str, action: argparse.Action) -> str:
    """Return what follows an option."""
    return f"  {'|'.join(f'{verb}:{option}' for option in action.option_strings)}) {bash_value(action)} ;;"


def bash_value(action: argparse.Action) -> str:
    """Return how a value is found."""
    if action.choices is not None:
        return f"words={plain(' '.join(map(str, action.choices)))}"
    found = {"NETWORK": 'words+=" $(_natnetd_networks)"', "FILE": "files=yes", "DIRECTORY": "files=yes"}
    return found.get(tree.value(action), ":")


def bash_words(verb: argparse.ArgumentParser, top: argparse.ArgumentParser) -> str:
    """Return what may follow a verb."""
    own = all_below(verb, top)
    words = [name for name, _inner in tree.verbs(verb)]
    words += [option for action in own for option in action.option_strings]
    return "; ".join(
        [f"words+={plain(' ' + ' '.join(words))}" if words else ":"]
        + [bash_value(action) for action in own if not action.option_strings]
    )


# --- zsh


def zsh(top: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the lines of the completion for zsh."""
    told = tree.told(top)
    yield "#compdef natnetd"
    yield f'_natnetd_networks() {{\n  local -a names=(${{(f)"$({NAMES})"}})\n  compadd -a names\n}}'
    yield "_natnetd() {\n  local curcontext=$curcontext state line\n  local -a shared verbs\n  shared=("
    yield from (f"    {spec}" for action in tree.arguments(top) for spec in zsh_specs(action))
    yield "  )\n  verbs=("
    yield from (f"    {plain(name + ':' + told[name].replace(':', chr(92) + ':'))}" for name in told)
    yield "  )"
    yield "  _arguments -C $shared '1:verb:->verb' '*::argument:->rest' && return"
    yield "  case $state in\n  verb) _describe verb verbs ;;\n  rest)\n    case $line[1] in"
    for name, verb in tree.verbs(top):
        below = " ".join(inner for inner, _parser in tree.verbs(verb))
        specs = [f"'1:verb:({below})'"] if below else []
        specs += [spec for action in all_below(verb, top) for spec in zsh_specs(action)]
        yield f"    {name}) _arguments {' '.join(['$shared', *specs])} ;;"
    yield '    esac ;;\n  esac\n}\n_natnetd "$@"'


def zsh_specs(action: argparse.Action) -> Iterator[str]:
    """Yield one argument as _arguments takes it, under each of its names."""
    value = tree.value(action)
    found = {"NETWORK": "_natnetd_networks", "FILE": "_files", "DIRECTORY": "_files -/"}.get(value, " ")
    how = f"({' '.join(map(str, action.choices))})" if action.choices is not None else found
    about = (action.help or "").replace("[", "\\[").replace("]", "\\]")
    name = (action.metavar or action.dest) if isinstance(action.metavar, str | None) else action.dest
    if not action.option_strings:
        yield plain(f"{'*' if action.nargs in ('*', '+') else ''}:{name.lower()}:{how}")
    for option in action.option_strings:
        yield plain(f"{option}=[{about}]:{name.lower()}:{how}" if value else f"{option}[{about}]")


# --- fish


def fish(top: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the lines of the completion for fish."""
    told = tree.told(top)
    yield "# Completion of natnetd for fish"
    yield f"function __natnetd_networks\n    {NAMES}\nend\ncomplete -c natnetd -f"
    for name in told:
        yield f"complete -c natnetd -n __fish_use_subcommand -a {name} -d {quoted(told[name])}"
    yield from (line for action in tree.arguments(top) for line in fish_lines("", action))
    for name, verb in tree.verbs(top):
        seen = f" -n '__fish_seen_subcommand_from {name}'"
        below = tree.told(verb)
        yield from (f"complete -c natnetd{seen} -a {sub} -d {quoted(below[sub])}" for sub in below)
        yield from (line for action in all_below(verb, top) for line in fish_lines(seen, action))


def fish_lines(seen: str, action: argparse.Action) -> Iterator[str]:
    """Yield the line about one argument, if there is anything to complete."""
    value = tree.value(action)
    names = "".join(f" -{'l' if o.startswith('--') else 's'} {o.lstrip('-')}" for o in action.option_strings)
    found = {"NETWORK": " -a '(__natnetd_networks)'", "FILE": " -F", "DIRECTORY": " -F"}.get(value, "")
    takes = f" -a {quoted(' '.join(map(str, action.choices)))}" if action.choices is not None else found
    if names or takes:
        required = " -r" if names and value else ""
        yield f"complete -c natnetd{seen}{names}{required}{takes} -d {quoted(action.help or '')}"


def quoted(words: str) -> str:
    """Quote for fish (single quotes; a backslash before a quote or a backslash)."""
    return "'" + words.replace("\\", "\\\\").replace("'", "\\'") + "'"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
