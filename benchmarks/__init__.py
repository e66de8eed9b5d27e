"""Timings of whole load histories; see README.md."""
