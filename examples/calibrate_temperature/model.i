# Viscoplasticity whose yield stress and stiffness depend on the temperature T (degrees Celsius). Units: MPa, s.
#
# Both are straight lines between values at four temperatures, which a fit finds: see calibrate.py.

[Models]
  [yield_stress]
    type = ScalarLinearInterpolation
    argument = 'T'
    abscissa = '20 200 400 600' # C
    ordinate = '200 200 200 200' # MPa
  []
  [youngs_modulus]
    type = ScalarLinearInterpolation
    argument = 'T'
    abscissa = '20 600' # C
    ordinate = '180000 180000' # MPa
  []
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
    saturated_hardening = 100 # MPa
    saturation_rate = 20
  []
  [ys]
    type = YieldFunction
    yield_stress = 'yield_stress'
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
    reference_stress = 100 # MPa s^(1/n)
    exponent = 5
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
    coefficients = 'youngs_modulus 0.3'
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
    models = 'yield_stress youngs_modulus mandel vm iso ys normality flow plastic_strain hardening strain_rate elastic_strain
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
