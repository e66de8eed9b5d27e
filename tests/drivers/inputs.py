"""Input texts: a driver, and checks of it."""

TEXT = """
[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 1.0, 6, dtype=torch.float64))'
  []
  [strains]
    type = Python
    expr = 'SR2(torch.linspace(0.0, 0.01, 6, dtype=torch.float64).reshape(6, 1)
                * torch.tensor([1.0, 0, 0, 0, 0, 2.0], dtype=torch.float64))'
  []
  [x0]
    type = Python
    expr = 'Scalar(torch.tensor([1.0, 2.0], dtype=torch.float64))'
  []
[]
[Models]
  [elasticity]
    type = LinearIsotropicElasticity
    coefficients = '1e5 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'E'
  []
  [rate]
    type = ScalarLinearCombination
    from = 'x'
    to = 'x_rate'
    weights = '-2'
  []
  [step]
    type = ScalarForwardEulerTimeIntegration
    variable = 'y'
    rate = 'y_rate'
  []
  [growth]
    type = ScalarLinearCombination
    from = 'T'
    to = 'y_rate'
  []
  [model]
    type = ComposedModel
    models = 'elasticity growth step'
  []
[]
[Drivers]
  [driver]
    type = TransientDriver
    model = 'model'
    prescribed_time = 'times'
    prescribed_SR2_names = 'E'
    prescribed_SR2_values = 'strains'
    prescribed_Scalar_names = 'T'
    prescribed_Scalar_values = '300'
    ic_Scalar_names = 'y'
    ic_Scalar_values = 'x0'
  []
[]
"""

CHECKS = """
[Tensors]
  [end]
    type = Python
    expr = 'Scalar(torch.tensor([301.0, 302.0], dtype=torch.float64))'
  []
  [rows]
    type = Python
    expr = 'Scalar(torch.tensor([[0.0, 0.0], [121.0, 122.0]], dtype=torch.float64))'
  []
[]
[Drivers]
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold.pt'
  []
  [last]
    type = Verification
    driver = 'driver'
    time_steps = '5'
    Scalar_names = 'output.y'
    Scalar_values = 'end'
  []
  [several]
    type = Verification
    driver = 'driver'
    time_steps = '0 2'
    Scalar_names = 'output.y_none'
    Scalar_values = 'rows'
  []
  [unit]
    type = ModelUnitTest
    model = 'elasticity'
    input_SR2_names = 'E'
    input_SR2_values = 'one_strain'
    output_SR2_names = 'stress'
    output_SR2_values = 'one_stress'
  []
[]
[Tensors]
  [one_strain]
    type = Python
    expr = 'SR2.fill(0.01, 0.0, 0.0, 0.0, 0.0, 0.0)'
  []
  [one_stress]
    type = Python
    expr = 'SR2.fill(1346.1538461538462, 576.9230769230769, 576.9230769230769, 0.0, 0.0, 0.0)'
  []
[]
"""
