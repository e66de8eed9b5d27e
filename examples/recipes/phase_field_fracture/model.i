# Brittle fracture by a phase field, at a material point: concrete is pulled, and pushed. Units: MPa.

[Models]
  # The energy: elastic energy, of which cracks release the part that opens them, and the energy of the cracks.
  [stiffness]
    type = PowerDegradationFunction
    phase = 'd'
    degradation = 'g'
    power = 2
    eta = 1e-4
  []
  [elastic]
    type = LinearIsotropicStrainEnergyDensity
    strain = 'E'
    active_strain_energy_density = 'active'
    inactive_strain_energy_density = 'inactive'
    coefficients = '30e3 0.2'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    decomposition = 'SPECTRAL'
  []
  [left]
    type = ScalarMultiplication
    from = 'g active'
    to = 'left'
  []
  [cracks]
    type = CrackGeometricFunctionAT2
    phase = 'd'
    crack = 'alpha'
  []
  # 0.016 = fracture toughness 0.08 N/mm / (2 * length 2.5 mm).
  [sum]
    type = ScalarLinearCombination
    from = 'left inactive alpha'
    to = 'energy'
    weights = '1 1 0.016'
  []
  [energy]
    type = ComposedModel
    models = 'stiffness elastic left cracks sum'
  []

  # Its derivative by d drives the cracks; they do not heal: force >= 0, d_rate >= 0, and one of the two is zero.
  [driving_force]
    type = Normality
    model = 'energy'
    function = 'energy'
    from = 'd'
    to = 'driving_force'
  []
  [d_rate]
    type = ScalarVariableRate
    variable = 'd'
  []
  [no_healing]
    type = FBComplementarity
    a = 'driving_force'
    a_inequality = 'GE'
    b = 'd_rate'
    b_inequality = 'GE'
    complementarity = 'd_residual'
  []
  [equations]
    type = ComposedModel
    models = 'driving_force d_rate no_healing'
  []
  [guess]
    type = ConstantExtrapolationPredictor
    unknowns_Scalar = 'd'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'guess'
  []

  # Its derivative by the strain is the stress.
  [stress]
    type = Normality
    model = 'energy'
    function = 'energy'
    from = 'E'
    to = 'S'
  []
  [concrete]
    type = ComposedModel
    models = 'update stress'
    additional_outputs = 'd'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'equations'
    unknowns = 'd'
  []
[]

[Solvers]
  [newton]
    type = Newton
    max_its = 50
  []
[]

# The test: xx is strained to 0.08 %, unloaded, and strained to 0.2 % (first point), or the other way (second
# point); the sides are held.
[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 3.0, 46, dtype=torch.float64))'
  []
  [axial]
    type = Python
    expr = '''
      up = torch.clamp(times.data, 0.0, 1.0)
      down = torch.clamp(times.data - 1, 0.0, 1.0)
      again = torch.clamp(times.data - 2, 0.0, 1.0)
      result = 8e-4 * (up - down) + 2e-3 * again
    '''
  []
  [strains]
    type = Python
    expr = '''
      ways = torch.tensor([[1.0, 0, 0, 0, 0, 0], [-1.0, 0, 0, 0, 0, 0]], dtype=torch.float64)
      result = SR2(axial.reshape(46, 1, 1) * ways)
    '''
  []
[]

[Drivers]
  [test]
    type = TransientDriver
    model = 'concrete'
    prescribed_time = 'times'
    prescribed_SR2_names = 'E'
    prescribed_SR2_values = 'strains'
  []
[]
