"""`python -m neml2 completion SHELL`: completion for bash, zsh and fish, made from the commands' own parsers.

Options, their choices and files are completed and, after an input file, the names of its drivers or models,
which a line of awk reads: nothing of Python runs while somebody types.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from neml2.cli.commands import TOOLS, parser_of
from neml2.cli.common import OK, Parser, guarded

_EPILOG = """\
To have it in every new shell:

  python -m neml2 completion bash >> ~/.bash_completion
  python -m neml2 completion zsh > ~/.zsh/_neml2    # a folder of $fpath, before compinit
  python -m neml2 completion fish > ~/.config/fish/completions/neml2.fish"""

_BLOCKS = {"run": "Drivers", "inspect": "Models"}  # whose names follow the input file

# the names of the blocks of one section: depth counts blocks that are open
_AWK = (
    r"/^[ \t]*\[(\.\.\/)?\]/ { if (depth) depth--; next } "
    r'/^[ \t]*\[[^]]+\]/ { name = $0; gsub(/^[ \t]*\[(\.\/)?|\].*$/, "", name); depth++; '
    r"if (depth == 1) inside = (name == section); if (depth == 2 && inside) print name }"
)


@guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Run `python -m neml2 completion`; returns the exit code."""
    args = _parser().parse_args(argv)
    print(script(args.shell))
    return OK


def _parser() -> Parser:
    parser = Parser("python -m neml2 completion", "Print the completion of a shell.", _EPILOG)
    parser.add_argument("shell", choices=tuple(_SHELLS), help="bash, zsh or fish")
    return parser


def script(shell: str) -> str:
    """The text that a shell (``bash``, ``zsh`` or ``fish``) reads."""
    head, of_tool, tail = _SHELLS[shell]
    origin = f"# Made by: python -m neml2 completion {shell}"
    return "\n".join([head.replace("ORIGIN", origin), *map(of_tool, TOOLS), *tail])


@dataclass(frozen=True)
class _Option:
    """An option: its spellings, its sentence, and what follows it: nothing, a choice, a file, a word."""

    flags: list[str]
    words: str
    takes: bool
    optional: bool
    file: bool
    choices: list[str]

    @property
    def kind(self) -> str:
        """The name of what follows."""
        return "file" if self.file else "value"


def _options(tool: str) -> list[_Option]:
    parser = parser_of(tool)
    return [_option(a, parser) for a in parser._actions if a.option_strings and a.help != argparse.SUPPRESS]


def _option(action: argparse.Action, parser: Parser) -> _Option:
    words = parser._get_formatter()._expand_help(action) if action.help else ""
    return _Option(
        flags=list(action.option_strings),
        words=words,
        takes=action.nargs != 0,
        optional=action.nargs == "?",
        file=action.metavar in ("FILE", "PATH"),
        choices=[str(c) for c in action.choices or ()],
    )


def _with_value(options: Sequence[_Option]) -> list[str]:
    """The spellings that a word of their own follows."""
    return [flag for o in options if o.takes and not o.optional for flag in o.flags]


# -------------------------------------------------------------------- bash

_BASH = f"""\
ORIGIN
_neml2_blocks() {{ awk -v section="$1" '{_AWK}' "$2" 2>/dev/null; }}
_neml2_input() {{  # the first file that does not follow one of the options $1
  local word before=:
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    [[ $word != -* && -f $word && " $1 " != *" $before "* ]] && {{ printf '%s' "$word"; return; }}
    before=$word
  done
}}"""


