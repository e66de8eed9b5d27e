# Precipitation of Al3Sc from aluminium (Kampmann and Wagner): classes of size, nuclei that form, and their growth.
# Ageing at three temperatures, as one batch. Units: nm, s, K, J, mol. The constants have the size of the real ones.
#
# Curvature is left out of the growth law, so that the precipitates do not coarsen.

molar_volume = 1.03e22
surface_energy = 0.11e-18
boltzmann = 1.380649e-23
avogadro = 6.02214e23
gas_constant = 8.31446

[Tensors]
  # 40 classes of radii from 0.5 to 4.5 nm; they are a sub-batch axis of the number density n.
  [edges]
    type = Python
    expr = 'Scalar(torch.linspace(0.5, 4.5, 41, dtype=torch.float64), sub_batch_ndim=1)'
  []
  [radius]
    type = Python
    expr = 'Scalar(0.5 * (edges.data[1:] + edges.data[:-1]), sub_batch_ndim=1)'
  []
  [width]
    type = Python
    expr = 'Scalar(edges.data[1:] - edges.data[:-1], sub_batch_ndim=1)'
  []
[]

[Models]
  # How much scandium the precipitates hold, and what is left in the matrix (mole fractions).
  [volume_fraction]
    type = PrecipitateVolumeFraction
    radius = 'radius'
    number_density = 'n'
    volume_fraction = 'f'
  []
  [matrix]
    type = CurrentConcentration
    initial_concentration = 0.0018
    precipitate_volume_fractions = 'f'
    precipitate_concentrations = 0.25
    current_concentration = 'x'
  []

  # What depends on the temperature: solubility and diffusivity.
  [solubility]
    type = ArrheniusParameter
    reference_value = 1.46
    activation_energy = 58e3
    ideal_gas_constant = ${gas_constant}
    temperature = 'T'
  []
  [diffusivity]
    type = ArrheniusParameter
    reference_value = 5.31e14
    activation_energy = 173e3
    ideal_gas_constant = ${gas_constant}
    temperature = 'T'
  []

  # The driving force, per mole of atoms of which a quarter is scandium; and how diffusion resists.
  [driving_force]
    type = IdealSolutionVolumetricDrivingForce
    temperature = 'T'
    current_concentrations = 'x'
    equilibrium_concentrations = 'solubility'
    weights = '0.25'
    gas_constant = ${gas_constant}
    driving_force = 'dg'
  []
  [resistance]
    type = ProjectedDiffusivitySum
    concentration_differences = '0.25'
    diffusivities = 'diffusivity'
    far_field_concentrations = 'x'
    projected_diffusivity_sum = 's'
  []

  # Nucleation: the critical nucleus, how many there are, and how many of them grow.
  [barrier]
    type = NucleationBarrierAndCriticalRadius
    surface_energy = ${surface_energy}
    total_gibbs_free_energy_difference = 'dg'
    molar_volume = ${molar_volume}
    nucleation_barrier = 'barrier'
    critical_radius = 'critical_radius'
  []
  [zeldovich]
    type = ZeldovichFactor
    critical_radius = 'critical_radius'
    temperature = 'T'
    surface_energy = ${surface_energy}
    molar_volume = ${molar_volume}
    avogadro_number = ${avogadro}
    boltzmann_constant = ${boltzmann}
    zeldovich_factor = 'Z'
  []
  [attachment]
    type = KineticFactor
    critical_radius = 'critical_radius'
    projected_diffusivity_sum = 's'
    molar_volume = ${molar_volume}
    avogadro_number = ${avogadro}
    kinetic_factor = 'beta'
  []
  [nucleation]
    type = NucleationFluxMagnitude
    zeldovich_factor = 'Z'
    kinetic_factor = 'beta'
    nucleation_barrier = 'barrier'
    temperature = 'T'
    nucleation_site_density = 0.1
    boltzmann_constant = ${boltzmann}
    nucleation_flux_magnitude = 'nucleation_rate'
  []
  [new]
    type = DumpInSmallestBin
    magnitude = 'nucleation_rate'
    cell_centers = 'radius'
    dumped_source = 'new'
  []

  # Growth moves precipitates to larger classes: an advection along the axis of radii, closed at both ends.
  [growth]
    type = SFFKPrecipitationGrowthRate
    radius = 'radius'
    projected_diffusivity_sum = 's'
    gibbs_free_energy_difference = 'dg'
    temperature = 'T'
    gas_constant = ${gas_constant}
    growth_rate = 'growth_rate'
  []
  [at_edges]
    type = LinearlyInterpolateToCellEdges
    cell_values = 'growth_rate'
    cell_centers = 'radius'
    cell_edges = 'edges'
    edge_values = 'edge_rate'
  []
  [flux]
    type = FiniteVolumeUpwindedAdvectiveFlux
    u = 'n'
    v_edge = 'edge_rate'
    flux = 'J'
  []
  [smallest]
    type = FiniteVolumeAppendBoundaryCondition
    input = 'J'
    bc_value = 0
    side = 'left'
  []
  [largest]
    type = FiniteVolumeAppendBoundaryCondition
    input = 'J_with_bc_left'
    bc_value = 0
    side = 'right'
  []
  [moved]
    type = FiniteVolumeGradient
    u = 'J_with_bc_left_with_bc_right'
    dx = 'width'
    grad_u = 'moved'
  []
  [n_rate]
    type = ScalarLinearCombination
    from = 'moved new'
    to = 'n_rate'
  []
  [integrate_n]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'n'
  []
  [equations]
    type = ComposedModel
    models = 'volume_fraction matrix driving_force resistance barrier zeldovich attachment nucleation new growth
              at_edges flux smallest largest moved n_rate integrate_n'
  []
  [guess]
    type = ConstantExtrapolationPredictor
    unknowns_Scalar = 'n'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'guess'
  []
  [alloy]
    type = ComposedModel
    models = 'update volume_fraction matrix'
    additional_outputs = 'n f'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'equations'
    unknowns = 'n'
  []
[]

# Numbers of precipitates are small in these units (1e-4 per nm^3), so the tolerance is as well.
[Solvers]
  [newton]
    type = NewtonWithLineSearch
    abs_tol = 1e-14
    max_its = 40
  []
[]

[Tensors]
  [none]
    type = Python
    expr = 'Scalar(torch.zeros(3, 40, dtype=torch.float64), sub_batch_ndim=1)'
  []
  [temperatures]
    type = Python
    expr = 'Scalar(torch.tensor([573.0, 598.0, 623.0], dtype=torch.float64).expand(61, 3))'
  []
  [times]
    type = Python
    expr = '''
      start = torch.zeros(1, dtype=torch.float64)
      result = Scalar(torch.cat([start, torch.logspace(-1.0, 4.0, 60, dtype=torch.float64)]))
    '''
  []
[]

[Drivers]
  [ageing]
    type = TransientDriver
    model = 'alloy'
    prescribed_time = 'times'
    prescribed_Scalar_names = 'T'
    prescribed_Scalar_values = 'temperatures'
    ic_Scalar_names = 'n'
    ic_Scalar_values = 'none'
  []
[]
