import shutil
import subprocess
import sys

import pytest

from neml2.cli.commands import COMMANDS, TOOLS, main, parser_of
from neml2.cli.completion import script

INPUT = """\
[Drivers]
  [tension]
    type = TransientDriver
    model = 'steel'
  []
  [creep]  # a comment
    type = TransientDriver
  []
[]
[Models]
  [steel]
    type = A
    [inner]
    []
  []
  [./copper]
    type = B
  [../]
[]
"""

# each completes the last of its arguments and prints what it would offer, one a line
BASH = (
    'source ./script; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); "_${1/-/_}";'
    ' printf "%s\\n" "${COMPREPLY[@]}"'
)
FISH = "source ./script; complete -C (string join ' ' -- $argv)"


@pytest.fixture
def offered(tmp_path):
    (tmp_path / "my input.i").write_text(INPUT)
    (tmp_path / "input.i").write_text(INPUT)
    (tmp_path / "old.h5").write_text("[Drivers]\n[wrong]\n")

    def complete(shell, *words):
        if shutil.which(shell) is None:
            pytest.skip(f"there is no {shell}")
        (tmp_path / "script").write_text(script(shell))
        command = [shell, "-c", *((BASH, "-") if shell == "bash" else (FISH,)), *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr, done.stderr
        return [line.split("\t")[0] for line in done.stdout.splitlines() if line]

    return complete


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_names_after_the_input_file(offered, shell):
    assert sorted(offered(shell, "neml2-run", "input.i", "")) == ["creep", "tension"]
    assert offered(shell, "neml2-run", "-o", "old.h5", "input.i", "te") == ["tension"]
    assert sorted(offered(shell, "neml2-inspect", "input.i", "")) == ["copper", "steel"]


def test_files_with_spaces(offered):
    assert sorted(offered("bash", "neml2-run", "my input.i", "")) == ["creep", "tension"]


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_choices_of_options(offered, shell):
    assert sorted(offered(shell, "neml2-run", "--dtype", "")) == ["float32", "float64"]
    assert sorted(offered(shell, "neml2-plot", "--log", "x")) == ["x", "xy"]
    assert offered("bash", "neml2-run", "--plot", "") == []  # left to the shell: files


@pytest.mark.parametrize("shell", ["bash", "fish"])
@pytest.mark.parametrize("tool", TOOLS)
def test_every_option_is_offered(offered, shell, tool):
    known = {f for a in parser_of(tool)._actions for f in a.option_strings if f.startswith("--")}
    assert known <= set(offered(shell, f"neml2-{tool}", "--"))


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
def test_zsh_reads_its_script(tmp_path):
    (tmp_path / "_neml2").write_text(script("zsh"))
    setup = f"fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -D; print ${{_comps[neml2-run]}}"
    done = subprocess.run(["zsh", "-f", "-c", setup], capture_output=True, text=True)
    assert done.stdout == "_neml2\n" and not done.stderr
    done = subprocess.run(["zsh", "-f", "-n", str(tmp_path / "_neml2")], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr


def test_all_scripts_name_all_tools_and_no_path_of_this_machine():
    for shell in ("bash", "zsh", "fish"):
        text = script(shell)
        assert all(f"neml2-{tool}" in text for tool in TOOLS)
        assert sys.prefix not in text


# -------------------------------------------------------------------- python -m neml2


def test_all_commands_with_a_sentence_each(capsys):
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    for command in COMMANDS:
        (line,) = [text for text in lines if text.startswith(f"  {command} ")]
        assert line.endswith(parser_of(command).description)


def test_commands_by_name(capsys):
    assert main(["syntax", "--summary", "--section", "Solvers"]) == 0
    assert "Solvers" in capsys.readouterr().out
    assert main(["completion", "bash"]) == 0
    assert capsys.readouterr().out == script("bash") + "\n"
    assert main(["--version"]) == 0 and capsys.readouterr().out.startswith("neml2 ")


def test_wrong_commands(capsys):
    assert main(["rnu"]) == 2
    assert capsys.readouterr().err == "python -m neml2: there is no command 'rnu'; did you mean 'run'?\n"
    assert main(["completion", "fsh"]) == 2
    assert "fish" in capsys.readouterr().err


def test_the_package_is_a_program():
    done = subprocess.run([sys.executable, "-m", "neml2", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("neml2 ")
