# Perzyna's viscoplasticity with Voce hardening; unknown: stress and equivalent plastic strain (7).

amplitude = 0.01
cycles = 2.25
volume = 0.0
duration = 10.0

points = 100
steps = 100

[Tensors]
  [phase]
    type = Python
    expr = 'torch.linspace(0.0, 1.0, ${steps} + 1, dtype=torch.float64)'
  []
  [times]
    type = Python
    expr = 'Scalar(${duration} * phase)'
  []
  [direction]
    type = Python
    expr = 'torch.tensor([[1.0, -0.5, -0.5, 0, 0, 0], [0.6, -0.2, -0.3, 0.15, 0.1, -0.2], [0.1, -0.1, 0, 0.5, 0.75, -0.4], [-0.3, 1.0, -0.6, 0.2, -0.1, 0.3]], dtype=torch.float64) + ${volume} * torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=torch.float64)'
  []
  [point]
    type = Python
    expr = 'torch.arange(${points})'
  []
  # Between 0.7 and 1.3 of the amplitude, spread evenly by the golden ratio.
  [scale]
    type = Python
    expr = '${amplitude} * (0.7 + 0.6 * torch.frac(0.6180339887498949 * point.to(torch.float64)))'
  []
  [strain]
    type = Python
    expr = 'SR2(torch.sin(2 * math.pi * ${cycles} * phase).reshape(-1, 1, 1) * (scale.unsqueeze(-1) * direction[point % 4]))'
  []
[]

[Drivers]
  [driver]
    type = TransientDriver
    model = 'model'
    prescribed_time = 'times'
    prescribed_SR2_names = 'E'
    prescribed_SR2_values = 'strain'
  []
[]

[Models]
  [isoharden]
    type = VoceIsotropicHardening
    saturated_hardening = 85
    saturation_rate = 14
  []
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
  [yield_surface]
    type = YieldFunction
    yield_stress = 42
    isotropic_hardening = 'isotropic_hardening'
  []
  [flow]
    type = ComposedModel
    models = 'vonmises yield_surface'
  []
  [normality]
    type = Normality
    model = 'flow'
    function = 'yield_function'
    from = 'mandel_stress isotropic_hardening'
    to = 'flow_direction isotropic_hardening_direction'
  []
  [flow_rate]
    type = PerzynaPlasticFlowRate
    reference_stress = 120
    exponent = 3.5
  []
  [Eprate]
    type = AssociativePlasticFlow
  []
  [eprate]
    type = AssociativeIsotropicPlasticHardening
  []
  [Erate]
    type = SR2VariableRate
    variable = 'E'
  []
  [Eerate]
    type = SR2LinearCombination
    from = 'E_rate plastic_strain_rate'
    to = 'strain_rate'
    weights = '1 -1'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    coefficients = '72000.0 0.33'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    rate_form = true
  []
  [integrate_stress]
    type = SR2BackwardEulerTimeIntegration
    variable = 'stress'
  []
  [integrate_equivalent_plastic_strain]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'equivalent_plastic_strain'
  []
  [implicit_rate]
    type = ComposedModel
    models = 'isoharden mandel_stress vonmises yield_surface normality flow_rate Eprate eprate Erate Eerate elasticity integrate_stress integrate_equivalent_plastic_strain'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'stress'
    unknowns_Scalar = 'equivalent_plastic_strain'
  []
  [model]
    type = ImplicitUpdate
    equation_system = 'eq_sys'
    solver = 'newton'
    predictor = 'predictor'
  []
[]

[EquationSystems]
  [eq_sys]
    type = NonlinearSystem
    model = 'implicit_rate'
    unknowns = 'stress equivalent_plastic_strain'
    residuals = 'stress_residual equivalent_plastic_strain_residual'
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
