# Chaboche's viscoplasticity with 12 back stresses and Voce hardening (79 unknowns).

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
    from = 'X1 X2 X3 X4 X5 X6 X7 X8 X9 X10 X11 X12'
    to = 'back_stress'
    weights = '1 1 1 1 1 1 1 1 1 1 1 1'
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
    C = 1500
    g = 80.0
    A = 1.0e-07
    a = 1.40
  []
  [X2rate]
    type = ChabochePlasticHardening
    back_stress = 'X2'
    C = 1275
    g = 67.3
    A = 6.6e-08
    a = 1.51
  []
  [X3rate]
    type = ChabochePlasticHardening
    back_stress = 'X3'
    C = 1083
    g = 56.7
    A = 4.3e-08
    a = 1.62
  []
  [X4rate]
    type = ChabochePlasticHardening
    back_stress = 'X4'
    C = 920
    g = 47.7
    A = 2.8e-08
    a = 1.73
  []
  [X5rate]
    type = ChabochePlasticHardening
    back_stress = 'X5'
    C = 782
    g = 40.1
    A = 1.9e-08
    a = 1.84
  []
  [X6rate]
    type = ChabochePlasticHardening
    back_stress = 'X6'
    C = 664
    g = 33.8
    A = 1.2e-08
    a = 1.95
  []
  [X7rate]
    type = ChabochePlasticHardening
    back_stress = 'X7'
    C = 564
    g = 28.4
    A = 8.1e-09
    a = 2.05
  []
  [X8rate]
    type = ChabochePlasticHardening
    back_stress = 'X8'
    C = 480
    g = 23.9
    A = 5.3e-09
    a = 2.16
  []
  [X9rate]
    type = ChabochePlasticHardening
    back_stress = 'X9'
    C = 408
    g = 20.1
    A = 3.5e-09
    a = 2.27
  []
  [X10rate]
    type = ChabochePlasticHardening
    back_stress = 'X10'
    C = 346
    g = 16.9
    A = 2.3e-09
    a = 2.38
  []
  [X11rate]
    type = ChabochePlasticHardening
    back_stress = 'X11'
    C = 294
    g = 14.3
    A = 1.5e-09
    a = 2.49
  []
  [X12rate]
    type = ChabochePlasticHardening
    back_stress = 'X12'
    C = 250
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
  [integrate_X5]
    type = SR2BackwardEulerTimeIntegration
    variable = 'X5'
  []
  [integrate_X6]
    type = SR2BackwardEulerTimeIntegration
    variable = 'X6'
  []
  [integrate_X7]
    type = SR2BackwardEulerTimeIntegration
    variable = 'X7'
  []
  [integrate_X8]
    type = SR2BackwardEulerTimeIntegration
    variable = 'X8'
  []
  [integrate_X9]
    type = SR2BackwardEulerTimeIntegration
    variable = 'X9'
  []
  [integrate_X10]
    type = SR2BackwardEulerTimeIntegration
    variable = 'X10'
  []
  [integrate_X11]
    type = SR2BackwardEulerTimeIntegration
    variable = 'X11'
  []
  [integrate_X12]
    type = SR2BackwardEulerTimeIntegration
    variable = 'X12'
  []
  [implicit_rate]
    type = ComposedModel
    models = 'isoharden kinharden mandel_stress overstress vonmises yield_surface normality flow_rate Eprate eprate X1rate X2rate X3rate X4rate X5rate X6rate X7rate X8rate X9rate X10rate X11rate X12rate Erate Eerate elasticity integrate_stress integrate_equivalent_plastic_strain integrate_X1 integrate_X2 integrate_X3 integrate_X4 integrate_X5 integrate_X6 integrate_X7 integrate_X8 integrate_X9 integrate_X10 integrate_X11 integrate_X12'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'stress X1 X2 X3 X4 X5 X6 X7 X8 X9 X10 X11 X12'
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
    unknowns = 'stress equivalent_plastic_strain X1 X2 X3 X4 X5 X6 X7 X8 X9 X10 X11 X12'
    residuals = 'stress_residual equivalent_plastic_strain_residual X1_residual X2_residual X3_residual X4_residual X5_residual X6_residual X7_residual X8_residual X9_residual X10_residual X11_residual X12_residual'
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
