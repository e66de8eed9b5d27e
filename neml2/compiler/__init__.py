"""State updates as native kernels: trace, differentiate, eliminate, emit, build, run."""
