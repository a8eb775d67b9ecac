"""Vectors and truth from files: fvecs, bvecs, ivecs, npy, and hdf5 in the layout of ann-benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def read_vectors(path: Path, hdf5_name: str) -> npt.NDArray[np.float32]:
    """float32[n, d]. ``hdf5_name``: the data set to take of an hdf5 file. Raises ValueError for an unknown format."""
    return np.ascontiguousarray(_read(path, hdf5_name), dtype=np.float32)


def read_truth(path: Path) -> npt.NDArray[np.int64]:
    """Row numbers int64[q, k] of the nearest, nearest first."""
    return np.ascontiguousarray(_read(path, "neighbors"), dtype=np.int64)


def _read(path: Path, hdf5_name: str) -> npt.NDArray[Any]:
    match path.suffix:
        case ".npy":
            return np.asarray(np.load(path, mmap_mode="r"))
        case ".fvecs":
            return _vecs(path, np.dtype("<f4"))
        case ".ivecs":
            return _vecs(path, np.dtype("<i4"))
        case ".bvecs":
            return _vecs(path, np.dtype("u1"))
        case ".hdf5" | ".h5":
            import h5py

            with h5py.File(path) as file:
                return np.asarray(file[hdf5_name])
    raise ValueError(f"{path}: not one of .npy, .fvecs, .ivecs, .bvecs, .hdf5")


def _vecs(path: Path, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Records of ``[int32 dimension][values]``, all of one dimension (TEXMEX)."""
    data = np.fromfile(path, dtype=np.uint8)
    if data.size < 4:
        raise ValueError(f"{path} is empty")
    dimension = int(data[:4].view("<i4")[0])
    record_bytes = 4 + dimension * dtype.itemsize
    if dimension <= 0 or data.size % record_bytes:
        raise ValueError(f"{path} does not hold whole records of {dimension} dimensions")
    return data.reshape(-1, record_bytes)[:, 4:].copy().view(dtype)
