# Isotropic linear elasticity. Units: MPa, s.

amplitude = 0.01
cycles = 2.25
volume = 0.05
duration = 10.0

points = 100
steps = 100

[Tensors]
  [phase]
    type = Python
    expr = 'torch.linspace(0.0, 1.0, ${steps} + 1, dtype=torch.float64)'
  []
  [times]
    type = Python
    expr = 'Scalar(${duration} * phase)'
  []
  [direction]
    type = Python
    expr = 'torch.tensor([[1.0, -0.5, -0.5, 0, 0, 0], [0.6, -0.2, -0.3, 0.15, 0.1, -0.2], [0.1, -0.1, 0, 0.5, 0.75, -0.4], [-0.3, 1.0, -0.6, 0.2, -0.1, 0.3]], dtype=torch.float64) + ${volume} * torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=torch.float64)'
  []
  [point]
    type = Python
    expr = 'torch.arange(${points})'
  []
  # Between 0.7 and 1.3 of the amplitude, spread evenly by the golden ratio.
  [scale]
    type = Python
    expr = '${amplitude} * (0.7 + 0.6 * torch.frac(0.6180339887498949 * point.to(torch.float64)))'
  []
  [strain]
    type = Python
    expr = 'SR2(torch.sin(2 * math.pi * ${cycles} * phase).reshape(-1, 1, 1) * (scale.unsqueeze(-1) * direction[point % 4]))'
  []
[]

[Drivers]
  [driver]
    type = TransientDriver
    model = 'model'
    prescribed_time = 'times'
    prescribed_SR2_names = 'E'
    prescribed_SR2_values = 'strain'
  []
[]

[Models]
  [model]
    type = LinearIsotropicElasticity
    coefficients = '100000.0 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'E'
  []
[]
