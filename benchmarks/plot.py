"""Time per step against the batch, one small log-log plot for each scenario."""

from __future__ import annotations

from pathlib import Path

from benchmarks.report import ENGINES, Row

COLOURS = dict(zip(ENGINES, ("#0072b2", "#56b4e9", "#e69f00", "#d55e00", "#000000", "#999999")))
STYLES = ("-", "--", ":")  # by number of threads


def draw(rows: list[Row], file: Path) -> None:
    """Draw the runs of ``rows`` into ``file``. Raises :class:`ValueError` when there are none."""
    runs = [r for r in rows if r["measure"] == "run" and r["run_s"]]
    if not runs:
        raise ValueError("there are no runs to draw; run some first")
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(r["scenario"] for r in runs))
    threads = sorted({int(r["threads"]) for r in runs})
    columns = min(4, len(names))
    lines = -(-len(names) // columns)
    size = (3 * columns + 0.5, 2.6 * lines + 1)
    figure, grid = pyplot.subplots(
        lines, columns, figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    drawn = {}
    look = {"marker": "o", "markersize": 3, "lw": 1.2}
    for axes, name in zip(grid.flat, names):
        for engine in ENGINES:
            for count, style in zip(threads, STYLES):
                found = {
                    int(r["points"]): float(r["run_s"]) / int(r["steps"])
                    for r in runs
                    if (r["scenario"], r["engine"], int(r["threads"])) == (name, engine, count)
                }
                if found:
                    label = f"{engine}, {count} thread{'s' * (count > 1)}"
                    x = sorted(found)
                    y = [found[n] for n in x]
                    (drawn[label],) = axes.loglog(x, y, style, color=COLOURS[engine], **look)
        axes.set_title(name.replace("_", " "), fontsize=9)
        axes.grid(True, lw=0.3)
        axes.set_xlabel("points", fontsize=9)
        axes.label_outer()
        axes.tick_params(labelsize=8)
    for axes in list(grid.flat)[len(names) :]:
        axes.set_axis_off()
    figure.supylabel("s per step", fontsize=9)
    figure.legend(
        drawn.values(), drawn.keys(), loc="outside lower center", ncols=4, fontsize=8, frameon=False
    )
    figure.savefig(file, dpi=150)
    pyplot.close(figure)
