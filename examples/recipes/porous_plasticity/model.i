# Porous plasticity (Gurson, Tvergaard, Needleman): voids grow under tension and soften the metal. Units: MPa.
# Three specimens, as one batch: free sides, one side held (plane strain), both sides prescribed.

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
    coefficients = '200e3 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'elastic_strain'
  []

  # Yield: the more voids and the more hydrostatic tension, the sooner. The matrix between the voids hardens.
  [mandel_stress]
    type = IsotropicMandelStress
    cauchy_stress = 'stress'
  []
  [vonmises]
    type = SR2Invariant
    invariant_type = 'VONMISES'
    tensor = 'mandel_stress'
    invariant = 'flow_invariant'
  []
  [hydrostatic]
    type = SR2Invariant
    invariant_type = 'I1'
    tensor = 'mandel_stress'
    invariant = 'poro_invariant'
  []
  [hardening]
    type = VoceIsotropicHardening
    saturated_hardening = 200
    saturation_rate = 8
  []
  [gurson]
    type = GTNYieldFunction
    yield_stress = 300
    q1 = 1.5
    q2 = 1.0
    q3 = 2.25
    isotropic_hardening = 'isotropic_hardening'
  []

  # Flow: its direction, the derivative of the yield function by the stress, has a volumetric part.
  [f]
    type = ComposedModel
    models = 'vonmises hydrostatic gurson'
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

  # Voids grow by the volumetric part of the plastic strain.
  [void_fraction_rate]
    type = GursonCavitation
  []
  [consistency]
    type = FBComplementarity
    a = 'yield_function'
    a_inequality = 'LE'
    b = 'flow_rate'
    b_inequality = 'GE'
    complementarity = 'flow_rate_residual'
  []

  # The time step.
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
  [equations]
    type = ComposedModel
    models = 'elastic_strain elasticity mandel_stress vonmises hydrostatic hardening gurson normality
              plastic_strain_rate equivalent_plastic_strain_rate void_fraction_rate consistency
              integrate_plastic_strain integrate_equivalent_plastic_strain integrate_void_fraction'
  []
  [guess]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'plastic_strain'
    unknowns_Scalar = 'equivalent_plastic_strain void_fraction flow_rate'
  []
  [return_map]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'guess'
  []
  [metal]
    type = ComposedModel
    models = 'return_map elastic_strain elasticity'
    additional_outputs = 'plastic_strain void_fraction'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'equations'
    unknowns = 'plastic_strain equivalent_plastic_strain void_fraction flow_rate'
  []
[]

[Solvers]
  [newton]
    type = NewtonWithLineSearch
  []
[]

# The test: xx is strained to 15 %. The sides are free; yy is held at 0; or both go to -4 %, less than they would.
[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 1.0, 41, dtype=torch.float64))'
  []
  [held]
    type = Python
    expr = '''
      xx_yy_zz = torch.tensor([[1.0, 0, 0], [1.0, 1.0, 0], [1.0, 1.0, 1.0]], dtype=torch.float64)
      result = torch.cat([xx_yy_zz, torch.zeros(3, 3, dtype=torch.float64)], -1).expand(41, 3, 6)
    '''
  []
  [free]
    type = Python
    expr = '1 - held'
  []
  [strains]
    type = Python
    expr = '''
      xx_yy_zz = torch.tensor([[0.15, 0, 0], [0.15, 0, 0], [0.15, -0.04, -0.04]], dtype=torch.float64)
      result = torch.cat([xx_yy_zz, torch.zeros(3, 3, dtype=torch.float64)], -1)
    '''
  []
  [target]
    type = Python
    expr = 'held * strains * times.data.reshape(41, 1, 1)'
  []
[]

[Drivers]
  [test]
    type = TransientDriver
    model = 'metal'
    prescribed_time = 'times'
    ic_Scalar_names = 'void_fraction'
    ic_Scalar_values = 0.005
    control_strain_weight = 'held'
    control_stress_weight = 'free'
    control_target = 'target'
  []
[]
