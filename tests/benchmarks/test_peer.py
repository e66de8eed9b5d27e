"""The peer's side of the pipe, with our own package in the place of the peer's, and our side's errors."""

import sys

import numpy as np
import pytest
import torch

from benchmarks.peer import Server
from benchmarks.peers import Peer
from benchmarks.scenario import load, path
from neml2.drivers import TransientDriver


@pytest.fixture
def server():
    before, threads = torch.get_default_dtype(), torch.get_num_threads()
    yield Server()
    torch.set_default_dtype(before)
    torch.set_num_threads(threads)


def test_requests(server, tmp_path):
    assert set(server.versions()) == {"neml2", "torch", "python", "import_s"}
    built = server.load("peer-eager", file=str(path("radial_return")), points=4, steps=5, threads=1)
    assert built["build_s"] > 0 and server.run("peer-eager")["seconds"] > 0
    file = tmp_path / "stress.npy"
    server.stress("peer-eager", file=str(file))
    case = load("radial_return", 4, 5)
    with torch.no_grad():
        expected = TransientDriver(case.model).run(case.history)["stress"].data[-1]
    assert np.array_equal(np.load(file), expected.numpy())
    server.drop("peer-eager")
    with pytest.raises(KeyError):
        server.run("peer-eager")


def test_a_python_without_the_package_is_said(tmp_path):
    bare = tmp_path / "python"
    bare.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'import no_such_package'\n")
    bare.chmod(0o755)
    with pytest.raises(RuntimeError, match="the peer has ended; see .*peer.log"):
        Peer(str(bare), tmp_path / "cache")
    assert "no_such_package" in (tmp_path / "cache" / "peer.log").read_text()


def test_requests_are_lines_and_errors_are_answers(tmp_path):
    """A stand-in that speaks the protocol."""
    stand_in = tmp_path / "python"
    code = (
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    asked = json.loads(line)\n"
        "    good = asked['do'] == 'versions'\n"
        "    print(json.dumps({'neml2': 'x'} if good else {'error': 'no ' + asked['do']}), flush=True)\n"
    )
    (tmp_path / "code.py").write_text(code)
    stand_in.write_text(f"#!/bin/sh\nexec {sys.executable} {tmp_path / 'code.py'}\n")
    stand_in.chmod(0o755)
    peer = Peer(str(stand_in), tmp_path / "cache")
    assert peer.versions == {"neml2": "x"}
    with pytest.raises(RuntimeError, match="^no run$"):
        peer.ask("run", name="peer-eager")
    peer.close()
    with pytest.raises((RuntimeError, ValueError)):
        peer.ask("versions")
