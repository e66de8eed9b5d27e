# Tension and shear of an elastic steel. Units: MPa.

[Models]
  # A material is a model that computes the stress from the strain. This one is a single block.
  [steel]
    type = LinearIsotropicElasticity
    coefficients = '210e3 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
[]

# All that follows is the test. Two specimens are one batch; arrays are (row, specimen, component), and the
# components are xx yy zz yz xz xy.
[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 1.0, 11, dtype=torch.float64))'
  []
  # 1 where the strain is prescribed: xx of the first specimen, xy of the second. Other stresses are prescribed.
  [held]
    type = Python
    expr = 'torch.tensor([[1.0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1.0]], dtype=torch.float64).expand(11, 2, 6)'
  []
  [free]
    type = Python
    expr = '1 - held'
  []
  # What is prescribed: 0.1 % of strain at the end, and no stress.
  [target]
    type = Python
    expr = '0.001 * held * times.data.reshape(11, 1, 1)'
  []
  # Nothing is counted from where an earlier row has ended.
[]

[Drivers]
  [test]
    type = TransientDriver
    model = 'steel'
    prescribed_time = 'times'
    control_strain_weight = 'held'
    control_stress_weight = 'free'
    control_target = 'target'
  []
[]
