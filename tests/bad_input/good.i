# A small viscoplastic material; every bad input of the tests is this file with one edit.
[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 1.0, 6))'
  []
  [strains]
    type = Python
    expr = 'SR2(torch.linspace(0.0, 0.01, 6).reshape(6, 1) * torch.tensor([1.0, -0.5, -0.5, 0.0, 0.0, 0.0]))'
  []
  [start]
    type = Python
    expr = 'Scalar(0.001)'
  []
[]

[Drivers]
  [driver]
    type = TransientDriver
    model = 'model'
    prescribed_time = 'times'
    prescribed_SR2_names = 'strain'
    prescribed_SR2_values = 'strains'
    ic_Scalar_names = 'equivalent_plastic_strain'
    ic_Scalar_values = 'start'
  []
[]

[Models]
  [elastic_strain]
    type = SR2LinearCombination
    from = 'strain plastic_strain'
    to = 'elastic_strain'
    weights = '1 -1'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    coefficients = '64000.0 0.31'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'elastic_strain'
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
  [hardening]
    type = VoceIsotropicHardening
    saturated_hardening = 90
    saturation_rate = 10
  []
  [yield_surface]
    type = YieldFunction
    yield_stress = 25
    isotropic_hardening = 'isotropic_hardening'
  []
  [direction]
    type = AssociativeJ2FlowDirection
  []
  [flow_rate]
    type = PerzynaPlasticFlowRate
    reference_stress = 60
    exponent = 5
  []
  [plastic_strain_rate]
    type = AssociativePlasticFlow
  []
  [equivalent_rate]
    type = ScalarLinearCombination
    from = 'flow_rate'
    to = 'equivalent_plastic_strain_rate'
  []
  [integrate_plastic_strain]
    type = SR2BackwardEulerTimeIntegration
    variable = 'plastic_strain'
  []
  [integrate_equivalent]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'equivalent_plastic_strain'
  []
  [residual]
    type = ComposedModel
    models = 'elastic_strain elasticity mandel_stress vonmises hardening yield_surface direction flow_rate
              plastic_strain_rate equivalent_rate integrate_plastic_strain integrate_equivalent'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
  []
  [model]
    type = ComposedModel
    models = 'update elastic_strain elasticity'
    additional_outputs = 'plastic_strain'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'plastic_strain equivalent_plastic_strain'
    residuals = 'plastic_strain_residual equivalent_plastic_strain_residual'
  []
[]

[Solvers]
  [newton]
    type = Newton
    abs_tol = 1e-9
    max_its = 30
    linear_solver = 'lu'
  []
  [lu]
    type = DenseLU
  []
[]
