"""The command ``completion``: a script that completes commands, options and values in a shell."""

import argparse
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias

from bench import archs, metrics
from bench.api.gate_options import GateOptions
from bench.api.measure_request import MeasureRequest
from bench.api.option import add_to_parser
from bench.api.profiles import PROFILES
from bench.cells import modes, plan_values
from bench.cells.dtypes import DTYPES
from bench.cli.command import Commands, Output, Purpose
from bench.cli.report import tables
from bench.compare.comparison import FAILS
from bench.engine.hosts import HOSTS
from bench.machine import pinned
from bench.records.comparability import CIRCUMSTANCES
from bench.report.exports import EXPORTS

SHELLS = ("bash", "zsh", "fish")
INSTALL = """\
add one of these lines:
  to ~/.bashrc:                   eval "$(googlenet-bench completion bash)"
  to ~/.zshrc, after compinit:    eval "$(googlenet-bench completion zsh)"
  to ~/.config/fish/config.fish:  googlenet-bench completion fish | source
"""
Names: TypeAlias = Callable[[], Iterable[str]]


def _archs() -> Iterable[str]:
    return (arch.name for arch in archs.registered())


# The values of options and arguments, by the name of their attribute, which means the same in every
# command.
SINGLE: Mapping[str, Names] = MappingProxyType(
    {
        "arch": _archs,
        "mode": modes.tokens,
        "dtype": lambda: DTYPES,
        "device": lambda: ("cpu", "cuda"),
        "profile": lambda: PROFILES,
        "hosts": lambda: HOSTS,
        "l2": lambda: plan_values.L2,
        "environment": lambda: pinned.NAMES,
        "table": tables,
        "export": lambda: EXPORTS,
        "metric": metrics.METRICS.keys,
    }
)
LISTS: Mapping[str, Names] = MappingProxyType(
    {
        "archs": _archs,
        "from": _archs,
        "modes": modes.tokens,
        "dtypes": lambda: DTYPES,
        "tasks": lambda: plan_values.TASK_NAMES,
        "across": lambda: CIRCUMSTANCES,
        "fail_on": lambda: FAILS,
        "front": metrics.axes,
    }
)
FILES = frozenset(
    (
        *("run", "a", "b", "output", "baseline", "base_python", "accuracy", "weights"),
        "history",  # or a URL
    )
)
FOLDERS = frozenset({"report_dir"})
# A list completes its last name, behind the commas.
BASH_LIST = """\
{function}() {{
  local earlier=
  [[ $1 == *,* ]] && earlier="${{1%,*}},"
  compgen -P "$earlier" -W "{words}" -- "${{1##*,}}"
}}
"""
# bash splits words at = and : too. This joins them again, and offers only what follows the colon.
BASH_WORDS = """
_googlenet_bench() {
  local words=() word before=
  for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
    if [[ $word == "=" && $before == --* ]]; then
      words+=("")
    elif [[ $word == [:=] || $before == [:=] ]]; then
      words[${#words[@]}-1]+=$word
    else
      words+=("$word")
    fi
    before=$word
  done
  local COMP_WORDS=("${words[@]}") COMP_CWORD=$((${#words[@]} - 1))
  _shtab_googlenet_bench
  word=${words[COMP_CWORD]}
  [[ $word != *:* ]] || COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*:}"}"}")
}
complete -o bashdefault -F _googlenet_bench googlenet-bench
"""
FISH_LIST = """\
function {function}
  printf '%s\\n' {words}
end
"""


def add(commands: Commands, parser: argparse.ArgumentParser) -> None:
    """Add the command, which completes what ``parser``, the parser of all commands, accepts."""
    completion = commands.add(
        "completion",
        partial(_completion, commands, parser),
        "print the script that completes commands in bash, zsh or fish",
        Purpose.SHELL,
        has_tables=False,
    )
    completion.formatter_class = argparse.RawDescriptionHelpFormatter
    completion.epilog = INSTALL
    completion.add_argument("shell", choices=SHELLS, help="the shell that loads the script")


def _completion(
    commands: Commands, parser: argparse.ArgumentParser, options: argparse.Namespace
) -> Output:
    import shtab

    add_gate_options(commands.subparsers.choices["gate"])
    for action in actions(commands):
        _complete(action)
    script = shtab.complete(parser, options.shell)
    return Output(script + BASH_WORDS if options.shell == "bash" else script)


def actions(commands: Commands) -> Iterator[argparse.Action]:
    """Yield the options and arguments of all commands, and of the actions that a command has."""
    parsers = list(commands.subparsers.choices.values())
    for parser in parsers:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
            else:
                yield action


def add_gate_options(gate: argparse.ArgumentParser) -> None:
    """Add the options that ``gate`` leaves to pytest or to ``--static``."""
    for request in (GateOptions, MeasureRequest):
        add_to_parser(gate, request)
    gate.add_argument("--baseline", metavar="FILE", help="baseline to compare with (--static)")


def _complete(action: argparse.Action) -> None:
    """Say how shtab completes the value of an option or argument, if its values are known."""
    import shtab

    name = action.dest
    if name in SINGLE:
        action.choices = tuple(SINGLE[name]())
    elif name in LISTS:
        action.complete = _list_of(name, LISTS[name]())  # type: ignore[attr-defined]
    elif name in FILES | FOLDERS:
        action.complete = shtab.FILE if name in FILES else shtab.DIRECTORY  # type: ignore[attr-defined]


def _list_of(name: str, names: Iterable[str]) -> Mapping[str, Any]:
    """Return shtab's completer of names that are separated by commas."""
    function, words = f"_googlenet_bench_{name}", shlex.join(names)
    blanks = {"function": function, "words": words}
    return {
        "bash": function,
        "zsh": f"_values -s , {name} {words}",
        "fish": f"(__fish_complete_list , {function})",
        "preamble": {"bash": BASH_LIST.format(**blanks), "fish": FISH_LIST.format(**blanks)},
    }
