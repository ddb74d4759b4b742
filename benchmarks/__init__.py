"""Measurements of minicnn beside its peers, and against its analytic operation counts."""
