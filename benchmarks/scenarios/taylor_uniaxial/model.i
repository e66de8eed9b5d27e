# A Taylor polycrystal in uniaxial tension: its grains share a rate that is unknown (10 unknowns a grain, and 12).

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
  # One polycrystal: its strain rate along x is prescribed, all other stresses are zero. Grains are a sub-batch.
  [control]
    type = Python
    expr = 'SR2(torch.tensor([[1.0, 0, 0, 0, 0, 0]], dtype=torch.float64).expand(${steps} + 1, -1, -1).contiguous())'
  []
  [prescribed]
    type = Python
    expr = 'SR2((${amplitude} / ${duration} * torch.tensor([[1.0, 0, 0, 0, 0, 0]], dtype=torch.float64)).expand(${steps} + 1, -1, -1).contiguous())'
  []
  [vorticity]
    type = Python
    expr = 'WR2(torch.zeros(${steps} + 1, 1, 3, dtype=torch.float64))'
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
    expr = 'MRP(torch.sign(quaternion[:, :1]) * quaternion[:, 1:] / (1 + torch.abs(quaternion[:, :1])), sub_batch_ndim=1).sub_batch.retag(1)'
  []
  [elastic_strain]
    type = Python
    expr = 'SR2(torch.zeros(${points}, 6, dtype=torch.float64), sub_batch_ndim=1).sub_batch.retag(1)'
  []
  [slip_hardening]
    type = Python
    expr = 'Scalar(torch.zeros(${points}, dtype=torch.float64), sub_batch_ndim=1).sub_batch.retag(1)'
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
    prescribed_SR2_names = 'prescribed control'
    prescribed_SR2_values = 'prescribed control'
    prescribed_WR2_names = 'vorticity'
    prescribed_WR2_values = 'vorticity'
    ic_MRP_names = 'orientation'
    ic_MRP_values = 'orientation'
    ic_SR2_names = 'elastic_strain'
    ic_SR2_values = 'elastic_strain'
    ic_Scalar_names = 'slip_hardening'
    ic_Scalar_values = 'slip_hardening'
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
  [mixed_control]
    type = MixedControlSetup
    x_above = 'deformation_rate'
    x_below = 'stress'
    y = 'mixed_state'
  []
  [y_constraint]
    type = SR2LinearCombination
    from = 'mixed_state prescribed'
    to = 'y_residual'
    weights = '1 -1'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    coefficients = '110000.0 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'elastic_strain'
    stress = 'cauchy_stress'
  []
  [resolved_shear]
    type = ResolvedShear
    stress = 'cauchy_stress'
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
  [sum_slip_rates]
    type = SumSlipRates
  []
  [slip_strength]
    type = SingleSlipStrengthMap
    constant_strength = 38.0
  []
  [hardening]
    type = VoceSingleSlipHardeningRule
    initial_slope = 420.0
    saturated_hardening = 65.0
  []
  [integrate_slip_hardening]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'slip_hardening'
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
  [grain]
    type = ComposedModel
    models = 'euler_rodrigues elasticity orientation_rate resolved_shear elastic_stretch plastic_deformation_rate plastic_spin sum_slip_rates slip_rule slip_strength hardening integrate_slip_hardening integrate_elastic_strain integrate_orientation'
    additional_outputs = 'cauchy_stress'
  []
  [mean_stress]
    type = SR2IntermediateMean
    from = 'cauchy_stress'
    to = 'mean_stress'
    reduces = 'grain'
  []
  [match]
    type = SR2LinearCombination
    from = 'stress mean_stress'
    to = 'stress_residual'
    weights = '1 -1'
  []
  [implicit_rate]
    type = ComposedModel
    models = 'mixed_control y_constraint grain mean_stress match'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'elastic_strain deformation_rate stress'
    unknowns_MRP = 'orientation'
    unknowns_Scalar = 'slip_hardening'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'eq_sys'
    solver = 'newton'
    predictor = 'predictor'
  []
  [model]
    type = ComposedModel
    models = 'update mixed_control'
    additional_outputs = 'mixed_state stress'
  []
[]

[EquationSystems]
  [eq_sys]
    type = NonlinearSystem
    model = 'implicit_rate'
    unknowns = 'elastic_strain slip_hardening orientation; deformation_rate stress'
    residuals = 'elastic_strain_residual slip_hardening_residual orientation_residual; y_residual stress_residual'
    structure = 'block dense'
  []
[]

[Solvers]
  [newton]
    type = NewtonWithLineSearch
    linear_solver = 'schur'
    max_linesearch_iterations = 5
  []
  [lu]
    type = DenseLU
  []
  [schur]
    type = SchurComplement
    residual_primary_group = '0'
    unknown_primary_group = '0'
    primary_solver = 'lu'
    schur_solver = 'lu'
  []
[]

[Settings]
  [example_batch_shape]
    elastic_strain = '(1; ${points})'
    slip_hardening = '(1; ${points})'
    orientation = '(1; ${points})'
  []
[]
