"""Datasets of images, events and sounds, and the encoders that turn a sample into integers over time."""

from pumice.data.binning import EventBinner
from pumice.data.cifar10 import load_cifar10
from pumice.data.crossings import CrossingEncoder
from pumice.data.dataset import Dataset, EventDataset, ImageDataset, Split
from pumice.data.digits import load_digits
from pumice.data.dvs_gesture import load_dvs_gesture
from pumice.data.encoders import AbstractEncoder, DirectEncoder, RateEncoder, make_encoder
from pumice.data.events import EventSamples
from pumice.data.folds import hold_out, take_fold
from pumice.data.fsdd import load_fsdd
from pumice.data.image_files import ImageFiles
from pumice.data.image_folder import load_image_folder
from pumice.data.image_shards import load_image_shards
from pumice.data.mnist import load_mnist
from pumice.data.nmnist import load_nmnist
from pumice.data.own_folder import load_folder
from pumice.data.registry import ARGUMENTS_FROM_FILES, DATASET_NAMES, load_dataset
from pumice.data.sequences import SequenceDataset, SequenceEncoder, pad_sequences, split_of_sequences

__all__ = [
    "ARGUMENTS_FROM_FILES",
    "DATASET_NAMES",
    "AbstractEncoder",
    "CrossingEncoder",
    "Dataset",
    "DirectEncoder",
    "EventBinner",
    "EventDataset",
    "EventSamples",
    "ImageDataset",
    "ImageFiles",
    "RateEncoder",
    "SequenceDataset",
    "SequenceEncoder",
    "Split",
    "hold_out",
    "load_cifar10",
    "load_dataset",
    "load_digits",
    "load_dvs_gesture",
    "load_folder",
    "load_fsdd",
    "load_image_folder",
    "load_image_shards",
    "load_mnist",
    "load_nmnist",
    "make_encoder",
    "pad_sequences",
    "split_of_sequences",
    "take_fold",
]
