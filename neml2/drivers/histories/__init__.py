"""What is prescribed: histories from segments, standard tests, tables and text."""
