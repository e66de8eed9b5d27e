# A cohesive law for the delamination of a carbon-fibre laminate, in mixed modes. Units: mm, MPa, N/mm.
# Five interfaces, as one batch, from pure opening to pure sliding, which are opened, closed and opened again.

[Models]
  # The separation in parts: opening, and the length of the sliding. Closing is contact and does no damage.
  [components]
    type = VecComponents
    from = 'separation'
    to = 'normal tangential_separation_1 tangential_separation_2'
  []
  [opening]
    type = MacaulaySplit
    from = 'normal'
    to_positive = 'normal_separation'
    to_negative = 'normal_penetration'
  []
  [sliding]
    type = ScalarPNorm
    from = 'tangential_separation_1 tangential_separation_2'
    to = 'tangential_separation'
    exponent = 2
  []
  [effective]
    type = ScalarPNorm
    from = 'normal_separation tangential_separation'
    to = 'effective_separation'
    exponent = 2
  []

  # The ratio of the two says where damage starts (both strengths) and where the interface is broken (both energies).
  [mode_mixity]
    type = ModeMixity
  []
  [critical_separation]
    type = CamanhoDavilaCriticalSeparation
    mode_mixity = 'mode_mixity'
    penalty_stiffness = 1e5
    normal_strength = 60
    shear_strength = 90
  []
  [full_separation]
    type = BenzeggaghKenaneFullSeparation
    mode_mixity = 'mode_mixity'
    critical_separation = 'critical_separation'
    penalty_stiffness = 1e5
    mode_I_fracture_toughness = 0.28
    mode_II_fracture_toughness = 0.79
    shear_strength = 90
    eta = 2.2
  []

  # Between the two the traction falls linearly; unloading goes back to the origin.
  [law]
    type = BilinearTraction
    critical_separation = 'critical_separation'
    full_separation = 'full_separation'
    normal_penetration = 'normal_penetration'
    penalty_stiffness = 1e5
  []

  # Everything is explicit: there is no system to solve.
  [interface]
    type = ComposedModel
    models = 'components opening sliding effective law'
    additional_outputs = 'effective_separation'
  []
[]

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 5.0, 97, dtype=torch.float64))'
  []
  # From 0 to 0.005, back to 0.001, and on to 0.021 mm.
  [opened]
    type = Python
    expr = '''
      up = torch.clamp(times.data, 0.0, 1.0)
      down = torch.clamp(times.data - 1, 0.0, 1.0)
      again = torch.clamp(times.data - 2, 0.0, 3.0) / 3
      result = 0.005 * up - 0.004 * down + 0.02 * again
    '''
  []
  [angles]
    type = Python
    expr = 'torch.linspace(0.0, 0.5 * torch.pi, 5, dtype=torch.float64)'
  []
  [ways]
    type = Python
    expr = 'torch.stack([torch.cos(angles), torch.sin(angles), torch.zeros(5, dtype=torch.float64)], -1)'
  []
  [separations]
    type = Python
    expr = 'Vec(opened.reshape(97, 1, 1) * ways)'
  []
[]

[Drivers]
  [test]
    type = TransientDriver
    model = 'interface'
    prescribed_time = 'times'
    prescribed_Vec_names = 'separation'
    prescribed_Vec_values = 'separations'
  []
[]
