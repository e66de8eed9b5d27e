# Unified viscoplasticity driven by strain: Voce and Chaboche hardening, Perzyna's flow rate. Units: MPa, s.
#
# The numbers are where a fit starts, not those of a material: see calibrate.py.

[Models]
  # Yield function, and the flow direction as its gradient.
  [mandel_stress]
    type = IsotropicMandelStress
    cauchy_stress = 'stress'
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
    saturated_hardening = 50 # MPa
    saturation_rate = 10
  []
  [yield_function]
    type = YieldFunction
    yield_stress = 60 # MPa
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

  # Rates.
  [flow_rate]
    type = PerzynaPlasticFlowRate
    reference_stress = 300 # MPa s^(1/n)
    exponent = 3
  []
  [plastic_strain_rate]
    type = AssociativePlasticFlow
  []
  [equivalent_plastic_strain_rate]
    type = AssociativeIsotropicPlasticHardening
  []
  [X_rate]
    type = FredrickArmstrongPlasticHardening
    back_stress = 'X'
    C = 20000 # MPa
    g = 300
  []
  [strain_rate]
    type = SR2VariableRate
    variable = 'strain'
  []
  [elastic_strain_rate]
    type = SR2LinearCombination
    from = 'strain_rate plastic_strain_rate'
    to = 'elastic_strain_rate'
    weights = '1 -1'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    coefficients = '150000 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'elastic_strain'
    rate_form = true
  []

  # Backward Euler.
  [integrate_stress]
    type = SR2BackwardEulerTimeIntegration
    variable = 'stress'
  []
  [integrate_equivalent_plastic_strain]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'equivalent_plastic_strain'
  []
  [integrate_X]
    type = SR2BackwardEulerTimeIntegration
    variable = 'X'
  []
  [residual]
    type = ComposedModel
    models = 'mandel_stress overstress vonmises isotropic_hardening yield_function normality flow_rate
              plastic_strain_rate equivalent_plastic_strain_rate X_rate strain_rate elastic_strain_rate
              elasticity integrate_stress integrate_equivalent_plastic_strain integrate_X'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'stress X'
    unknowns_Scalar = 'equivalent_plastic_strain'
  []
  [model]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'stress equivalent_plastic_strain X'
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
