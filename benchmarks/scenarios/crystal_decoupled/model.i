# A single crystal, 12 slip systems of one strength, lattice rotation in a solve of its own (7 and 3 unknowns).

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
    coefficients = '90000.0 0.27'
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
    n = 6.0
    gamma0 = 0.1
  []
  [sum_slip_rates]
    type = SumSlipRates
  []
  [slip_strength]
    type = SingleSlipStrengthMap
    constant_strength = 42.0
  []
  [hardening]
    type = VoceSingleSlipHardeningRule
    initial_slope = 500.0
    saturated_hardening = 45.0
  []
  [integrate_slip_hardening]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'slip_hardening'
  []
  [integrate_elastic_strain]
    type = SR2BackwardEulerTimeIntegration
    variable = 'elastic_strain'
  []
  [euler_rodrigues_old]
    type = RotationMatrix
    from = 'orientation~1'
    to = 'orientation_matrix'
  []
  [implicit_1]
    type = ComposedModel
    models = 'euler_rodrigues_old elasticity resolved_shear elastic_stretch plastic_deformation_rate sum_slip_rates slip_rule slip_strength hardening integrate_slip_hardening integrate_elastic_strain'
  []
  [warm1]
    type = CrystalPlasticityStrainPredictor
    scale = 1.0
  []
  [warm2]
    type = ConstantExtrapolationPredictor
    unknowns_Scalar = 'slip_hardening'
  []
  [predictor_1]
    type = ComposedModel
    models = 'warm1 warm2'
  []
  [stage_1]
    type = ImplicitUpdate
    equation_system = 'eq_sys_1'
    solver = 'newton'
    predictor = 'predictor_1'
  []
  [euler_rodrigues_new]
    type = RotationMatrix
    from = 'orientation'
    to = 'orientation_matrix'
  []
  [integrate_orientation]
    type = WR2ImplicitExponentialTimeIntegration
    variable = 'orientation'
  []
  [implicit_2]
    type = ComposedModel
    models = 'euler_rodrigues_new elasticity resolved_shear plastic_deformation_rate plastic_spin slip_rule slip_strength orientation_rate integrate_orientation'
  []
  [predictor_2]
    type = ConstantExtrapolationPredictor
    unknowns_MRP = 'orientation'
  []
  [stage_2]
    type = ImplicitUpdate
    equation_system = 'eq_sys_2'
    solver = 'newton'
    predictor = 'predictor_2'
  []
  [model]
    type = ComposedModel
    models = 'stage_1 stage_2 elasticity'
    additional_outputs = 'elastic_strain slip_hardening'
  []
[]

[EquationSystems]
  [eq_sys_1]
    type = NonlinearSystem
    model = 'implicit_1'
    unknowns = 'elastic_strain slip_hardening'
    residuals = 'elastic_strain_residual slip_hardening_residual'
  []
  [eq_sys_2]
    type = NonlinearSystem
    model = 'implicit_2'
    unknowns = 'orientation'
    residuals = 'orientation_residual'
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
