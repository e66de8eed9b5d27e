# A single crystal with a dislocation density on each of 12 slip systems (21 unknowns). Lengths in 0.1 µm.

amplitude = 0.02
duration = 2.0

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
  [point]
    type = Python
    expr = 'torch.arange(${points})'
  []
  [direction]
    type = Python
    expr = 'torch.tensor([[1.0, -0.5, -0.5, 0, 0, 0], [0.6, -0.2, -0.4, 0.15, 0.1, -0.2], [0.1, -0.1, 0, 0.5, 0.75, -0.4], [-0.3, 1.0, -0.7, 0.2, -0.1, 0.3]], dtype=torch.float64)'
  []
  [spin]
    type = Python
    expr = 'torch.tensor([[0.3, -0.6, 0.4], [0, 0.3, -0.3], [-0.5, 0.1, 0.2], [0, 0, 0]], dtype=torch.float64)'
  []
  # Between 0.7 and 1.3 of the amplitude, spread evenly by the golden ratio.
  [scale]
    type = Python
    expr = '${amplitude} / ${duration} * (0.7 + 0.6 * torch.frac(0.6180339887498949 * point.to(torch.float64))).unsqueeze(-1)'
  []
  [rate]
    type = Python
    expr = 'SR2((scale * direction[point % 4]).expand(${steps} + 1, -1, -1).contiguous())'
  []
  [vorticity]
    type = Python
    expr = 'WR2((scale * spin[point % 4]).expand(${steps} + 1, -1, -1).contiguous())'
  []
  # Spread evenly over all rotations: points of a lattice in the unit cube, as quaternions (Shoemake 1992).
  [cube]
    type = Python
    expr = 'torch.frac((point.to(torch.float64) + 0.5).unsqueeze(-1) * torch.tensor([0.8191725133961645, 0.6710436067037893, 0.5497004779019703], dtype=torch.float64))'
  []
  [quaternion]
    type = Python
    expr = 'torch.stack([torch.sqrt(cube[:, 0]) * torch.cos(2 * math.pi * cube[:, 2]), torch.sqrt(1 - cube[:, 0]) * torch.sin(2 * math.pi * cube[:, 1]), torch.sqrt(1 - cube[:, 0]) * torch.cos(2 * math.pi * cube[:, 1]), torch.sqrt(cube[:, 0]) * torch.sin(2 * math.pi * cube[:, 2])], dim=-1)'
  []
  [orientation]
    type = Python
    expr = 'MRP(torch.sign(quaternion[:, :1]) * quaternion[:, 1:] / (1 + torch.abs(quaternion[:, :1])))'
  []
  [a]
    type = Python
    expr = 'Scalar(1.0)'
  []
  [slip_directions]
    type = Python
    expr = 'MillerIndex(torch.tensor([1, 1, 0], dtype=torch.int64))'
  []
  [slip_planes]
    type = Python
    expr = 'MillerIndex(torch.tensor([1, 1, 1], dtype=torch.int64))'
  []
  [density]
    type = Python
    expr = 'Scalar(torch.ones(${points}, 12, dtype=torch.float64), sub_batch_ndim=1)'
  []
[]

[Drivers]
  [driver]
    type = TransientDriver
    model = 'model'
    prescribed_time = 'times'
    prescribed_SR2_names = 'deformation_rate'
    prescribed_SR2_values = 'rate'
    prescribed_WR2_names = 'vorticity'
    prescribed_WR2_values = 'vorticity'
    ic_MRP_names = 'orientation'
    ic_MRP_values = 'orientation'
    ic_Scalar_names = 'dislocation_density'
    ic_Scalar_values = 'density'
  []
[]

[Data]
  [crystal_geometry]
    type = CubicCrystal
    lattice_parameter = 'a'
    slip_directions = 'slip_directions'
    slip_planes = 'slip_planes'
  []
[]

[Models]
  [elasticity]
    type = LinearIsotropicElasticity
    coefficients = '110000.0 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'elastic_strain'
  []
  [resolved_shear]
    type = ResolvedShear
  []
  [elastic_stretch]
    type = ElasticStrainRate
  []
  [plastic_spin]
    type = PlasticVorticity
  []
  [plastic_deformation_rate]
    type = PlasticDeformationRate
  []
  [orientation_rate]
    type = OrientationRate
  []
  [slip_rule]
    type = PowerLawSlipRule
    n = 9.0
    gamma0 = 0.08
  []
  [slip_strength]
    type = DislocationObstacleStrengthMap
    constant_strength = 12.0
    alpha = 0.3
    mu = 42000.0
    b = 2.5e-3
  []
  [storage]
    type = PerSlipForestDislocationEvolution
    k1 = 20.0
    k2 = 8.0
  []
  [integrate_dislocation_density]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'dislocation_density'
  []
  [integrate_elastic_strain]
    type = SR2BackwardEulerTimeIntegration
    variable = 'elastic_strain'
  []
  [euler_rodrigues]
    type = RotationMatrix
    from = 'orientation'
    to = 'orientation_matrix'
  []
  [integrate_orientation]
    type = WR2ImplicitExponentialTimeIntegration
    variable = 'orientation'
  []
  [implicit_rate]
    type = ComposedModel
    models = 'euler_rodrigues elasticity orientation_rate resolved_shear elastic_stretch plastic_deformation_rate plastic_spin slip_rule slip_strength storage integrate_dislocation_density integrate_elastic_strain integrate_orientation'
  []
  [warm1]
    type = CrystalPlasticityStrainPredictor
    scale = 1.0
  []
  [warm2]
    type = ConstantExtrapolationPredictor
    unknowns_MRP = 'orientation'
    unknowns_Scalar = 'dislocation_density'
  []
  [predictor]
    type = ComposedModel
    models = 'warm1 warm2'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'eq_sys'
    solver = 'newton'
    predictor = 'predictor'
  []
  [model]
    type = ComposedModel
    models = 'update elasticity'
    additional_outputs = 'elastic_strain'
  []
[]

[EquationSystems]
  [eq_sys]
    type = NonlinearSystem
    model = 'implicit_rate'
    unknowns = 'elastic_strain dislocation_density orientation'
    residuals = 'elastic_strain_residual dislocation_density_residual orientation_residual'
  []
[]

[Solvers]
  [newton]
    type = NewtonWithLineSearch
    linear_solver = 'lu'
    max_linesearch_iterations = 5
  []
  [lu]
    type = DenseLU
  []
[]

[Settings]
  [example_batch_shape]
    dislocation_density = '(2; 12)'
  []
[]
