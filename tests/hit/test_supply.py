from neml2.hit.document import read_string
from neml2.hit.supply import base, supplied_names

TEXT = """
[Models]
  [sum]
    type = ScalarLinearCombination
    from = 'a b'
    to = 'total'
  []
  [rate]
    type = ScalarVariableRate
    variable = 'x'
  []
  [strength]
    type = ScalarConstantParameter
    value = 'unknown_word'
  []
  [wrong]
    type = NoSuchType
    to = 'nothing'
  []
[]
[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual_model'
    unknowns = 'u; v'
  []
[]
[Drivers]
  [driver]
    type = StubDriver
    prescribed_Scalar_names = 'load'
  []
[]
[Settings]
  [example_batch_shape]
    slip~1 = '(2; 12)'
  []
[]
"""


def test_outputs_unknowns_and_prescribed_names_are_supplied():
    found = supplied_names(read_string(TEXT))
    assert {"total", "x_rate", "strength", "u", "v", "load", "t", "slip"} <= found
    assert found.isdisjoint({"a", "b", "unknown_word", "nothing", "residual_model"})


def test_lags_belong_to_their_variable():
    assert [base(n) for n in ("x", "x~1", "x~12", "x~y")] == ["x", "x", "x", "x~y"]
