"""Nine cyclic tests on P91 steel: the material and the histories of the demo."""
