# Chaboche's unified viscoplasticity: isotropic and kinematic hardening, and flow that grows with the overstress.
# A steel is cycled at three strain rates, as one batch. Units: MPa, s. The constants are round ones.

[Models]
  # Stress: Hooke's law for the part of the strain that is not plastic.
  [elastic_strain]
    type = SR2LinearCombination
    from = 'strain plastic_strain'
    to = 'elastic_strain'
    weights = '1 -1'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    coefficients = '170e3 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'elastic_strain'
  []

  # The back stress moves the yield surface: X1 saturates soon, X2 later. What counts is the stress relative to it.
  [mandel_stress]
    type = IsotropicMandelStress
    cauchy_stress = 'stress'
  []
  [back_stress]
    type = SR2LinearCombination
    from = 'X1 X2'
    to = 'X'
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

  # The yield surface grows with the accumulated plastic strain.
  [hardening]
    type = VoceIsotropicHardening
    saturated_hardening = 60
    saturation_rate = 10
  []
  [yield_function]
    type = YieldFunction
    yield_stress = 80
    isotropic_hardening = 'isotropic_hardening'
  []
  [f]
    type = ComposedModel
    models = 'overstress vonmises yield_function'
  []
  [normality]
    type = Normality
    model = 'f'
    function = 'yield_function'
    from = 'mandel_stress isotropic_hardening'
    to = 'flow_direction isotropic_hardening_direction'
  []

  # How fast: (f / reference_stress)^exponent. There is no consistency condition; the stress may exceed yield.
  [flow_rate]
    type = PerzynaPlasticFlowRate
    reference_stress = 350
    exponent = 6
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
    C = 60e3
    g = 900
  []
  [X2_rate]
    type = FredrickArmstrongPlasticHardening
    back_stress = 'X2'
    C = 8e3
    g = 80
  []

  # The time step: backward Euler turns rates into equations for the values at its end.
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
  [equations]
    type = ComposedModel
    models = 'elastic_strain elasticity mandel_stress back_stress overstress vonmises hardening yield_function
              normality flow_rate plastic_strain_rate equivalent_plastic_strain_rate X1_rate X2_rate
              integrate_plastic_strain integrate_equivalent_plastic_strain integrate_X1 integrate_X2'
  []
  [guess]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'plastic_strain X1 X2'
    unknowns_Scalar = 'equivalent_plastic_strain'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'guess'
  []

  # The material: solve for the plastic strain, then compute the stress that belongs to it.
  [steel]
    type = ComposedModel
    models = 'update elastic_strain elasticity'
    additional_outputs = 'plastic_strain'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'equations'
    unknowns = 'plastic_strain equivalent_plastic_strain X1 X2'
  []
[]

[Solvers]
  [newton]
    type = Newton
  []
[]

# The test: xx is cycled between +0.6 % and -0.6 %; there is no other stress.
[Tensors]
  # Each specimen has its own clock: 0.6 % at 1e-2, 1e-3 and 1e-4 per second.
  [times]
    type = Python
    expr = 'Scalar(phase * torch.tensor([0.6, 6.0, 60.0], dtype=torch.float64))'
  []
  # From 0 up to the amplitude, down to its negative, and up again.
  [phase]
    type = Python
    expr = 'torch.linspace(0.0, 5.0, 61, dtype=torch.float64).unsqueeze(-1)'
  []
  [axial_strain]
    type = Python
    expr = '''
      up = torch.clamp(phase, 0.0, 1.0)
      down = torch.clamp(phase - 1, 0.0, 2.0)
      again = torch.clamp(phase - 3, 0.0, 2.0)
      result = 0.006 * (up - down + again).expand(61, 3)
    '''
  []
  [held]
    type = Python
    expr = 'torch.tensor([1.0, 0, 0, 0, 0, 0], dtype=torch.float64).expand(61, 3, 6)'
  []
  [free]
    type = Python
    expr = '1 - held'
  []
  [target]
    type = Python
    expr = 'held * axial_strain.unsqueeze(-1)'
  []
[]

[Drivers]
  [test]
    type = TransientDriver
    model = 'steel'
    prescribed_time = 'times'
    control_strain_weight = 'held'
    control_stress_weight = 'free'
    control_target = 'target'
  []
[]
