# Pyrolysis of a phenolic resin to char at three heating rates, as in a thermobalance. Units: kg, m, s, K, J, mol.

[Models]
  # The rate constant grows with the temperature. The name of this model is the value of a parameter below.
  [k]
    type = ArrheniusParameter
    reference_value = 1e6
    activation_energy = 120e3
    ideal_gas_constant = 8.314
    temperature = 'T'
  []

  # The degree of conversion alpha: alpha_rate = k (1 - alpha)^order.
  [reaction]
    type = ContractingGeometry
    coef = 'k'
    order = 1.5
    conversion_degree = 'alpha'
    reaction_rate = 'alpha_rate'
  []
  [integrate_alpha]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'alpha'
  []
  [equations]
    type = ComposedModel
    models = 'k reaction integrate_alpha'
  []
  [guess]
    type = ConstantExtrapolationPredictor
    unknowns_Scalar = 'alpha'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'guess'
  []

  # What is left: 55 % of the resin becomes char, the rest leaves as gas.
  [resin]
    type = ScalarLinearCombination
    from = 'alpha'
    to = 'resin'
    weights = '-1'
    offset = 1
  []
  [char]
    type = ScalarLinearCombination
    from = 'alpha'
    to = 'char'
    weights = '0.55'
  []
  [mass]
    type = ScalarLinearCombination
    from = 'resin char'
    to = 'mass'
  []

  # The volume of a kilogram of resin as it turns into the denser char, with pores that open on the way.
  [pores]
    type = ScalarLinearCombination
    from = 'alpha'
    to = 'pores'
    weights = '0.3'
  []
  [volume]
    type = EffectiveVolume
    reference_mass = 1.0
    open_volume_fraction = 'pores'
    mass_fractions = 'resin char'
    densities = '1250 1500'
    composite_volume = 'volume'
  []
  [material]
    type = ComposedModel
    models = 'update k reaction resin char mass pores volume'
    additional_outputs = 'alpha resin char'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'equations'
    unknowns = 'alpha'
  []
[]

[Solvers]
  [newton]
    type = Newton
  []
[]

# 300 K to 1300 K at 5, 20 and 80 K per minute: each specimen has a clock of its own.
[Tensors]
  [heated]
    type = Python
    expr = 'torch.linspace(0.0, 1000.0, 91, dtype=torch.float64).unsqueeze(-1)'
  []
  [temperatures]
    type = Python
    expr = 'Scalar(300 + heated.expand(91, 3))'
  []
  [times]
    type = Python
    expr = 'Scalar(60 * heated / torch.tensor([5.0, 20.0, 80.0], dtype=torch.float64))'
  []
[]

[Drivers]
  [heating]
    type = TransientDriver
    model = 'material'
    prescribed_time = 'times'
    prescribed_Scalar_names = 'T'
    prescribed_Scalar_values = 'temperatures'
  []
[]
