"""The pages in docs/reference are those that the command writes now."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMAND = ["syntax", "--markdown", "docs/reference", "--examples", "examples/recipes"]


def test_reference_is_up_to_date(tmp_path):
    shutil.copytree(ROOT / "examples" / "recipes", tmp_path / "examples" / "recipes")
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from neml2.cli.commands import main; main({COMMAND})"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    new, committed = (
        {p.name: p.read_text(encoding="utf-8") for p in (folder / "docs" / "reference").glob("*")}
        for folder in (tmp_path, ROOT)
    )
    stale = sorted(n for n in {*new, *committed} if new.get(n) != committed.get(n))
    assert not stale, f"{', '.join(stale)}: run  rm docs/reference/*; python -m neml2 {' '.join(COMMAND)}"
