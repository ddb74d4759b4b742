"""Algorithms on plain arrays, with one version for both backends; no gradients are kept."""
