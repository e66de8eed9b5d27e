"""What the parser complains about, in our words and at the place of the fault."""

from __future__ import annotations

import re

import nmhit

from neml2.hit.errors import SyntaxProblem, Where
from neml2.hit.scan import Places, scan
from neml2.hit.source import Source


def syntax_problem(error: nmhit.ErrorMessage, source: Source) -> SyntaxProblem:
    """The parser's complaint, put where the fault is rather than where the parser noticed it."""
    message, text = error.message, source.text
    places = Places(text)
    where = source.where(error.line, error.column, in_bytes=True)
    twice = re.match(r"duplicate field '(.*)'", message)
    if twice:  # within a section it is found earlier; this one was given through another spelling of its path
        return SyntaxProblem(where, f"'{twice[1]}' was given before; replace the value with ':='")
    if "newline in section header" in message:
        return SyntaxProblem(where, "the header of this section is not closed; write [name]")
    start = places.starts[min(error.line, len(source.lines)) - 1]
    before = text[: start + error.column - 1]
    empty = re.search(r"([^\s\[\]#=:'\"$]+)[ \t]*:?=\s*$", before)
    if empty:
        where = source.where(*places(empty.start()))
        return SyntaxProblem(
            where, f"'{empty[1]}' has no value; several words need quotes, and '' is an empty value"
        )
    words = list(re.finditer(r"[^\s\[\]#=:'\"$]+", before))
    alone = re.fullmatch(
        r"\s*[^\s\[\]#=:'\"$]+\s*", before[start:]
    )  # a word, and then something other than '='
    if words and ("expecting = or :=" in message or alone):
        where = source.where(*places(words[-1].start()))
        return SyntaxProblem(
            where, f"'{words[-1][0]}' is not followed by '='; a value of several words needs quotes"
        )
    tokens = list(scan(text))
    if tokens and tokens[-1].kind == "key" and re.match(r"\s*:?=\s*['\"]", text[tokens[-1].end :]):
        where = source.where(*places(tokens[-1].start))
        return SyntaxProblem(where, f"the quote of '{tokens[-1].text}' is never closed; add the second quote")
    former = next((t for t in tokens if t.text == "[../]"), None)
    if former:
        return SyntaxProblem(
            source.where(*places(former.start)), "a section is closed with [], not with [../]"
        )
    if "unexpected end of file" in message:
        stack = []
        for token in tokens:
            if token.kind == "open":
                stack.append(token)
            elif token.kind == "close" and stack:
                stack.pop()
        if stack:
            opened = source.where(*places(stack[-1].start))
            return SyntaxProblem(
                where, f"the file ends inside {stack[-1].text}, opened at {opened}; add '[]'"
            )
    return SyntaxProblem(
        where, f"{message}; write 'key = value' in '[section] ... []', with quotes around several words"
    )


def first_odd_character(source: Source) -> Where:
    """The first character outside values and comments that is not plain ASCII."""
    text = source.text
    inside = [(t.start, t.end) for t in scan(text) if t.kind in ("value", "open")]
    for hit in re.finditer(r"[^\x00-\x7f]", re.sub(r"#[^\n]*", lambda m: " " * len(m[0]), text)):
        if not any(start <= hit.start() < end for start, end in inside):
            line = text.count("\n", 0, hit.start()) + 1
            return source.where(line, hit.start() - text.rfind("\n", 0, hit.start()))
    return Where(source.origins[0][0])
