"""How a run goes: options, marches by the models or by a kernel, memory, and where its rows go."""
