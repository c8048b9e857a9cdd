"""Writes the manual page and bash's completion from the commands' own parsers.

python packaging/command_pages.py            writes both beside this file
python packaging/command_pages.py --check    fails where they are not what it would write
"""
# ruff: noqa: INP001, T201

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
MANUAL = FOLDER / "computility-agent.1"
COMPLETION = FOLDER / "computility-agent.bash-completion"
# `python FILE` puts the file's folder on the path, and not the checkout's.
sys.path.insert(0, str(FOLDER.parent))

from agent.cli import main as command_line  # noqa: E402

COMPLETION_TEXT = """\
# bash completion for computility-agent; made by packaging/command_pages.py

_computility_agent() {
    local word=$2 before=$3 command="" action="" index
    for ((index = 1; index < COMP_CWORD; index++)); do
        case ${COMP_WORDS[index]} in
            -*) ;;
            *)
                if [ -z "$command" ]; then
                    command=${COMP_WORDS[index]}
                elif [ -z "$action" ]; then
                    action=${COMP_WORDS[index]}
                fi
                ;;
        esac
    done

    local words=""
    case $command in
@CASES@
        *) words="@COMMANDS@ --help --version" ;;
    esac

    case $word,$before in
        -*) ;;
        *,@FILES@)
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            compopt -o filenames 2>/dev/null
            return
            ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    if [ ${#COMPREPLY[@]} -eq 0 ]; then
        compopt -o default 2>/dev/null
    fi
}

complete -F _computility_agent computility-agent
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """Is a command of the program, or an action of one: `name` is "packages build" then."""

    name: str
    help: str
    options: tuple[str, ...]
    file_options: tuple[str, ...]
    actions: tuple[Command, ...] = ()


def read_commands() -> tuple[Command, ...]:
    """Return every command as its module describes it."""
    found = []
    for name, text in command_line.COMMANDS.items():
        parser = argparse.ArgumentParser(prog=name)
        importlib.import_module(f"agent.cli.{name.replace('-', '_')}").add_arguments(parser)
        found.append(read_parser(name, text, parser))
    return tuple(found)


def read_parser(name: str, text: str, parser: argparse.ArgumentParser) -> Command:
    """Return what a parser knows, its actions too."""
    options: list[str] = []
    file_options: list[str] = []
    actions: list[Command] = []
    for each in parser._actions:  # noqa: SLF001  (argparse offers no other way to them)
        if isinstance(each, argparse._SubParsersAction):  # noqa: SLF001
            helps = {choice.dest: choice.help or "" for choice in each._choices_actions}  # noqa: SLF001
            actions += [
                read_parser(f"{name} {word}", helps[word], inner)
                for word, inner in each.choices.items()
            ]
            continue
        long_options = [option for option in each.option_strings if option.startswith("--")]
        options += long_options
        if each.metavar in ("FILE", "DIR", "FOLDER", "PATH"):
            file_options += long_options
    return Command(
        name=name,
        help=text,
        options=tuple(options),
        file_options=tuple(file_options),
        actions=tuple(actions),
    )


def manual(commands: Sequence[Command]) -> str:
    """Return the manual page."""
    template = MANUAL.with_suffix(".1.in").read_text(encoding="utf-8")
    return template.replace("@COMMANDS@\n", "".join(paragraphs(commands)))


def paragraphs(commands: Sequence[Command]) -> Iterator[str]:
    """Return a paragraph for each command, and one for each of its actions."""
    for each in commands:
        yield f".TP\n.B {troff(each.name)}\n{troff(each.help[:1].upper() + each.help[1:])}.\n"
        if each.options:
            options = ", ".join(f"\\fB{troff(option)}\\fR" for option in each.options)
            yield "" if each.options == ("--help",) else f"Options: {options}.\n"
        yield from paragraphs(each.actions)


def troff(text: str) -> str:
    """Return text as troff prints it unchanged."""
    return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")


def completion(commands: Sequence[Command]) -> str:
    """Return bash's completion."""
    cases = []
    for each in commands:
        if not each.actions:
            cases.append(f'        {each.name}) words="{" ".join(each.options)}" ;;')
            continue
        cases.append(f"        {each.name})\n            case $action in")
        for action in each.actions:
            word = action.name.removeprefix(f"{each.name} ")
            cases.append(f'                {word}) words="{" ".join(action.options)}" ;;')
        words = " ".join(action.name.removeprefix(f"{each.name} ") for action in each.actions)
        cases.append(
            f'                *) words="{words} --help" ;;\n            esac\n            ;;'
        )
    everything = [*commands, *(action for each in commands for action in each.actions)]
    files = sorted({option for each in everything for option in each.file_options})
    return (
        COMPLETION_TEXT.replace("@CASES@", "\n".join(cases))
        .replace("@COMMANDS@", " ".join(each.name for each in commands))
        .replace("@FILES@", " | *,".join(files))
    )


def main() -> int:
    """Write both files, or check them."""
    parser = argparse.ArgumentParser(description="Write the manual page and bash's completion.")
    parser.add_argument("--check", action="store_true", help="fail where they differ")
    is_check = parser.parse_args().check
    commands = read_commands()
    status = 0
    for path, text in ((MANUAL, manual(commands)), (COMPLETION, completion(commands))):
        if not is_check:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            print(f"packaging/{path.name} is stale: run `make docs`", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
