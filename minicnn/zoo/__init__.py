"""The networks by name: build one with new weights, or load one that was trained."""

from minicnn.zoo.building import build, describe, names
from minicnn.zoo.loading import load
from minicnn.zoo.network import Network
from minicnn.zoo.packaged import DEFAULT, trained, trained_file

__all__ = ["DEFAULT", "Network", "build", "describe", "load", "names", "trained", "trained_file"]
