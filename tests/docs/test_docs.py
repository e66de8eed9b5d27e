"""Every example of the README and the docs runs, in the order of its page, in an empty folder."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.M | re.S)


def blocks(page):
    return [(m[1], m[2].strip(), m[3]) for m in BLOCK.finditer(page.read_text())]


def runnable(page):
    return any(kind in ("python", "console") for kind, _, _ in blocks(page))


@pytest.mark.parametrize("page", [p for p in PAGES if runnable(p)], ids=lambda p: p.name)
def test_examples_run(page, tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), "."]),
        "MPLBACKEND": "agg",
    }
    script: list[str] = []
    for kind, options, text in blocks(page):
        if "file=" in options:
            (tmp_path / options.partition("file=")[2]).write_text(text)
        elif kind == "python" and "no-run" not in options:
            script.append(text)
        elif kind == "console":
            run_python(script, tmp_path, environment)
            script = []
            for line in text.splitlines():
                if line.startswith("$ neml2-"):
                    run_command(line[2:], tmp_path, environment)
    run_python(script, tmp_path, environment)


def run_python(parts, folder, environment):
    if parts:
        done = subprocess.run(
            [sys.executable, "-c", "\n".join(parts)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


def run_command(line, folder, environment):
    """Run a line such as ``neml2-run a.i  # exit 2`` and check its exit code, 0 unless it says another."""
    command, _, comment = line.partition("#")
    words = shlex.split(command)
    expected = int(m[1]) if (m := re.search(r"exit (\d+)", comment)) else 0
    module = "neml2.cli." + words[0].removeprefix("neml2-")
    code = f"import sys; from {module} import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, *words[1:]], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == expected, f"{line}\n{done.stdout}\n{done.stderr}"
