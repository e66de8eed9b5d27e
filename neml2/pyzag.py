"""The pyzag interface under the names that scripts written for NEML2 import."""

from neml2.recurrent.pyzag_model import PyzagModel as NEML2PyzagModel

__all__ = ["NEML2PyzagModel"]
