"""Building and caching: what is kept, what is shared, and what happens when something is missing."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

import neml2.compiler.build as build

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
    with pytest.raises(build.NoCompiler, match=r"no C\+\+ compiler found; install g\+\+ or clang\+\+, or"):
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


def test_another_compiler_is_another_library(cache, tmp_path, monkeypatch):
    answer(1)
    real = shutil.which("g++") or build.compiler()[0][0]
    monkeypatch.setenv("CXX", str(script(tmp_path, "mine++", f'exec {real} "$@"')))
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


def test_a_compiler_without_openmp_builds_for_one_thread(cache, tmp_path, monkeypatch):
    real = build.compiler()[0][0]
    body = f'case "$*" in *-fopenmp*) echo no openmp >&2; exit 1;; esac\nexec {real} "$@"'
    monkeypatch.setenv("CXX", str(script(tmp_path, "mine++", body)))
    assert answer(1) == 1
