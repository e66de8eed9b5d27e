# Gurson-Tvergaard-Needleman porous plasticity, Voce hardening, closed by min-map (9 unknowns).

amplitude = 0.03
cycles = 0.25
volume = 0.1
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
    ic_Scalar_names = 'void_fraction'
    ic_Scalar_values = 0.01
  []
[]

[Models]
  [isoharden]
    type = VoceIsotropicHardening
    saturated_hardening = 110
    saturation_rate = 2.5
  []
  [elastic_strain]
    type = SR2LinearCombination
    from = 'E plastic_strain'
    to = 'elastic_strain'
    weights = '1 -1'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    coefficients = '40000.0 0.29'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'elastic_strain'
  []
  [mandel_stress]
    type = IsotropicMandelStress
    cauchy_stress = 'stress'
  []
  [j2]
    type = SR2Invariant
    invariant_type = 'VONMISES'
    tensor = 'mandel_stress'
    invariant = 'flow_invariant'
  []
  [i1]
    type = SR2Invariant
    invariant_type = 'I1'
    tensor = 'mandel_stress'
    invariant = 'poro_invariant'
  []
  [yield_surface]
    type = GTNYieldFunction
    yield_stress = 70
    q1 = 1.4
    q2 = 1.0
    q3 = 1.9
    isotropic_hardening = 'isotropic_hardening'
  []
  [flow]
    type = ComposedModel
    models = 'j2 i1 yield_surface'
  []
  [normality]
    type = Normality
    model = 'flow'
    function = 'yield_function'
    from = 'mandel_stress isotropic_hardening'
    to = 'flow_direction isotropic_hardening_direction'
  []
  [Eprate]
    type = AssociativePlasticFlow
  []
  [eprate]
    type = AssociativeIsotropicPlasticHardening
  []
  [voidrate]
    type = GursonCavitation
  []
  [integrate_plastic_strain]
    type = SR2BackwardEulerTimeIntegration
    variable = 'plastic_strain'
  []
  [integrate_equivalent_plastic_strain]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'equivalent_plastic_strain'
  []
  [integrate_void_fraction]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'void_fraction'
  []
  [consistency]
    type = MinMapComplementarity
    a = 'yield_function'
    a_inequality = 'LE'
    b = 'flow_rate'
  []
  [surface]
    type = ComposedModel
    models = 'isoharden elastic_strain elasticity mandel_stress j2 i1 yield_surface normality Eprate eprate voidrate integrate_plastic_strain integrate_equivalent_plastic_strain integrate_void_fraction consistency'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'plastic_strain'
    unknowns_Scalar = 'equivalent_plastic_strain void_fraction flow_rate'
  []
  [return_map]
    type = ImplicitUpdate
    equation_system = 'eq_sys'
    solver = 'newton'
    predictor = 'predictor'
  []
  [model]
    type = ComposedModel
    models = 'return_map elastic_strain elasticity'
    additional_outputs = 'plastic_strain equivalent_plastic_strain void_fraction'
  []
[]

[EquationSystems]
  [eq_sys]
    type = NonlinearSystem
    model = 'surface'
    unknowns = 'plastic_strain equivalent_plastic_strain void_fraction flow_rate'
    residuals = 'plastic_strain_residual equivalent_plastic_strain_residual void_fraction_residual complementarity'
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
