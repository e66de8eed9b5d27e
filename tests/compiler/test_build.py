"""Building and caching: what is kept, what is shared, and what happens when something is missing."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch

import neml2
import neml2.compiler.build as build
from neml2 import log

SOURCE = 'extern "C" int answer() {{ return {}; }}\n'
SCRIPT = f"""import runpy  # of this file alone: torch is slow to import
print(runpy.run_path({build.__file__!r})["library"]({SOURCE.format(7)!r})[1].answer())"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("NEML2_CACHE", str(folder))
    return folder


def answer(number):
    return build.library(SOURCE.format(number))[1].answer()


def script(folder, text, body="exit 0"):
    """An executable file."""
    path = folder / text
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_the_cache_is_private_and_keeps_the_source(cache):
    path, loaded = build.library(SOURCE.format(1))
    assert loaded.answer() == 1
    assert path.parent == cache
    assert path.read_text() == SOURCE.format(1)
    assert sorted(p.suffix for p in cache.iterdir()) == [".cpp", ".so"]
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


def test_another_source_is_another_library(cache):
    assert (answer(1), answer(2), answer(1)) == (1, 2, 1)
    assert len(list(cache.glob("*.so"))) == 2


def test_the_second_build_is_a_load(cache, monkeypatch):
    answer(1)
    monkeypatch.setattr(build, "_build", lambda *_: pytest.fail("it was built again"))
    assert answer(1) == 1


@pytest.mark.parametrize("rest", [b"", b"not a library", 0.01, 0.5, 0.9])
def test_a_damaged_library_is_built_anew(cache, rest, monkeypatch):
    with monkeypatch.context() as patch:  # built, but not loaded into this process
        patch.setattr(build.ctypes, "CDLL", str)
        build.library(SOURCE.format(1))
    (library,) = cache.glob("*.so")
    whole = library.read_bytes()
    library.write_bytes(rest if isinstance(rest, bytes) else whole[: int(rest * len(whole))])
    assert answer(1) == 1
    assert [p.read_bytes() for p in cache.glob("*.so")] == [whole]


def test_two_processes_may_build_the_same_kernel(cache):
    both = [subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE) for _ in range(2)]
    assert [p.communicate(timeout=60)[0].strip() for p in both] == [b"7", b"7"]
    assert sorted(p.suffix for p in cache.iterdir()) == [".cpp", ".so"]


def test_a_killed_build_leaves_nothing_that_is_loaded(cache, tmp_path, monkeypatch):
    real = build.compiler()[0][0]
    slow = script(
        tmp_path,
        "slow++",
        f'[ "$1" = --version ] && exec {real} "$@"\n{real} "$@"\ntouch {tmp_path}/at\nsleep 60',
    )
    monkeypatch.setenv("CXX", str(slow))
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], start_new_session=True)
    end = time.monotonic() + 60
    while not (tmp_path / "at").exists() and time.monotonic() < end:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    assert (tmp_path / "at").exists()
    assert not list(cache.glob("*.so"))
    script(tmp_path, "slow++", f'exec {real} "$@"')  # as many bytes of version as before: the same key
    assert answer(7) == 7


