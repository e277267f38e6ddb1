"""A stand-in for Glue's own Python package: see the README beside it."""
