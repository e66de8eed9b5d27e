"""What a user sees without pyzag, or with one that is not known."""

from importlib.metadata import PackageNotFoundError

import pytest

from neml2.recurrent import pyzag_version


def test_without_pyzag_it_says_what_to_install(monkeypatch):
    def none(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(pyzag_version, "version", none)
    with pytest.raises(ImportError, match=r"needs the package pyzag; run pip install 'neml2\[recurrent\]'"):
        pyzag_version.check()


@pytest.mark.parametrize(("found", "warned"), [("2.0.0", False), ("2.0.7", False), ("2.1.0", True)])
def test_other_versions_are_told(found, warned, monkeypatch, capfd):
    monkeypatch.setattr(pyzag_version, "version", lambda name: found)
    pyzag_version.check()
    assert (f"pyzag {found} is installed" in capfd.readouterr().err) is warned
