# Texture: 120 crystals of copper are rolled, every one with the deformation of the sheet (Taylor). Units: MPa, s.

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
    n = 8
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
  [equations]
    type = ComposedModel
    models = 'elasticity orientation_matrix resolved_shear slip_strength slip_rule sum_slip_rates hardening
              plastic_deformation_rate plastic_spin elastic_strain_rate orientation_rate
              integrate_elastic_strain integrate_slip_hardening integrate_orientation'
  []

  [guess]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'elastic_strain'
    unknowns_MRP = 'orientation'
    unknowns_Scalar = 'slip_hardening'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'guess'
  []

  # Every crystal is a point of the batch. A texture needs no more; the stress of the sheet is their mean.
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
    unknowns = 'elastic_strain slip_hardening orientation'
  []
[]

[Solvers]
  [newton]
    type = NewtonWithLineSearch
    max_linesearch_iterations = 5
  []
[]

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
  # The first steps are small: there the crystals begin to flow.
  [times]
    type = Python
    expr = 'Scalar(1000 * torch.linspace(0.0, 1.0, 17, dtype=torch.float64) ** 2)'
  []
  # Rolling to a third of the thickness: x is the rolling direction, z the normal of the sheet.
  [rate]
    type = Python
    expr = 'SR2(torch.tensor([1.1e-3, 0, -1.1e-3, 0, 0, 0], dtype=torch.float64).expand(17, 120, 6))'
  []
  [spin]
    type = Python
    expr = 'WR2(torch.zeros(17, 120, 3, dtype=torch.float64))'
  []
  # Orientations that fill the space evenly: three irrational steps make unit quaternions (Shoemake, 1992).
  [u]
    type = Python
    expr = '''
      steps = torch.tensor([0.8191725134, 0.6710436067, 0.5497004779], dtype=torch.float64)
      result = torch.remainder(torch.arange(1, 121, dtype=torch.float64).unsqueeze(-1) * steps, 1.0)
    '''
  []
  [q]
    type = Python
    expr = '''
      a, b, c = u.unbind(-1)
      sines = [torch.sqrt(1 - a) * torch.sin(2 * torch.pi * b), torch.sqrt(a) * torch.sin(2 * torch.pi * c)]
      cosines = [torch.sqrt(1 - a) * torch.cos(2 * torch.pi * b), torch.sqrt(a) * torch.cos(2 * torch.pi * c)]
      result = torch.stack([*sines, *cosines], -1)
    '''
  []
  [orientations]
    type = Python
    expr = 'MRP(q[:, :3] * torch.sign(q[:, 3:]) / (1 + torch.abs(q[:, 3:])))'
  []
[]

[Drivers]
  [rolling]
    type = TransientDriver
    model = 'crystal'
    prescribed_time = 'times'
    prescribed_SR2_names = 'deformation_rate'
    prescribed_SR2_values = 'rate'
    prescribed_WR2_names = 'vorticity'
    prescribed_WR2_values = 'spin'
    on_failure = 'substep'
    ic_MRP_names = 'orientation'
    ic_MRP_values = 'orientations'
  []
[]
