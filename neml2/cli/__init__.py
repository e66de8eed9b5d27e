"""Command line tools: `neml2-run`, `neml2-inspect`, `neml2-syntax`."""
