"""Documentation strings as the Markdown that GitHub renders: formulas, code, names of classes."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable

_MATH = re.compile(r"^\.\. math::[ \t]*(.*\n?(?:(?:[ \t]+.*)?\n)*)", re.M)
_MARKED = re.compile(r"``(?P<code>[^`]*)``|:(?P<role>\w+):`(?P<short>~?)(?P<text>[^`]*)`|(?P<tag><)(?=\w)")
_PLACE = re.compile("\0(\\d+)\0")


def markdown(doc: str | None, link: Callable[[str], str] = lambda name: f"`{name}`") -> str:
    """A documentation string as Markdown; ``link`` writes the name of a class.

    Formulas on lines of their own become fenced blocks; those in a sentence are set in dollars and backticks,
    so that no character of them means anything to Markdown.
    """
    blocks: list[str] = []

    def fenced(match: re.Match[str]) -> str:
        blocks.append(f"```math\n{_aligned(match[1])}\n```")
        return f"\n\0{len(blocks) - 1}\0\n\n"

    def marked(match: re.Match[str]) -> str:
        if match["tag"]:
            return r"\<"  # else taken for HTML
        if match["code"] is not None:
            return f"`{match['code']}`"
        if match["role"] == "math":
            return f"$`{' '.join(match['text'].split())}`$"
        if match["role"] == "sup":
            return f"<sup>{match['text']}</sup>"
        name = match["text"].rsplit(".", 1)[-1] if match["short"] else match["text"]
        return link(name) if match["role"] == "class" else f"`{name}`"

    text = _MATH.sub(fenced, inspect.cleandoc(doc or "") + "\n")
    text = _PLACE.sub(lambda m: blocks[int(m[1])], _MARKED.sub(marked, text))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _aligned(body: str) -> str:
    """The lines of a formula; several equations, or aligned ones, need an environment of their own."""
    first, _, rest = body.partition("\n")  # the first line may stand behind the directive
    text = "\n".join(part for part in (first.strip(), textwrap.dedent(rest).strip()) if part)
    equations = re.split(r"\n\s*\n", text)
    outside = re.sub(r"\\begin\{(\w+)\}.*?\\end\{\1\}", "", text, flags=re.S)
    if len(equations) == 1 and "&" not in outside and r"\\" not in outside:
        return text
    return "\\begin{aligned}\n" + " \\\\\n".join(equations) + "\n\\end{aligned}"


def cell(text: str) -> str:
    """Markdown inside a table: a bar would end the cell."""
    return " ".join(text.replace("|", r"\|").split())


def anchor(heading: str) -> str:
    """The name by which GitHub links to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
