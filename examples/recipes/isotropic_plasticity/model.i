# Rate-independent J2 plasticity with isotropic hardening: a steel is pulled and pushed. Units: MPa.

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
    coefficients = '210e3 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'elastic_strain'
  []

  # Yield: f = vonmises(stress) - yield_stress - hardening, scaled by sqrt(2/3).
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
    type = VoceIsotropicHardening
    saturated_hardening = 150
    saturation_rate = 12
  []
  [yield_function]
    type = YieldFunction
    yield_stress = 250
    isotropic_hardening = 'isotropic_hardening'
  []

  # Flow: its directions are the derivatives of f (associative), which Normality takes from the blocks above.
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
  [plastic_strain_rate]
    type = AssociativePlasticFlow
  []
  [equivalent_plastic_strain_rate]
    type = AssociativeIsotropicPlasticHardening
  []

  # How much flow: f <= 0, flow_rate >= 0, and one of the two is zero.
  [consistency]
    type = FBComplementarity
    a = 'yield_function'
    a_inequality = 'LE'
    b = 'flow_rate'
    b_inequality = 'GE'
    complementarity = 'flow_rate_residual'
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
  [equations]
    type = ComposedModel
    models = 'elastic_strain elasticity mandel_stress vonmises hardening yield_function normality plastic_strain_rate
              equivalent_plastic_strain_rate consistency integrate_plastic_strain
              integrate_equivalent_plastic_strain'
  []
  [guess]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'plastic_strain'
    unknowns_Scalar = 'equivalent_plastic_strain flow_rate'
  []
  [return_map]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'guess'
  []

  # The material: solve for the plastic strain, then compute the stress that belongs to it.
  [steel]
    type = ComposedModel
    models = 'return_map elastic_strain elasticity'
    additional_outputs = 'plastic_strain'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'equations'
    unknowns = 'plastic_strain equivalent_plastic_strain flow_rate'
  []
[]

[Solvers]
  [newton]
    type = Newton
  []
[]

# The test: xx is strained to 3 % and then to 3 % the other way; there is no other stress.
[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 9.0, 91, dtype=torch.float64))'
  []
  [axial_strain]
    type = Python
    expr = '0.01 * (torch.clamp(times.data, 0.0, 3.0) - torch.clamp(times.data - 3.0, 0.0, 6.0))'
  []
  [held]
    type = Python
    expr = 'torch.tensor([1.0, 0, 0, 0, 0, 0], dtype=torch.float64).expand(91, 6)'
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
