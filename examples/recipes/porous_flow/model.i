# Flow in unsaturated pores (Richards' equation): rain falls on dry soil and sinks in. Units: m, h, kPa, m².
# Three rains, as one batch. The unknown is w, the share of the volume that is water.

[Tensors]
  # 50 cells over 1 m of depth; they are a sub-batch axis of w.
  [centers]
    type = Python
    expr = 'Scalar(torch.linspace(0.01, 0.99, 50, dtype=torch.float64), sub_batch_ndim=1)'
  []
  [edges]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 1.0, 51, dtype=torch.float64), sub_batch_ndim=1)'
  []
  [spacing]
    type = Python
    expr = 'Scalar(torch.full((49,), 0.02, dtype=torch.float64), sub_batch_ndim=1)'
  []
  [width]
    type = Python
    expr = 'Scalar(torch.full((50,), 0.02, dtype=torch.float64), sub_batch_ndim=1)'
  []
  # 40, 10 and 2.5 mm/h
  [rain]
    type = Python
    expr = 'Scalar(torch.tensor([0.04, 0.01, 0.0025], dtype=torch.float64))'
  []
[]

[Models]
  # How full the pores are, and the suction with which they hold their water.
  [saturation]
    type = EffectiveSaturation
    fluid_fraction = 'w'
    residual_saturation = 0.1
    max_fraction = 0.38
    effective_saturation = 'S'
  []
  [suction]
    type = BrooksCoreyCapillaryPressure
    threshold_pressure = 1.0
    exponent = 2.0
    effective_saturation = 'S'
    capillary_pressure = 'suction'
  []

  # How easily it flows: the permeability of this packing, and a share S^4 of it where the pores are not full. That is
  # the law of PowerLawPermeability with S in the place of the porosity: 1/16 for half full pores.
  [porosity]
    type = ScalarConstantParameter
    parameter = 'porosity'
    value = 0.38
  []
  [permeability]
    type = KozenyCarmanPermeability
    reference_permeability = 1.8e-12
    reference_porosity = 0.40
    n = 3
    m = 3
  []
  [share]
    type = PowerLawPermeability
    porosity = 'S'
    permeability = 'share'
    reference_permeability = 0.0625
    reference_porosity = 0.5
    exponent = 4
  []
  [share_over_edges]
    type = LinearlyInterpolateToCellEdges
    cell_values = 'share'
    cell_centers = 'centers'
    cell_edges = 'edges'
    edge_values = 'share_over_edges'
  []

  # Darcy's law, downwards: to where the suction is higher, and with the weight of the water, 9.81 kPa/m.
  # The scaling is one over the viscosity, 1 mPa s in kPa h.
  [minus_gradient]
    type = FiniteVolumeGradient
    u = 'suction'
    dx = 'spacing'
    grad_u = 'minus_gradient'
  []
  [drive]
    type = ScalarLinearCombination
    from = 'minus_gradient'
    to = 'drive'
    weights = -1
    offset = 9.81
  []
  [flux]
    type = ScalarMultiplication
    from = 'permeability share_over_edges drive'
    to = 'flux'
    scaling = 3.6e9
  []

  # Rain comes in above, and the bottom is closed.
  [top]
    type = FiniteVolumeAppendBoundaryCondition
    input = 'flux'
    bc_value = 'rain'
    side = 'left'
    output = 'rain_and_flux'
  []
  [bottom]
    type = FiniteVolumeAppendBoundaryCondition
    input = 'rain_and_flux'
    bc_value = 0
    side = 'right'
    output = 'all_fluxes'
  []

  # What flows in and not out stays.
  [balance]
    type = FiniteVolumeGradient
    u = 'all_fluxes'
    dx = 'width'
    grad_u = 'w_rate'
  []
  [integrate_w]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'w'
  []
  [equations]
    type = ComposedModel
    models = 'saturation suction porosity permeability share share_over_edges minus_gradient drive flux top bottom
              balance integrate_w'
  []
  [guess]
    type = ConstantExtrapolationPredictor
    unknowns_Scalar = 'w'
  []
  [step]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'guess'
  []
  [soil]
    type = ComposedModel
    models = 'step saturation'
    additional_outputs = 'w'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'equations'
    unknowns = 'w'
  []
[]

[Solvers]
  [newton]
    type = Newton
  []
[]

# The test: five hours of rain. A fifth of the pores is full at first, besides the water that cannot be drained.
[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 5.0, 101, dtype=torch.float64))'
  []
  [dry]
    type = Python
    expr = 'Scalar(torch.full((3, 50), 0.1064, dtype=torch.float64), sub_batch_ndim=1)'
  []
[]

[Drivers]
  [infiltration]
    type = TransientDriver
    model = 'soil'
    prescribed_time = 'times'
    ic_Scalar_names = 'w'
    ic_Scalar_values = 'dry'
  []
[]
