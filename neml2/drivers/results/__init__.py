"""What a run gives: which values are kept, what follows from them, and their form in xarray and in files."""
