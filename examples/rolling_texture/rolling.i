# Cold rolling of a copper sheet: 50,000 grains of random orientation, all deformed alike (Taylor, 1938), to
# a logarithmic strain of 1.25 in 250 steps, small ones while slip begins. x is the rolling direction, y the
# transverse direction, z the normal of the sheet. Lengths in angstrom, stresses in MPa, times in s.
grains = 50000

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.cat([torch.zeros(1), torch.logspace(-1, 1, 20), torch.linspace(10.0, 1250.0, 231)[1:]]).double().unsqueeze(-1))'
  []
  [D]
    type = Python
    expr = 'SR2(torch.tensor([1e-3, 0.0, -1e-3, 0.0, 0.0, 0.0], dtype=torch.float64).expand(251, 1, 6).contiguous())'
  []
  [W]
    type = Python
    expr = 'WR2(torch.zeros(251, 1, 3, dtype=torch.float64))'
  []
  [random]
    type = Python
    expr = 'MRP.rand(${grains}, dtype=torch.float64, generator=torch.Generator().manual_seed(1938))'
  []
  [a]
    type = Python
    expr = 'Scalar(3.61)'
  []
  [directions]
    type = Python
    expr = 'MillerIndex(torch.tensor([1, 1, 0], dtype=torch.int64))'
  []
  [planes]
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
    prescribed_SR2_values = 'D'
    prescribed_WR2_names = 'vorticity'
    prescribed_WR2_values = 'W'
    ic_MRP_names = 'orientation'
    ic_MRP_values = 'random'
  []
[]

[Data]
  [crystal_geometry]
    type = CubicCrystal
    lattice_parameter = 'a'
    slip_directions = 'directions'
    slip_planes = 'planes'
  []
[]

[Models]
  # from the elastic strain of the lattice to the slip on its 12 systems
  [orientation_matrix]
    type = RotationMatrix
    from = 'orientation'
    to = 'orientation_matrix'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    coefficients = '128e3 0.34'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'elastic_strain'
    stress = 'cauchy_stress'
  []
  [resolved_shear]
    type = ResolvedShear
    stress = 'cauchy_stress'
  []
  [slip_strength]
    type = SingleSlipStrengthMap
    constant_strength = 16.0
  []
  [slip_rule]
    type = PowerLawSlipRule
    n = 20.0
    gamma0 = 1e-3
  []
  # what the slip does to the grain
  [sum_slip_rates]
    type = SumSlipRates
  []
  [hardening]
    type = VoceSingleSlipHardeningRule
    initial_slope = 250.0
    saturated_hardening = 132.0
  []
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
  # one step of backward Euler
  [integrate_hardening]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'slip_hardening'
  []
  [integrate_elastic_strain]
    type = SR2BackwardEulerTimeIntegration
    variable = 'elastic_strain'
  []
  [integrate_orientation]
    type = WR2ImplicitExponentialTimeIntegration
    variable = 'orientation'
  []
  [grain]
    type = ComposedModel
    models = 'orientation_matrix elasticity resolved_shear slip_strength slip_rule sum_slip_rates hardening
              plastic_deformation_rate plastic_spin elastic_strain_rate orientation_rate
              integrate_hardening integrate_elastic_strain integrate_orientation'
  []
  [as_before]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'elastic_strain'
    unknowns_Scalar = 'slip_hardening'
    unknowns_MRP = 'orientation'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'equations'
    solver = 'newton'
    predictor = 'as_before'
  []
  [model]
    type = ComposedModel
    models = 'update elasticity'
    additional_outputs = 'elastic_strain'
  []
[]

[EquationSystems]
  [equations]
    type = NonlinearSystem
    model = 'grain'
    unknowns = 'elastic_strain slip_hardening orientation'
    residuals = 'elastic_strain_residual slip_hardening_residual orientation_residual'
  []
[]

[Solvers]
  [newton]
    type = Newton
    linear_solver = 'lu'
  []
  [lu]
    type = DenseLU
  []
[]