def test_a_cache_that_cannot_be_written_gives_way_to_a_private_folder(tmp_path, cache, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NEML2_CACHE", str(tmp_path / "file" / "below"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path, loaded = build.library(SOURCE.format(1))
    assert loaded.answer() == 1
    assert tmp_path in path.parents
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert build.library(SOURCE.format(1))[0] == path


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="folders have no owners here")
@pytest.mark.parametrize("how", ["open to others", "a link"])
def test_a_folder_that_others_may_write_is_not_trusted(tmp_path, cache, monkeypatch, how):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NEML2_CACHE", str(tmp_path / "file" / "below"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    taken, foreign = tmp_path / f"neml2-{os.getuid()}", tmp_path / "foreign"
    foreign.mkdir(mode=0o700)
    if how == "a link":
        taken.symlink_to(foreign)
    else:
        taken.mkdir()
        taken.chmod(0o777)
    path, loaded = build.library(SOURCE.format(1))
    assert loaded.answer() == 1
    assert path.parent not in (taken, foreign)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_cache_of_the_user(cache, tmp_path, monkeypatch):
    monkeypatch.delenv("NEML2_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert build.cache_directory() == tmp_path / "xdg" / "neml2"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert build.cache_directory() == tmp_path / "home" / ".cache" / "neml2"


def test_without_a_compiler(cache, tmp_path, monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(build, "find_spec", lambda name: None)  # of ziglang
    with pytest.raises(build.NoCompiler, match=r"install g\+\+ .* or run pip install 'neml2\[compiler\]'$"):
        answer(1)


def test_the_compiler_of_cxx_is_taken(cache, tmp_path, monkeypatch):
    real = build.compiler()[0][0]
    mine = script(tmp_path, "mine++", f'echo "$@" >> {tmp_path}/calls\nexec {real} "$@"')
    monkeypatch.setenv("CXX", str(mine))
    assert answer(1) == 1
    assert "-shared" in (tmp_path / "calls").read_text()


def test_cxx_may_have_arguments(cache, monkeypatch):
    monkeypatch.setenv("CXX", f"{build.compiler()[0][0]} -DEXTRA=3")
    assert build.library('extern "C" int extra() { return EXTRA; }')[1].extra() == 3


def test_cxx_that_does_not_exist_is_an_error(cache, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(build.NoCompiler, match="CXX is 'no-such-compiler', which is not found; "):
        answer(1)


def test_cxx_that_cannot_be_run(cache, tmp_path, monkeypatch):
    script(tmp_path, "mine++").write_text("no program\n")
    monkeypatch.setenv("CXX", str(tmp_path / "mine++"))
    with pytest.raises(build.NoCompiler, match=r"mine\+\+ cannot be run: Exec format error; name another"):
        answer(1)


def test_another_compiler_is_another_library(cache, tmp_path, monkeypatch):
    answer(1)
    real = shutil.which("g++") or build.compiler()[0][0]
    monkeypatch.setenv("CXX", str(script(tmp_path, "mine++", f'exec {real} "$@"')))
    assert answer(1) == 1
    assert len(list(cache.glob("*.so"))) == 2


def test_another_version_of_the_compiler_is_another_library(cache, tmp_path, monkeypatch):
    real = build.compiler()[0][0]
    for version in ("1.0", "2.0"):
        body = f'[ "$1" = --version ] && echo {version} && exit 0\nexec {real} "$@"'
        monkeypatch.setenv("CXX", str(script(tmp_path, "mine++", body)))
        build._version.cache_clear()  # as in another process
        assert answer(1) == 1
    assert len(list(cache.glob("*.so"))) == 2


def test_a_source_that_does_not_compile(cache):
    with pytest.raises(build.NoCompiler, match="could not compile a kernel: .*error"):
        build.library("int broken( {\n")
    assert not list(Path(cache).iterdir())


def test_a_folder_from_which_nothing_is_loaded(cache, monkeypatch):
    def refuse(path):
        raise OSError("failed to map segment from shared object")

    monkeypatch.setattr(build.ctypes, "CDLL", refuse)
    with pytest.raises(build.NoCompiler, match="cannot load a kernel: failed to map .*NEML2_CACHE"):
        answer(1)


def test_a_compiler_that_does_not_know_the_machine(cache, tmp_path, monkeypatch):
    real = build.compiler()[0][0]
    body = f'case "$*" in *-march=native*) echo no such machine >&2; exit 1;; esac\nexec {real} "$@"'
    monkeypatch.setenv("CXX", str(script(tmp_path, "mine++", body)))
    assert answer(1) == 1


def test_what_is_cached(cache):
    assert build.cached(SOURCE.format(1))[1] is None
    assert not list(cache.iterdir())  # asking writes nothing
    source, loaded = build.library(SOURCE.format(1))
    assert build.cached(SOURCE.format(1)) == (source, *cache.glob("*.so"))


def test_the_files_of_the_compiler_go_with_the_build(cache, tmp_path, monkeypatch):
    real = build.compiler()[0][0]
    body = f'touch "$TMPDIR/of_mine"\necho "$TMPDIR" >> {tmp_path}/at\nexec {real} "$@"'
    monkeypatch.setenv("CXX", str(script(tmp_path, "mine++", body)))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    answer(1)
    places = (tmp_path / "at").read_text().split()
    assert Path(places[-1]).parent == cache
    assert sorted(p.suffix for p in cache.iterdir()) == [".cpp", ".so"]


def test_what_a_killed_build_has_left_goes_after_a_day(cache):
    for name, age in (("build-old", 2 * build.ABANDONED), ("build-of-another", 0)):
        (cache / name).mkdir(parents=True)
        (cache / name / "kernel.so").write_text("a part")
        os.utime(cache / name, (time.time() - age,) * 2)
    answer(1)
    assert [p.name for p in cache.glob("build-*")] == ["build-of-another"]


# ---------------------------------------------------------------------- ziglang


@pytest.fixture
def bare(cache, tmp_path, monkeypatch):
    """A machine without a compiler, where the package ziglang may be put."""
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "packages").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    return tmp_path / "packages"


def test_the_compiler_of_ziglang_is_the_last_resort(cache, bare, monkeypatch):
    real = shutil.which("g++", path=os.defpath)
    if real is None:
        pytest.skip("no g++ to stand in for it")
    (bare / "ziglang").mkdir()
    (bare / "ziglang" / "__init__.py").write_text("")
    (bare / "ziglang" / "__main__.py").write_text(
        "import os, sys\n"
        "assert sys.argv[1] == 'c++'\n"
        f"open({str(bare / 'at')!r}, 'a').write(os.environ.get('ZIG_GLOBAL_CACHE_DIR', '') + '\\n')\n"
        f"os.environ['PATH'] = {os.defpath!r}\n"
        f"os.execv({real!r}, ['g++', *sys.argv[2:]])\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(bare))
    monkeypatch.delenv("ZIG_GLOBAL_CACHE_DIR", raising=False)
    assert build.compiler()[0] == (sys.executable, "-m", "ziglang", "c++")
    assert answer(1) == 1
    assert (bare / "at").read_text().splitlines()[-1] == str(cache / "zig")


# ---------------------------------------------------------------------- a full disk

FULL = r"no space left to build a kernel in .*cache; free some, or name another folder in NEML2_CACHE$"


@pytest.mark.parametrize(
    "message",
    ["/tmp/x.s: No space left on device", "final link failed: File too large", "error: NoSpaceLeft"],
)
def test_a_disk_that_fills_up_while_the_compiler_writes(cache, tmp_path, monkeypatch, message):
    real = build.compiler()[0][0]
    part = f'for out; do :; done\nhead -c 100 {real} > "$out"\necho "{message}" >&2\nexit 1'
    version = f'[ "$1" = --version ] && exec {real} --version\n'
    monkeypatch.setenv("CXX", str(script(tmp_path, "mine++", version + part)))
    with pytest.raises(build.NoCompiler, match=FULL):
        answer(1)
    assert not list(cache.iterdir())
    script(tmp_path, "mine++", f'exec {real} "$@"')  # space again
    assert answer(1) == 1


def test_a_compiler_that_dies_without_a_word_on_a_full_disk(cache, tmp_path, monkeypatch):
    real = build.compiler()[0][0]
    mine = f'[ "$1" = --version ] && exec {real} --version\nkill -ABRT $$'
    monkeypatch.setenv("CXX", str(script(tmp_path, "mine++", mine)))
    with pytest.raises(build.NoCompiler, match="could not compile a kernel: exit code -6"):
        answer(1)
    monkeypatch.setattr(build, "LITTLE", 2**80)
    with pytest.raises(build.NoCompiler, match=FULL):
        answer(1)


LIMITED = f"""import resource, runpy, signal, sys
names = runpy.run_path({build.__file__!r})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing fails with an error, as on a full disk
names["compiler"]()
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
try:
    names["library"]({SOURCE.format(7)!r})
except names["NoCompiler"] as error:
    print(error)"""


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limits on files here")
@pytest.mark.parametrize("size", [10, 200])  # not even the source; the source, but not what is made of it
def test_files_that_cannot_be_written_whole(cache, size):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(size)], capture_output=True, text=True, check=True, timeout=60
    )
    assert re.match(FULL, done.stdout.strip()), done
    assert not list(cache.iterdir())
    assert answer(7) == 7


@pytest.mark.parametrize("at", ["folder", "source", "library"])
def test_a_disk_that_is_full_at_any_of_our_own_writes(cache, monkeypatch, at):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if at == "folder":
            patch.setattr(build.tempfile, "TemporaryFile", full)
            patch.setattr(build.tempfile, "TemporaryDirectory", full)
        elif at == "source":
            patch.setattr(Path, "write_text", full)
        else:
            patch.setattr(build.os, "replace", full)
        with pytest.raises(build.NoCompiler, match=FULL):
            answer(1)
    assert not list(cache.iterdir())
    assert answer(1) == 1


def test_without_any_folder_to_write_to(cache, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NEML2_CACHE", str(tmp_path / "file" / "below"))

    def none():
        raise FileNotFoundError("no usable temporary directory found")

    monkeypatch.setattr(build.tempfile, "gettempdir", none)
    with pytest.raises(build.NoCompiler, match="cannot write to the kernel cache .*NEML2_CACHE$"):
        answer(1)


def test_runs_go_on_eagerly_where_the_disk_is_full(cache, tmp_path, monkeypatch):
    file = neml2.load_input(str(Path(__file__).parents[1] / "bad_input" / "good.i"))
    given = file.get_driver("driver")
    real = build.compiler()[0][0]
    full = f'[ "$1" = --version ] && exec {real} --version\necho No space left on device >&2\nexit 1'
    monkeypatch.setenv("CXX", str(script(tmp_path, "mine++", full)))
    monkeypatch.setattr("neml2.drivers.transient._MANY_STEPS", 1)
    said = []
    monkeypatch.setattr(log, "emit", lambda channel, level, text: said.append((channel, text)))
    driver = neml2.TransientDriver(given.model, engine="auto")
    results = [driver.run(given.history)["stress"].data for _ in range(2)]
    assert results[0].equal(results[1])
    ((channel, text),) = [s for s in said if s[0] == "driver"]
    assert channel == "driver" and re.search(f"runs in the eager engine: {FULL}", text)
    with pytest.raises(neml2.drivers.engines.native.NotNative, match=FULL):
        neml2.TransientDriver(given.model, engine="native").run(given.history)
    script(tmp_path, "mine++", f'exec {real} "$@"')  # space again
    again = neml2.TransientDriver(given.model, engine="native").run(given.history)["stress"].data
    assert (again - results[0]).abs().max() < 1e-9


def test_gradients_go_on_eagerly_where_there_is_no_space_for_their_kernel(cache, tmp_path, monkeypatch):
    given = neml2.load_input(str(Path(__file__).parents[1] / "bad_input" / "good.i")).get_driver("driver")
    real = build.compiler()[0][0]
    body = f"""[ "$1" = --version ] && exec {real} --version
for word; do case "$word" in *kernel.cpp) code=$word;; esac; done
grep -q march_adjoint "$code" && echo No space left on device >&2 && exit 1
exec {real} "$@\""""
    monkeypatch.setenv("CXX", str(script(tmp_path, "mine++", body)))
    monkeypatch.setattr("neml2.drivers.transient._MANY_STEPS", 1)
    driver = neml2.TransientDriver(given.model, engine="auto")
    with torch.no_grad():
        driver.run(given.history)
    assert len(list(cache.glob("*.so"))) == 1
    driver.run(given.history)["stress"].data[-1].sum().backward()
    assert any(p.grad is not None for p in given.model.parameters())
    driver.engine = "native"
    with pytest.raises(neml2.drivers.engines.native.NotNative, match=FULL):
        driver.run(given.history)
