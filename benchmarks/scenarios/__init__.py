"""The folders of the scenarios."""
