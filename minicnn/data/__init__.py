"""Data sets of faces: reading, checking, splitting, augmenting, normalising and loading."""

from minicnn.data.audit import Audit, Dropped, audit, drop_duplicates
from minicnn.data.face_dataset import CLASS_NAMES, SPLIT_NAMES, UNLABELLED, FaceDataset
from minicnn.data.fer2013 import load
from minicnn.data.predictions import write_predictions
from minicnn.data.splits import limit, stratified_kfold, stratified_split

__all__ = [
    "CLASS_NAMES",
    "SPLIT_NAMES",
    "UNLABELLED",
    "Audit",
    "Dropped",
    "FaceDataset",
    "audit",
    "drop_duplicates",
    "limit",
    "load",
    "stratified_kfold",
    "stratified_split",
    "write_predictions",
]
