"""The door for input files: HIT text in, models, solvers and drivers out."""
