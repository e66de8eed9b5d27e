# Linear viscoelasticity: a generalised Maxwell model with three branches relaxes after a step of strain.
# Units: MPa, s.

[Models]
  # The spring that carries the stress in the long run.
  [spring]
    type = SR2LinearCombination
    from = 'strain'
    to = 'stress_0'
    weights = '300'
  []

  # Branch 1: a spring and a dashpot in a row; it relaxes in 900 / 900 = 1 s.
  [elastic_1]
    type = SR2LinearCombination
    from = 'strain viscous_1'
    to = 'elastic_1'
    weights = '1 -1'
  []
  [spring_1]
    type = SR2LinearCombination
    from = 'elastic_1'
    to = 'stress_1'
    weights = '900'
  []
  [dashpot_1]
    type = LinearDashpot
    stress = 'stress_1'
    viscous_strain_rate = 'viscous_1_rate'
    viscosity = 900
  []
  [integrate_1]
    type = SR2BackwardEulerTimeIntegration
    variable = 'viscous_1'
  []

  # Branch 2: a spring and a dashpot in a row; it relaxes in 30000 / 600 = 50 s.
  [elastic_2]
    type = SR2LinearCombination
    from = 'strain viscous_2'
    to = 'elastic_2'
    weights = '1 -1'
  []
  [spring_2]
    type = SR2LinearCombination
    from = 'elastic_2'
    to = 'stress_2'
    weights = '600'
  []
  [dashpot_2]
    type = LinearDashpot
    stress = 'stress_2'
    viscous_strain_rate = 'viscous_2_rate'
    viscosity = 30000
  []
  [integrate_2]
    type = SR2BackwardEulerTimeIntegration
    variable = 'viscous_2'
  []

  # Branch 3: a spring and a dashpot in a row; it relaxes in 800000 / 400 = 2000 s.
  [elastic_3]
    type = SR2LinearCombination
    from = 'strain viscous_3'
    to = 'elastic_3'
    weights = '1 -1'
  []
  [spring_3]
    type = SR2LinearCombination
    from = 'elastic_3'
    to = 'stress_3'
    weights = '400'
  []
  [dashpot_3]
    type = LinearDashpot
    stress = 'stress_3'
    viscous_strain_rate = 'viscous_3_rate'
    viscosity = 800000
  []
  [integrate_3]
    type = SR2BackwardEulerTimeIntegration
    variable = 'viscous_3'
  []

  # The branches lie side by side: they share the strain, and their stresses add up.
  [equations]
    type = ComposedModel
    models = 'elastic_1 spring_1 dashpot_1 integrate_1 elastic_2 spring_2 dashpot_2 integrate_2
              elastic_3 spring_3 dashpot_3 integrate_3'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'guess'
  []
  [guess]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'viscous_1 viscous_2 viscous_3'
  []
  [total]
    type = SR2LinearCombination
    from = 'stress_0 stress_1 stress_2 stress_3'
    to = 'stress'
  []
  [polymer]
    type = ComposedModel
    models = 'update spring elastic_1 spring_1 elastic_2 spring_2 elastic_3 spring_3 total'
    additional_outputs = 'viscous_1 viscous_2 viscous_3'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'equations'
    unknowns = 'viscous_1 viscous_2 viscous_3'
  []
[]

[Solvers]
  [newton]
    type = Newton
  []
[]

# The test: 1 % within a hundredth of a second, then held; rows lie evenly on a logarithmic axis.
[Tensors]
  [times]
    type = Python
    expr = '''
      start = torch.zeros(1, dtype=torch.float64)
      result = Scalar(torch.cat([start, torch.logspace(-2.0, 4.0, 91, dtype=torch.float64)]))
    '''
  []
  [strains]
    type = Python
    expr = '''
      xx = torch.tensor([1.0, 0, 0, 0, 0, 0], dtype=torch.float64)
      result = SR2(0.01 * torch.clamp(times.data / 0.01, 0.0, 1.0).unsqueeze(-1) * xx)
    '''
  []
[]

[Drivers]
  [relaxation]
    type = TransientDriver
    model = 'polymer'
    prescribed_time = 'times'
    prescribed_SR2_names = 'strain'
    prescribed_SR2_values = 'strains'
  []
[]
