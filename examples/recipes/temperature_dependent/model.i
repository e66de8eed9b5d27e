# Viscoplasticity whose constants are tables over the temperature, and thermal expansion. Units: MPa, s, K.
# A nickel alloy is pulled at four temperatures, as one batch. The constants are round ones.

[Tensors]
  # The tables: temperatures, and a value for each of them.
  [T_table]
    type = Python
    expr = 'Scalar(torch.tensor([293.0, 673.0, 1073.0, 1273.0], dtype=torch.float64))'
  []
  [E_table]
    type = Python
    expr = 'Scalar(torch.tensor([210e3, 188e3, 160e3, 140e3], dtype=torch.float64))'
  []
  [yield_table]
    type = Python
    expr = 'Scalar(torch.tensor([420.0, 380.0, 220.0, 60.0], dtype=torch.float64))'
  []
  [viscosity_table]
    type = Python
    expr = 'Scalar(torch.tensor([200.0, 200.0, 500.0, 600.0], dtype=torch.float64))'
  []
[]

[Models]
  # A parameter may be the name of a model: its value is then what that model computes, here from T.
  [E]
    type = ScalarLinearInterpolation
    argument = 'T'
    abscissa = 'T_table'
    ordinate = 'E_table'
  []
  [yield_stress]
    type = ScalarLinearInterpolation
    argument = 'T'
    abscissa = 'T_table'
    ordinate = 'yield_table'
  []
  [viscosity]
    type = ScalarLinearInterpolation
    argument = 'T'
    abscissa = 'T_table'
    ordinate = 'viscosity_table'
  []

  # Stress: what is neither plastic nor thermal is elastic.
  [thermal_strain]
    type = ThermalEigenstrain
    temperature = 'T'
    reference_temperature = 293
    CTE = 14e-6
    eigenstrain = 'thermal_strain'
  []
  [elastic_strain]
    type = SR2LinearCombination
    from = 'strain plastic_strain thermal_strain'
    to = 'elastic_strain'
    weights = '1 -1 -1'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    coefficients = 'E 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'elastic_strain'
  []

  # Yield and flow. LinearIsotropicHardening could have a table as well.
  [mandel_stress]
    type = IsotropicMandelStress
    cauchy_stress = 'stress'
  []
  [vonmises]
    type = SR2Invariant
    invariant_type = 'VONMISES'
    tensor = 'mandel_stress'
    invariant = 'effective_stress'
  []
  [hardening]
    type = LinearIsotropicHardening
    hardening_modulus = 2000
  []
  [yield_function]
    type = YieldFunction
    yield_stress = 'yield_stress'
    isotropic_hardening = 'isotropic_hardening'
  []
  [f]
    type = ComposedModel
    models = 'vonmises yield_function'
  []
  [normality]
    type = Normality
    model = 'f'
    function = 'yield_function'
    from = 'mandel_stress isotropic_hardening'
    to = 'flow_direction isotropic_hardening_direction'
  []
  [flow_rate]
    type = PerzynaPlasticFlowRate
    reference_stress = 'viscosity'
    exponent = 5
  []
  [plastic_strain_rate]
    type = AssociativePlasticFlow
  []
  [equivalent_plastic_strain_rate]
    type = AssociativeIsotropicPlasticHardening
  []

  # The time step.
  [integrate_plastic_strain]
    type = SR2BackwardEulerTimeIntegration
    variable = 'plastic_strain'
  []
  [integrate_equivalent_plastic_strain]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'equivalent_plastic_strain'
  []
  [equations]
    type = ComposedModel
    models = 'thermal_strain elastic_strain elasticity mandel_stress vonmises hardening yield_function normality
              flow_rate plastic_strain_rate equivalent_plastic_strain_rate integrate_plastic_strain
              integrate_equivalent_plastic_strain'
  []
  [guess]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'plastic_strain'
    unknowns_Scalar = 'equivalent_plastic_strain'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'guess'
  []
  [alloy]
    type = ComposedModel
    models = 'update thermal_strain elastic_strain elasticity'
    additional_outputs = 'plastic_strain thermal_strain'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'equations'
    unknowns = 'plastic_strain equivalent_plastic_strain'
  []
[]

[Solvers]
  [newton]
    type = Newton
  []
[]

# The test: heating without stress, then tension in steps of 0.04 % from where heating has ended.
[Tensors]
  # Row 10 is reached by heating alone, free of stress; then xx is strained at 1e-3 per second.
  [row]
    type = Python
    expr = 'torch.linspace(0.0, 60.0, 61, dtype=torch.float64).unsqueeze(-1)'
  []
  [times]
    type = Python
    expr = 'Scalar((60 * torch.clamp(row, 0.0, 10.0) + 0.4 * torch.clamp(row - 10, 0.0, 50.0)).squeeze(-1))'
  []
  [temperatures]
    type = Python
    expr = '''
      rise = torch.tensor([0.0, 380.0, 780.0, 880.0], dtype=torch.float64)
      result = Scalar(293 + torch.clamp(row / 10, 0.0, 1.0) * rise)
    '''
  []
  [heated]
    type = Python
    expr = 'torch.clamp(row - 10, 0.0, 1.0)'
  []
  # While it is heated all six stresses are zero; from row 11 on the strain xx is prescribed.
  [xx]
    type = Python
    expr = 'torch.tensor([1.0, 0, 0, 0, 0, 0], dtype=torch.float64)'
  []
  [held]
    type = Python
    expr = '(heated.unsqueeze(-1) * xx).expand(61, 4, 6)'
  []
  [free]
    type = Python
    expr = '1 - held'
  []
  [target]
    type = Python
    expr = '4e-4 * torch.clamp(row - 10, 0.0, 50.0).unsqueeze(-1) * held'
  []
  # The strain counts from that of row 10 (the anchor), which is the thermal one.
  [carry]
    type = Python
    expr = '1.0 * held'
  []
  [anchor]
    type = Python
    expr = '10 * torch.ones(61, dtype=torch.int64)'
  []
[]

[Drivers]
  [test]
    type = TransientDriver
    model = 'alloy'
    prescribed_time = 'times'
    prescribed_Scalar_names = 'T'
    prescribed_Scalar_values = 'temperatures'
    control_strain_weight = 'held'
    control_stress_weight = 'free'
    control_target = 'target'
    control_carry = 'carry'
    control_anchor = 'anchor'
  []
[]
