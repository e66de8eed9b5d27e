import io
import os
import subprocess
import sys

import pytest

from neml2 import log


@pytest.fixture(autouse=True)
def _restored(monkeypatch):
    monkeypatch.delenv("NEML2_LOGS", raising=False)
    log.reload()
    yield
    monkeypatch.delenv("NEML2_LOGS", raising=False)
    log.reload()
    log.reset_defaults()
    log.reset_sink()
    log.set_stream(None)


def test_warnings_are_shown_and_nothing_else():
    for channel in log.CHANNELS:
        assert log.effective_level(channel) == log.WARNING
        assert log.enabled(channel, "warning") and not log.enabled(channel, log.INFO)
    assert not log.enabled("newton", "silent")


def test_precedence(monkeypatch):
    log.set_default_level("all", "debug")
    assert log.effective_level("driver") == log.DEBUG
    log.set_default_level("newton", "off")
    assert log.effective_level("newton") == log.SILENT
    monkeypatch.setenv("NEML2_LOGS", "all=info")
    log.reload()
    assert log.effective_level("newton") == log.INFO
    monkeypatch.setenv("NEML2_LOGS", "all=info,newton=3, nonsense ,linear = none")
    log.reload()
    assert [log.effective_level(c) for c in ("newton", "linear", "driver")] == [3, 0, 2]
    log.reset_defaults()
    monkeypatch.delenv("NEML2_LOGS")
    log.reload()
    assert log.effective_level("newton") == log.WARNING


def test_lines_and_streams(capsys):
    log.set_default_level("all", 3)
    log.emit("newton", "info", "one")
    log.emit("linear", log.DEBUG, "two")
    log.emit("substep", "warn", "three")
    shown = capsys.readouterr()
    assert shown.out == "[neml2:newton ][info] one\n"
    assert shown.err == "[neml2:linear ][dbg ] two\n[neml2:substep][warn] three\n"
    both = io.StringIO()
    log.set_stream(both)
    log.emit("newton", "info", "four")
    assert both.getvalue() == "[neml2:newton ][info] four\n"


def test_sink():
    heard = []
    log.set_sink(lambda level, line: heard.append((level, line)))
    log.emit("driver", "warning", "careful")
    log.emit("driver", "info", "not shown")
    assert heard == [(1, "[neml2:driver ][warn] careful")]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: log.enabled("netwon", "info"),
        lambda: log.set_default_level("newton", "loud"),
        lambda: log.emit("all", "info", "to whom?"),
        lambda: log.set_default_level("newton", 7),
    ],
)
def test_unknown_names(wrong):
    with pytest.raises(ValueError, match="no log (channel|level)"):
        wrong()


@pytest.mark.parametrize("text", ["newtn=info", "newton=verbose"])
def test_unknown_names_in_the_environment(monkeypatch, text):
    monkeypatch.setenv("NEML2_LOGS", text)
    with pytest.raises(ValueError, match="no log"):
        log.reload()


def test_where_results_went(tmp_path, capsys):
    from neml2.drivers.files.formats import save

    class Nothing:
        def to_dict(self):
            return {}

    log.set_default_level("driver", "info")
    save(Nothing(), tmp_path / "out.pt")
    assert capsys.readouterr().out == f"[neml2:driver ][info] Results saved to {tmp_path / 'out.pt'}\n"


def test_a_misspelt_word_does_not_keep_the_library_from_being_imported():
    done = subprocess.run(
        [sys.executable, "-c", "import neml2; print('here')"],
        capture_output=True,
        text=True,
        env={**os.environ, "NEML2_LOGS": "newtn=info"},
    )
    assert done.stdout == "here\n"
    assert done.stderr == (
        "neml2: NEML2_LOGS is ignored: no log channel 'newtn'; did you mean 'newton'?"
        " (channels: newton, linear, substep, model, tensor, driver, all)\n"
    )
