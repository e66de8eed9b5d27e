# Chaboche's viscoplasticity with 4 back stresses and Voce hardening (31 unknowns).

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
    saturated_hardening = 35
    saturation_rate = 8
  []
  [kinharden]
    type = SR2LinearCombination
    from = 'X1 X2 X3 X4'
    to = 'back_stress'
    weights = '1 1 1 1'
  []
  [mandel_stress]
    type = IsotropicMandelStress
    cauchy_stress = 'stress'
  []
  [overstress]
    type = SR2LinearCombination
    from = 'mandel_stress back_stress'
    to = 'overstress'
    weights = '1 -1'
  []
  [vonmises]
    type = SR2Invariant
    invariant_type = 'VONMISES'
    tensor = 'overstress'
    invariant = 'effective_stress'
  []
  [yield_surface]
    type = YieldFunction
    yield_stress = 12
    isotropic_hardening = 'isotropic_hardening'
  []
  [flow]
    type = ComposedModel
    models = 'overstress vonmises yield_surface'
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
    reference_stress = 110
    exponent = 3
  []
  [Eprate]
    type = AssociativePlasticFlow
  []
  [eprate]
    type = AssociativeIsotropicPlasticHardening
  []
  [X1rate]
    type = ChabochePlasticHardening
    back_stress = 'X1'
    C = 4500
    g = 80.0
    A = 1.0e-07
    a = 1.40
  []
  [X2rate]
    type = ChabochePlasticHardening
    back_stress = 'X2'
    C = 2476
    g = 42.5
    A = 2.2e-08
    a = 1.80
  []
  [X3rate]
    type = ChabochePlasticHardening
    back_stress = 'X3'
    C = 1363
    g = 22.6
    A = 4.6e-09
    a = 2.20
  []
  [X4rate]
    type = ChabochePlasticHardening
    back_stress = 'X4'
    C = 750
    g = 12.0
    A = 1.0e-09
    a = 2.60
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
    coefficients = '98000.0 0.31'
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
  [integrate_X1]
    type = SR2BackwardEulerTimeIntegration
    variable = 'X1'
  []
  [integrate_X2]
    type = SR2BackwardEulerTimeIntegration
    variable = 'X2'
  []
  [integrate_X3]
    type = SR2BackwardEulerTimeIntegration
    variable = 'X3'
  []
  [integrate_X4]
    type = SR2BackwardEulerTimeIntegration
    variable = 'X4'
  []
  [implicit_rate]
    type = ComposedModel
    models = 'isoharden kinharden mandel_stress overstress vonmises yield_surface normality flow_rate Eprate eprate X1rate X2rate X3rate X4rate Erate Eerate elasticity integrate_stress integrate_equivalent_plastic_strain integrate_X1 integrate_X2 integrate_X3 integrate_X4'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'stress X1 X2 X3 X4'
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
    unknowns = 'stress equivalent_plastic_strain X1 X2 X3 X4'
    residuals = 'stress_residual equivalent_plastic_strain_residual X1_residual X2_residual X3_residual X4_residual'
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
