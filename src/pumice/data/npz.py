"""Arrays of a dataset's .npz files: untrusted, so never unpickled."""

from pumice.files.arrays import names_in_npz, read_npz

__all__ = ["names_in_npz", "read_npz"]
