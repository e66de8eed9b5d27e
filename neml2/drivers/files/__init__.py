"""The file of a run: written as it goes, safe from crashes, read whole or value by value."""