def _bash(tool: str) -> str:
    options = _options(tool)
    cases = [
        f"    {'|'.join(o.flags)}) "
        + (f'COMPREPLY=($(compgen -W "{" ".join(o.choices)}" -- "$cur")); ' if o.choices else "")
        + "return ;;"
        for o in options
        if o.takes and not o.optional
    ]
    flags = " ".join(f for o in options for f in o.flags)
    lines = [
        f"_neml2_{tool}() {{",
        "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}",
        "  COMPREPLY=()  # nothing: names of files",
        "  case $prev in",
        *cases,
        "  esac",
        f'  [[ $cur == -* ]] && {{ COMPREPLY=($(compgen -W "{flags}" -- "$cur")); return; }}',
    ]
    if tool in _BLOCKS:
        lines += [
            f'  local input=$(_neml2_input "{" ".join(_with_value(options))}")',
            "  if [[ -n $input ]]; then",
            f'    COMPREPLY=($(compgen -W "$(_neml2_blocks {_BLOCKS[tool]} "$input")" -- "$cur"))',
            "  fi",
        ]
    return "\n".join([*lines, "  return 0", "}", f"complete -o default -F _neml2_{tool} neml2-{tool}"])


# -------------------------------------------------------------------- zsh

_ZSH = f"""\
#compdef {" ".join(f"neml2-{t}" for t in TOOLS)}
ORIGIN
_neml2_blocks() {{  # those of section $1 in the first file that does not follow one of the options $2
  local word before=:
  for word in ${{words[2,CURRENT-1]}}; do
    [[ $word != -* && -f $word && " $2 " != *" $before "* ]] && break
    before=$word
  done
  compadd -- $(awk -v section="$1" '{_AWK}' "$word" 2>/dev/null)
}}"""


def _zsh(tool: str) -> str:
    specs = []
    options = _options(tool)
    for o in options:
        words = o.words.replace("\\", "\\\\").replace("]", "\\]").replace("[", "\\[").replace(":", "\\:")
        follows = ""
        if o.takes:
            how = f"({' '.join(o.choices)})" if o.choices else "_files" if o.file else " "
            follows = f"{'::' if o.optional else ':'}{o.kind}:{how}"
        specs += [_quoted(f"{flag}[{words}]{follows}") for flag in o.flags]
    if tool in _BLOCKS:
        after = " ".join(_with_value(options))  # the blank before the name: call it with these words only
        specs += ["'1:input file:_files'", f"'*:name: _neml2_blocks {_BLOCKS[tool]} \"{after}\"'"]
    else:
        specs.append("'*:file:_files'")
    body = " \\\n    ".join(["_arguments -S", *specs])
    return f"_neml2_{tool}() {{\n  {body}\n}}\ncompdef _neml2_{tool} neml2-{tool}"


# -------------------------------------------------------------------- fish

_FISH = f"""\
ORIGIN
function __neml2_input
    # the first file that does not follow one of the options $argv
    set -l before :
    for word in (commandline -opc)[2..-1]
        if test -f $word; and not string match -q -- '-*' $word; and not contains -- $before $argv
            echo $word
            return
        end
        set before $word
    end
    return 1
end
function __neml2_blocks
    awk -v section=$argv[1] '{_AWK}' (__neml2_input $argv[2..-1]) 2>/dev/null
end"""


def _fish(tool: str) -> str:
    lines = []
    options = _options(tool)
    for o in options:
        flags = " ".join(f"-l {f[2:]}" if f.startswith("--") else f"-s {f[1:]}" for f in o.flags)
        follows = ""
        if o.choices:
            follows = f" -x -a {_quoted(' '.join(o.choices))}"
        elif o.takes and not o.optional:
            follows = " -r -F" if o.file else " -x"
        lines.append(f"complete -c neml2-{tool} {flags} -d {_quoted(o.words)}{follows}")
    if tool in _BLOCKS:
        after = " ".join(_with_value(options))
        names = f"(__neml2_blocks {_BLOCKS[tool]} {after})"
        condition = f"__neml2_input {after} > /dev/null"
        lines.append(f"complete -c neml2-{tool} -n {_quoted(condition)} -f -a {_quoted(names)}")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """Text in single quotes as zsh and fish both read it."""
    return "'" + text.replace("'", "'\\''") + "'"


_SHELLS = {
    "bash": (_BASH, _bash, []),
    # zsh reads the file when a command is first completed, under the file's name, and expects an answer
    "zsh": (_ZSH, _zsh, ['[[ $funcstack[1] == _neml2 ]] && "_${service/-/_}" "$@"', "return 0"]),
    "fish": (_FISH, _fish, []),
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
