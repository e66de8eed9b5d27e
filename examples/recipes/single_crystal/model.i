# Crystal plasticity: copper single crystals in tension without shear, as in a wire that is drawn. Slip rotates the
# lattice until <111> or <100> lies along the axis. Three orientations as one batch. Units: MPa, s.

[Data]
  # Twelve slip systems {111}<110>, given as one direction and one plane of the family.
  [crystal_geometry]
    type = CubicCrystal
    lattice_parameter = 'a'
    slip_directions = 'direction'
    slip_planes = 'plane'
  []
[]

[Models]
  # Elasticity, isotropic for brevity (GeneralElasticity takes any), and the shear stress on the slip systems.
  [elasticity]
    type = LinearIsotropicElasticity
    coefficients = '120e3 0.34'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'elastic_strain'
    stress = 'cauchy_stress'
  []
  [orientation_matrix]
    type = RotationMatrix
    from = 'orientation'
    to = 'orientation_matrix'
  []
  [resolved_shear]
    type = ResolvedShear
    stress = 'cauchy_stress'
  []

  # Slip: rates by a power law, against a strength that grows with the total slip.
  [slip_strength]
    type = SingleSlipStrengthMap
    constant_strength = 20
  []
  [slip_rule]
    type = PowerLawSlipRule
    n = 20
    gamma0 = 0.001
  []
  [sum_slip_rates]
    type = SumSlipRates
  []
  [hardening]
    type = VoceSingleSlipHardeningRule
    initial_slope = 150
    saturated_hardening = 60
  []

  # Kinematics: slip deforms the crystal and spins it; what is left of both is elastic, and rotates the lattice.
  [plastic_deformation_rate]
    type = PlasticDeformationRate
  []
  [plastic_spin]
    type = PlasticVorticity
  []
  [elastic_strain_rate]
    type = ElasticStrainRate
  []
  [orientation_rate]
    type = OrientationRate
  []

  # The time step; orientations are integrated along the exponential map.
  [integrate_elastic_strain]
    type = SR2BackwardEulerTimeIntegration
    variable = 'elastic_strain'
  []
  [integrate_slip_hardening]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'slip_hardening'
  []
  [integrate_orientation]
    type = WR2ImplicitExponentialTimeIntegration
    variable = 'orientation'
  []

  # The test is part of the equations: xx of the deformation rate is prescribed, yy and zz of the stress are zero,
  # and the grips allow no shear. 'unknown' is the other one of stress and rate, component by component.
  [test_control]
    type = MixedControlSetup
    x_above = 'prescribed'
    x_below = 'unknown'
    y = 'target_stress'
    z = 'deformation_rate'
  []
  [equilibrium]
    type = SR2LinearCombination
    from = 'cauchy_stress target_stress'
    to = 'unknown_residual'
    weights = '1 -1'
  []
  [equations]
    type = ComposedModel
    models = 'test_control equilibrium
              elasticity orientation_matrix resolved_shear slip_strength slip_rule sum_slip_rates hardening
              plastic_deformation_rate plastic_spin elastic_strain_rate orientation_rate
              integrate_elastic_strain integrate_slip_hardening integrate_orientation'
  []
  [guess]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'elastic_strain unknown'
    unknowns_MRP = 'orientation'
    unknowns_Scalar = 'slip_hardening'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'guess'
  []
  [crystal]
    type = ComposedModel
    models = 'update elasticity'
    additional_outputs = 'elastic_strain'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'equations'
    unknowns = 'elastic_strain slip_hardening orientation unknown'
  []
[]

[Solvers]
  [newton]
    type = NewtonWithLineSearch
    max_linesearch_iterations = 5
  []
[]

# 50 % of strain at 1e-3 per second, without spin of the specimen.
[Tensors]
  [a]
    type = Python
    expr = 'Scalar(1.0)'
  []
  [direction]
    type = Python
    expr = 'MillerIndex(torch.tensor([1, 1, 0], dtype=torch.int64))'
  []
  [plane]
    type = Python
    expr = 'MillerIndex(torch.tensor([1, 1, 1], dtype=torch.int64))'
  []
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 500.0, 61, dtype=torch.float64))'
  []
  # The crystal axes that lie along the tension axis x at the beginning, which the rotation takes to x.
  [axes]
    type = Python
    expr = 'torch.tensor([[0.15, 0.45, 0.88], [0.05, 0.25, 0.96], [0.30, 0.60, 0.74]], dtype=torch.float64)'
  []
  [orientations]
    type = Python
    expr = '''
      lengths = torch.linalg.vector_norm(axes, dim=-1, keepdim=True)
      result = MRP.rotation_from_to(Vec(axes / lengths), Vec(torch.tensor([1.0, 0, 0], dtype=torch.float64)))
    '''
  []
  # 1 where the stress is prescribed, 0 where the deformation rate is.
  [control]
    type = Python
    expr = 'SR2(torch.tensor([0, 1.0, 1.0, 0, 0, 0], dtype=torch.float64).expand(61, 3, 6))'
  []
  [prescribed]
    type = Python
    expr = 'SR2(torch.tensor([1e-3, 0, 0, 0, 0, 0], dtype=torch.float64).expand(61, 3, 6))'
  []
  [spin]
    type = Python
    expr = 'WR2(torch.zeros(61, 3, 3, dtype=torch.float64))'
  []
[]

[Drivers]
  [test]
    type = TransientDriver
    model = 'crystal'
    prescribed_time = 'times'
    prescribed_SR2_names = 'prescribed control'
    prescribed_SR2_values = 'prescribed control'
    prescribed_WR2_names = 'vorticity'
    prescribed_WR2_values = 'spin'
    on_failure = 'substep'
    ic_MRP_names = 'orientation'
    ic_MRP_values = 'orientations'
  []
[]
