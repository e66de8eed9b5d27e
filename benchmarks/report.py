"""A CSV of the suite as Markdown tables: times, and ratios where the values agree."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.race import AGREE

ENGINES = ("native", "eager", "peer-eager", "peer-compiled", "limit", "limit-newton")
Row = dict[str, str]


def markdown(rows: Iterable[Row]) -> str:
    """The tables: runs for every number of threads, then gradients and builds."""
    rows = list(rows)
    parts = []
    for threads in sorted({int(r["threads"]) for r in rows if r["measure"] == "run"}):
        chosen = [r for r in rows if r["measure"] == "run" and int(r["threads"]) == threads]
        parts += [f"### {threads} thread{'s' * (threads > 1)}, µs per point and step", _runs(chosen)]
    gradients = [r for r in rows if r["measure"] == "gradient"]
    if gradients:
        parts += ["### Run and gradient, in runs", _by_engine(gradients, "gradient_ratio")]
    builds = [r for r in rows if r["measure"] == "build"]
    if builds:
        cold = _by_engine(builds, "cold_build_s", "warm_build_s")
        parts += ["### First result in a fresh process, s: cold / warm", cold]
    return "\n\n".join(parts)


def _runs(rows: list[Row]) -> str:
    """One line for each scenario and batch; a later row replaces an earlier one."""
    cases: dict[tuple[str, int], dict[str, Row]] = {}
    for row in rows:
        cases.setdefault((row["scenario"], int(row["points"])), {})[row["engine"]] = row
    used = [e for e in ENGINES if any(e in case for case in cases.values())]
    ratios: list[tuple[str, str]] = [(e, "native") for e in ("peer-eager", "peer-compiled") if e in used]
    ratios += [("native", e) for e in ("limit", "limit-newton") if e in used]
    if "native" not in used:
        ratios = []
    header = ["scenario", "points", *used, *(f"{a} / {b}" for a, b in ratios)]
    lines = []
    for (name, points), case in cases.items():
        times = [_number(case.get(e, {}).get("us_per_point_and_step", "")) for e in used]
        lines.append([name, f"{points:,}", *times, *(_ratio(case.get(a), case.get(b)) for a, b in ratios)])
    return _table(header, lines)


def _ratio(above: Row | None, below: Row | None) -> str:
    """The ratio of two times; none when one is missing, a remark when their values differ."""
    if not above or not below or not above["run_s"] or not below["run_s"]:
        return ""
    if any(float(r["off"] or "inf") > AGREE for r in (above, below)):
        return "values differ"
    return _number(str(float(above["run_s"]) / float(below["run_s"])))


def _by_engine(rows: list[Row], *columns: str) -> str:
    names = list(dict.fromkeys(r["scenario"] for r in rows))
    used = [e for e in ENGINES if any(r["engine"] == e for r in rows)]
    found = {(r["scenario"], r["engine"]): " / ".join(_number(r[c]) for c in columns if r[c]) for r in rows}
    return _table(["scenario", *used], [[n, *(found.get((n, e), "") for e in used)] for n in names])


def _number(text: str) -> str:
    """Three significant figures, without an exponent."""
    if not text:
        return ""
    value = float(text)
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 1e-3 else f"{value:.5f}"


def _table(header: list[str], lines: list[list[str]]) -> str:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *lines))
