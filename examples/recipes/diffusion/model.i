# Diffusion into a plate by finite volumes: carbon enters steel from its surface (carburising). Units: mm, h, mass %.

[Tensors]
  # 40 cells over 2 mm; they are a sub-batch axis of the concentration c. The surface is half a cell before the first.
  [spacing]
    type = Python
    expr = '''
      to_surface = torch.full((1,), 0.025, dtype=torch.float64)
      result = Scalar(torch.cat([to_surface, torch.full((39,), 0.05, dtype=torch.float64)]), sub_batch_ndim=1)
    '''
  []
  [width]
    type = Python
    expr = 'Scalar(torch.full((40,), 0.05, dtype=torch.float64), sub_batch_ndim=1)'
  []
[]

[Models]
  # Fick's flux between neighbours, from the surface at 0.9 % inwards; the far end is closed.
  [surface]
    type = FiniteVolumeAppendBoundaryCondition
    input = 'c'
    bc_value = 0.9
    side = 'left'
    output = 'c_and_surface'
  []
  [flux]
    type = FiniteVolumeGradient
    u = 'c_and_surface'
    dx = 'spacing'
    prefactor = 0.06
    grad_u = 'flux'
  []
  [closed]
    type = FiniteVolumeAppendBoundaryCondition
    input = 'flux'
    bc_value = 0
    side = 'right'
    output = 'all_fluxes'
  []

  # What flows in and not out stays: minus the divergence of the flux is the rate.
  [balance]
    type = FiniteVolumeGradient
    u = 'all_fluxes'
    dx = 'width'
    grad_u = 'c_rate'
  []
  [integrate_c]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'c'
  []
  [equations]
    type = ComposedModel
    models = 'surface flux closed balance integrate_c'
  []
  [guess]
    type = ConstantExtrapolationPredictor
    unknowns_Scalar = 'c'
  []
  [plate]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'guess'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'equations'
    unknowns = 'c'
  []
[]

[Solvers]
  [newton]
    type = Newton
  []
[]

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 8.0, 81, dtype=torch.float64))'
  []
  [steel]
    type = Python
    expr = 'Scalar(torch.full((40,), 0.2, dtype=torch.float64), sub_batch_ndim=1)'
  []
[]

[Drivers]
  [carburising]
    type = TransientDriver
    model = 'plate'
    prescribed_time = 'times'
    ic_Scalar_names = 'c'
    ic_Scalar_values = 'steel'
  []
[]
