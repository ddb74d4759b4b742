"""Data sets of faces: reading, checking, splitting, augmenting, normalising and loading."""

from minicnn.data.auditing import BLANK_RANGE, Audit, Dropped, audit, drop_duplicates
from minicnn.data.augment import Augmentation
from minicnn.data.face_dataset import (
    CLASS_NAMES,
    SIDE,
    SPLIT_NAMES,
    UNLABELLED,
    FaceCollector,
    FaceDataset,
    parse_class_name,
    parse_split,
)
from minicnn.data.faces import drawn_faces, drawn_faces_dataset
from minicnn.data.fer2013 import load
from minicnn.data.loader import DataLoader
from minicnn.data.normalize import (
    GlobalNormalization,
    ImageNormalization,
    NoNormalization,
    Normalization,
    PixelNormalization,
    make_normalization,
    normalization_from_state,
)
from minicnn.data.predictions import write_predictions
from minicnn.data.splits import limit, stratified_kfold, stratified_split

__all__ = [
    "BLANK_RANGE",
    "CLASS_NAMES",
    "SIDE",
    "SPLIT_NAMES",
    "UNLABELLED",
    "Audit",
    "Augmentation",
    "DataLoader",
    "Dropped",
    "FaceCollector",
    "FaceDataset",
    "GlobalNormalization",
    "ImageNormalization",
    "NoNormalization",
    "Normalization",
    "PixelNormalization",
    "audit",
    "drawn_faces",
    "drawn_faces_dataset",
    "drop_duplicates",
    "limit",
    "load",
    "make_normalization",
    "normalization_from_state",
    "parse_class_name",
    "parse_split",
    "stratified_kfold",
    "stratified_split",
    "write_predictions",
]
