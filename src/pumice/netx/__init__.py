"""Reading and writing NetX HDF5 files; the only user of h5py. The format is described in FORMAT.md."""

from pumice.netx.named import load_named, networks_in, read_card
from pumice.netx.reader import load
from pumice.netx.writer import save

__all__ = ["load", "load_named", "networks_in", "read_card", "save"]
