# Cyclic tests on P91 (9Cr-1Mo) steel at 600 C. Units: MPa, s.
#
# Nine specimens as one batch, each with its own clock: strain amplitudes of 0.4, 0.7 and 1.0 %, cycled at
# 1e-3 /s, at 1e-4 /s, and at 1e-3 /s with 600 s of relaxation at every tensile peak. The axial strain is
# prescribed; the other five components of the stress are zero.
#
# Chaboche's unified viscoplasticity with two back stresses; the constants and their source are in README.md.

[Tensors]
  # One column per specimen.
  [amplitude]
    type = Python
    expr = 'torch.tensor([0.004, 0.007, 0.010, 0.004, 0.007, 0.010, 0.004, 0.007, 0.010], dtype=torch.float64)'
  []
  [rate]
    type = Python
    expr = 'torch.tensor([1e-3, 1e-3, 1e-3, 1e-4, 1e-4, 1e-4, 1e-3, 1e-3, 1e-3], dtype=torch.float64)'
  []
  [hold]
    type = Python
    expr = 'torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 600.0, 600.0, 600.0], dtype=torch.float64)'
  []
  # A cycle is 50 steps: 10 to hold, 20 down, 20 up. Without a hold the way down takes the first 30.
  [hold_steps]
    type = Python
    expr = 'torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 10.0, 10.0, 10.0], dtype=torch.float64)'
  []
  [step]
    type = Python
    expr = 'torch.linspace(1.0, 50.0, 50, dtype=torch.float64).unsqueeze(-1)'
  []
  # The part of the hold, of the way down and of the way up that is over after each step. Relaxation
  # slows down: each of its steps is twice as long as the one before.
  [held]
    type = Python
    expr = '(2 ** torch.clamp(step, 0.0, 10.0) - 1) / 1023'
  []
  [down]
    type = Python
    expr = 'torch.clamp((step - hold_steps) / (30 - hold_steps), 0.0, 1.0)'
  []
  [up]
    type = Python
    expr = 'torch.clamp((step - 30) / 20, 0.0, 1.0)'
  []
  [cycle_time]
    type = Python
    expr = 'hold * held + 2 * amplitude / rate * (down + up)'
  []
  [cycle_strain]
    type = Python
    expr = 'amplitude * (1 - 2 * down + 2 * up)'
  []
  # First loading in 10 steps, then eight cycles.
  [first]
    type = Python
    expr = 'torch.linspace(0.0, 1.0, 11, dtype=torch.float64).unsqueeze(-1)'
  []
  [cycle]
    type = Python
    expr = 'torch.linspace(0.0, 7.0, 8, dtype=torch.float64).reshape(8, 1, 1)'
  []
  [cycle_times]
    type = Python
    expr = 'amplitude / rate + cycle * cycle_time[-1] + cycle_time'
  []
  [times]
    type = Python
    expr = 'Scalar(torch.cat([first * amplitude / rate, cycle_times.reshape(400, 9)]))'
  []
  [axial_strain]
    type = Python
    expr = 'torch.cat([first * amplitude, cycle_strain.expand(8, -1, -1).reshape(400, 9)])'
  []
  [prescribed]
    type = Python
    expr = 'SR2(axial_strain.unsqueeze(-1) * torch.tensor([1.0, 0, 0, 0, 0, 0], dtype=torch.float64))'
  []
  # 0: the strain is prescribed; 1: the stress is.
  [control]
    type = Python
    expr = 'SR2(torch.tensor([0, 1.0, 1.0, 1.0, 1.0, 1.0], dtype=torch.float64).expand(411, 9, 6))'
  []
[]

[Drivers]
  [driver]
    type = TransientDriver
    model = 'model'
    prescribed_time = 'times'
    prescribed_SR2_names = 'prescribed control'
    prescribed_SR2_values = 'prescribed control'
  []
[]

[Models]
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
    yield_stress = 85
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
    reference_stress = 1325.51
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
    coefficients = '139395.2 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'elastic_strain'
    rate_form = true
  []

  # Backward Euler. Where a component of the strain is prescribed, the unknown is the stress, and vice versa.
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
  [mixed_control]
    type = MixedControlSetup
    x_above = 'prescribed'
    x_below = 'unknown'
    y = 'stress'
    z = 'strain'
  []
  [residual]
    type = ComposedModel
    models = 'mixed_control mandel_stress back_stress overstress vonmises isotropic_hardening yield_function
              normality flow_rate plastic_strain_rate equivalent_plastic_strain_rate X1_rate X2_rate
              strain_rate elastic_strain_rate elasticity integrate_stress
              integrate_equivalent_plastic_strain integrate_X1 integrate_X2'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'unknown X1 X2'
    unknowns_Scalar = 'equivalent_plastic_strain'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
  []
  [model]
    type = ComposedModel
    models = 'update mixed_control'
    additional_outputs = 'unknown'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'unknown equivalent_plastic_strain X1 X2'
    residuals = 'stress_residual equivalent_plastic_strain_residual X1_residual X2_residual'
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
