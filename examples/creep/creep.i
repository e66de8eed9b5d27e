# A steel that creeps and is damaged by it, driven by the strain. Units: MPa, hours.
#
# At 100 MPa it creeps at 2e-6 an hour when new and breaks after 2000 hours. The numbers are round ones, not data.
# The law is in kachanov.py, which is imported first: import examples.creep.kachanov, or --load on the command line.

[Models]
  [elastic_strain]
    type = SR2LinearCombination
    from = 'strain plastic_strain'
    to = 'elastic_strain'
    weights = '1 -1'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    coefficients = '150e3 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'elastic_strain'
    stress = 'stress'
  []
  [creep]
    type = KachanovCreep
    creep_strength = 1380
    creep_exponent = 5
    rupture_strength = 1000
    rupture_exponent = 4
    acceleration = 4
  []
  [integrate_plastic_strain]
    type = SR2BackwardEulerTimeIntegration
    variable = 'plastic_strain'
  []
  [integrate_damage]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'damage'
  []
  [residual]
    type = ComposedModel
    models = 'elastic_strain elasticity creep integrate_plastic_strain integrate_damage'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'plastic_strain'
    unknowns_Scalar = 'damage'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
  []
  [steel]
    type = ComposedModel
    models = 'update elastic_strain elasticity'
    additional_outputs = 'plastic_strain'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'plastic_strain damage'
  []
[]

[Solvers]
  [newton]
    type = Newton
  []
[]
