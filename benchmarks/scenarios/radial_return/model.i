# Rate-independent J2 plasticity, linear isotropic and kinematic hardening, by radial return; one unknown.

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
  [trial_elastic_strain]
    type = SR2LinearCombination
    from = 'E plastic_strain~1'
    to = 'elastic_strain'
    weights = '1 -1'
  []
  [trial_iso]
    type = LinearIsotropicHardening
    equivalent_plastic_strain = 'equivalent_plastic_strain~1'
    isotropic_hardening = 'k_tr'
    hardening_modulus = 1500
  []
  [trial_kin]
    type = LinearKinematicHardening
    kinematic_plastic_strain = 'kinematic_plastic_strain~1'
    back_stress = 'X_tr'
    hardening_modulus = 700
  []
  [trial_over]
    type = SR2LinearCombination
    from = 'mandel_stress X_tr'
    to = 'O_tr'
    weights = '1 -1'
  []
  [trial_vm]
    type = SR2Invariant
    invariant_type = 'VONMISES'
    tensor = 'O_tr'
    invariant = 's_tr'
  []
  [trial_yield]
    type = YieldFunction
    yield_stress = 180
    yield_function = 'f_tr'
    effective_stress = 's_tr'
    isotropic_hardening = 'k_tr'
  []
  [trial_flow]
    type = ComposedModel
    models = 'trial_over trial_vm trial_yield'
  []
  [trial_normality]
    type = Normality
    model = 'trial_flow'
    function = 'f_tr'
    from = 'mandel_stress k_tr X_tr'
    to = 'NM Nk NX'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    coefficients = '130000.0 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'elastic_strain'
  []
  [mandel_stress]
    type = IsotropicMandelStress
    cauchy_stress = 'stress'
  []
  [trial_state]
    type = ComposedModel
    models = 'trial_elastic_strain elasticity mandel_stress trial_iso trial_kin trial_normality'
  []
  [isoharden]
    type = LinearIsotropicHardening
    hardening_modulus = 1500
  []
  [kinharden]
    type = LinearKinematicHardening
    hardening_modulus = 700
  []
  [Eprate]
    type = AssociativePlasticFlow
    flow_direction = 'NM'
    flow_rate = 'flow_rate'
  []
  [plastic_strain]
    type = SR2ForwardEulerTimeIntegration
    variable = 'plastic_strain'
  []
  [eprate]
    type = AssociativeIsotropicPlasticHardening
    isotropic_hardening_direction = 'Nk'
    flow_rate = 'flow_rate'
  []
  [eqps]
    type = ScalarForwardEulerTimeIntegration
    variable = 'equivalent_plastic_strain'
  []
  [Kprate]
    type = AssociativeKinematicPlasticHardening
    kinematic_hardening_direction = 'NX'
    flow_rate = 'flow_rate'
  []
  [kps]
    type = SR2ForwardEulerTimeIntegration
    variable = 'kinematic_plastic_strain'
  []
  [elastic_strain]
    type = SR2LinearCombination
    from = 'E plastic_strain'
    to = 'elastic_strain'
    weights = '1 -1'
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
    yield_stress = 180
    isotropic_hardening = 'isotropic_hardening'
  []
  [consistency]
    type = MinMapComplementarity
    a = 'yield_function'
    a_inequality = 'LE'
    b = 'flow_rate'
  []
  [surface]
    type = ComposedModel
    models = 'Eprate plastic_strain eprate eqps Kprate kps elastic_strain elasticity mandel_stress kinharden isoharden overstress vonmises yield_surface consistency'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_Scalar = 'flow_rate'
  []
  [return_map]
    type = ImplicitUpdate
    equation_system = 'eq_sys'
    solver = 'newton'
    predictor = 'predictor'
  []
  [model0]
    type = ComposedModel
    models = 'trial_state return_map Eprate plastic_strain eprate eqps Kprate kps'
  []
  [model]
    type = ComposedModel
    models = 'model0 elastic_strain elasticity'
    additional_outputs = 'plastic_strain equivalent_plastic_strain kinematic_plastic_strain'
  []
[]

[EquationSystems]
  [eq_sys]
    type = NonlinearSystem
    model = 'surface'
    unknowns = 'flow_rate'
    residuals = 'complementarity'
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
