"""Draw the pictures of the docs: `python docs/gallery.py docs/images` runs the pages that show them.

Words after the folder choose pages: `python docs/gallery.py docs/images creep cyclic`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
PAGES = [DOCS / "first-curve.md", *sorted((DOCS / "how-to").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.M | re.S)


def main(target: str, *names: str) -> None:
    """Run every page in a folder of its own and take over the pictures that it shows."""
    Path(target).mkdir(parents=True, exist_ok=True)
    for page in PAGES:
        if names and page.stem not in names:
            continue
        shown = re.findall(r"\(\S*images/(\S+\.png)\)", page.read_text())
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            shutil.copytree(DOCS.parent / "examples", folder / "examples")
            run(page, folder)
            for picture in shown:
                shutil.copy(folder / picture, Path(target) / picture)
                print(f"{page.name}: {picture}")


def run(page: Path, folder: Path) -> None:
    """Write the files of a page and run its Python, as the tests do."""
    script = []
    for kind, options, text in BLOCK.findall(page.read_text()):
        if "file=" in options:
            (folder / options.partition("file=")[2].strip()).write_text(text)
        elif kind == "python":
            script.append(text)
    paths = os.pathsep.join([str(DOCS.parent.resolve()), "."])
    environment = {**os.environ, "PYTHONPATH": paths, "MPLBACKEND": "agg"}
    subprocess.run([sys.executable, "-c", "\n".join(script)], cwd=folder, env=environment, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
