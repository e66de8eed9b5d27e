# A steel in the manner of P91 between 400 and 600 C, driven by strain and temperature. Units: MPa, s, C.
#
# As p91.i, with a modulus, an elastic limit and a viscosity that depend on the temperature T. The strain is the
# mechanical one, without thermal expansion. The numbers at 600 C are those of p91.i; those at 400 C are round ones
# that show how to run such a test, not data.

[Models]
  # What depends on the temperature.
  [youngs_modulus]
    type = ScalarLinearInterpolation
    argument = 'T'
    abscissa = '400 600'
    ordinate = '185000 139395.2'
  []
  [elastic_limit]
    type = ScalarLinearInterpolation
    argument = 'T'
    abscissa = '400 600'
    ordinate = '130 85'
  []
  [viscosity]
    type = ScalarLinearInterpolation
    argument = 'T'
    abscissa = '400 600'
    ordinate = '1900 1325.51'
  []

  # Stress.
  [elastic_strain]
    type = SR2LinearCombination
    from = 'strain plastic_strain'
    to = 'elastic_strain'
    weights = '1 -1'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    coefficients = 'youngs_modulus 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'elastic_strain'
    stress = 'stress'
  []

  # Yield function, and the flow direction as its gradient.
  [mandel_stress]
    type = IsotropicMandelStress
    cauchy_stress = 'stress'
  []
  [back_stress]
    type = SR2LinearCombination
    from = 'X1 X2'
    to = 'X'
    weights = '1 1'
  []
  [overstress]
    type = SR2LinearCombination
    from = 'mandel_stress X'
    to = 'overstress'
    weights = '1 -1'
  []
  [vonmises]
    type = SR2Invariant
    invariant_type = 'VONMISES'
    tensor = 'overstress'
    invariant = 'effective_stress'
  []
  [isotropic_hardening]
    type = VoceIsotropicHardening
    saturated_hardening = -75.4
    saturation_rate = 1.0
  []
  [yield_function]
    type = YieldFunction
    yield_stress = elastic_limit
    isotropic_hardening = 'isotropic_hardening'
  []
  [flow]
    type = ComposedModel
    models = 'overstress vonmises yield_function'
  []
  [normality]
    type = Normality
    model = 'flow'
    function = 'yield_function'
    from = 'mandel_stress isotropic_hardening'
    to = 'flow_direction isotropic_hardening_direction'
  []

  # Rates, and what they make in a time step (backward Euler).
  [flow_rate]
    type = PerzynaPlasticFlowRate
    reference_stress = viscosity
    exponent = 2.7
  []
  [plastic_strain_rate]
    type = AssociativePlasticFlow
  []
  [equivalent_plastic_strain_rate]
    type = AssociativeIsotropicPlasticHardening
  []
  [X1_rate]
    type = FredrickArmstrongPlasticHardening
    back_stress = 'X1'
    C = 106860
    g = 1677.90
  []
  [X2_rate]
    type = FredrickArmstrongPlasticHardening
    back_stress = 'X2'
    C = 29215.3
    g = 378.04
  []
  [integrate_plastic_strain]
    type = SR2BackwardEulerTimeIntegration
    variable = 'plastic_strain'
  []
  [integrate_equivalent_plastic_strain]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'equivalent_plastic_strain'
  []
  [integrate_X1]
    type = SR2BackwardEulerTimeIntegration
    variable = 'X1'
  []
  [integrate_X2]
    type = SR2BackwardEulerTimeIntegration
    variable = 'X2'
  []

  # The time step, and the stress at its end.
  [residual]
    type = ComposedModel
    models = 'youngs_modulus elastic_limit viscosity elastic_strain elasticity mandel_stress back_stress overstress vonmises isotropic_hardening
              yield_function normality flow_rate plastic_strain_rate equivalent_plastic_strain_rate
              X1_rate X2_rate integrate_plastic_strain integrate_equivalent_plastic_strain
              integrate_X1 integrate_X2'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'plastic_strain X1 X2'
    unknowns_Scalar = 'equivalent_plastic_strain'
  []
  [steel]
    type = ComposedModel
    models = 'update youngs_modulus elastic_strain elasticity'
    additional_outputs = 'plastic_strain'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'plastic_strain equivalent_plastic_strain X1 X2'
  []
[]

[Solvers]
  [newton]
    type = Newton
  []
[]
