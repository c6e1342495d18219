"""Headers a second on one core: TomoLens' header reader against pydicom, on the same files in turn.

``python benchmarks/index_headers.py [FOLDER]``; without a folder, 300 slices of a usual header are written first.
``--trees N`` also measures time and memory of a tree of N headers (links to the same file), first and second start.
"""

import argparse
import os
import resource
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from tomolens.cases.dicom.tree import read_tree

ROUNDS = 5


def usual_slice(path: Path, index: int, series: str) -> None:
    """A CT slice with as many elements as scanners write (about 140)."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = series, generate_uid()
    dataset.PatientID, dataset.Modality, dataset.ImageType = "P1", "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, index], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.Rows, dataset.Columns = [0.7, 0.7], 512, 512
    for element in range(110):
        dataset.add_new((0x0019, 0x1000 + element), "LO", f"value {element}")
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.PixelData = np.zeros((512, 512), np.int16).tobytes()
    dataset.save_as(path, enforce_file_format=True)


def with_pydicom(files: list[Path]) -> None:
    """What one would write without TomoLens."""
    for file in files:
        header = pydicom.dcmread(file, stop_before_pixels=True)
        (header.get("SeriesInstanceUID"), header.get("ImagePositionPatient"), header.get("ImageOrientationPatient"))


def main() -> None:
    """Print headers a second and the ratio."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--trees", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = arguments.folder or Path(made)
        if arguments.folder is None:
            series = generate_uid()
            for index in range(300):
                usual_slice(folder / f"{index:04d}.dcm", index, series)
        files = sorted(folder.rglob("*.dcm"))
        ours, theirs = [], []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            tree = read_tree(folder, str, cached=False)
            ours.append(len(tree.headers) / (time.perf_counter() - start))
            start = time.perf_counter()
            with_pydicom(files)
            theirs.append(len(files) / (time.perf_counter() - start))
        print(f"headers a second: TomoLens {np.median(ours):.0f}, pydicom {np.median(theirs):.0f}, "
              f"ratio {np.median(ours) / np.median(theirs):.2f}")  # fmt: skip
        if arguments.trees:
            measure_tree(files[0], arguments.trees)


def measure_tree(file: Path, count: int) -> None:
    """First and second start on a tree of ``count`` files."""
    with tempfile.TemporaryDirectory() as made:
        os.environ["XDG_CACHE_HOME"] = f"{made}/cache"
        for index in range(count):
            place = Path(made, "tree", f"{index // 500:04d}", f"{index % 500:04d}.dcm")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(file)
        for start in ("first", "second"):
            began = time.perf_counter()
            tree = read_tree(Path(made, "tree"), str)
            took = time.perf_counter() - began
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{start} start, {len(tree.headers)} headers: {took:.1f} s, at most {memory:.0f} MiB")


if __name__ == "__main__":
    main()
