"""Data sets of faces: reading, checking, splitting, augmenting, normalising and loading."""

from minicnn.data.auditing import BLANK_RANGE, Audit, Dropped, audit, drop_duplicates
from minicnn.data.augment import Augmentation
from minicnn.data.augmentation_schedule import AugmentationSchedule
from minicnn.data.balance import class_weights
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
from minicnn.data.face_detection import find_faces, require_detector
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
from minicnn.data.pca import PrincipalComponents, principal_components
from minicnn.data.pictures import (
    Box,
    centre_square,
    decode_picture,
    network_input,
    read_picture,
)
from minicnn.data.predictions import write_predictions
from minicnn.data.resemblance import SAME_PICTURE, closest_pictures
from minicnn.data.splits import limit, stratified_kfold, stratified_split

__all__ = [
    "BLANK_RANGE",
    "CLASS_NAMES",
    "SAME_PICTURE",
    "SIDE",
    "SPLIT_NAMES",
    "UNLABELLED",
    "Audit",
    "Augmentation",
    "AugmentationSchedule",
    "Box",
    "DataLoader",
    "Dropped",
    "FaceCollector",
    "FaceDataset",
    "GlobalNormalization",
    "ImageNormalization",
    "NoNormalization",
    "Normalization",
    "PixelNormalization",
    "PrincipalComponents",
    "audit",
    "centre_square",
    "class_weights",
    "closest_pictures",
    "decode_picture",
    "drawn_faces",
    "drawn_faces_dataset",
    "drop_duplicates",
    "find_faces",
    "limit",
    "load",
    "make_normalization",
    "network_input",
    "normalization_from_state",
    "parse_class_name",
    "parse_split",
    "principal_components",
    "read_picture",
    "require_detector",
    "stratified_kfold",
    "stratified_split",
    "write_predictions",
]
