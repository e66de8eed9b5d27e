# Voce viscoplasticity, for calibration.py. Units: MPa, s.

[Models]
  [mandel]
    type = IsotropicMandelStress
    cauchy_stress = 'stress'
  []
  [vm]
    type = SR2Invariant
    invariant_type = 'VONMISES'
    tensor = 'mandel_stress'
    invariant = 'effective_stress'
  []
  [iso]
    type = VoceIsotropicHardening
    saturated_hardening = 85
    saturation_rate = 11
  []
  [ys]
    type = YieldFunction
    yield_stress = 42
    isotropic_hardening = 'isotropic_hardening'
  []
  [surface]
    type = ComposedModel
    models = 'vm ys'
  []
  [normality]
    type = Normality
    model = 'surface'
    function = 'yield_function'
    from = 'mandel_stress isotropic_hardening'
    to = 'flow_direction isotropic_hardening_direction'
  []
  [flow]
    type = PerzynaPlasticFlowRate
    reference_stress = 130
    exponent = 3.4
  []
  [plastic_strain]
    type = AssociativePlasticFlow
  []
  [hardening]
    type = AssociativeIsotropicPlasticHardening
  []
  [strain_rate]
    type = SR2VariableRate
    variable = 'strain'
  []
  [elastic_strain]
    type = SR2LinearCombination
    from = 'strain_rate plastic_strain_rate'
    to = 'elastic_strain_rate'
    weights = '1 -1'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    coefficients = '9.5e4 0.29'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'elastic_strain'
    rate_form = true
  []
  [integrate_stress]
    type = SR2BackwardEulerTimeIntegration
    variable = 'stress'
  []
  [integrate_hardening]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'equivalent_plastic_strain'
  []
  [residual]
    type = ComposedModel
    models = 'mandel vm iso ys normality flow plastic_strain hardening strain_rate elastic_strain
              elasticity integrate_stress integrate_hardening'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'stress'
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
    unknowns = 'stress equivalent_plastic_strain'
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
