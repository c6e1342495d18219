"""Cases from a folder with one sub-folder a class, of DICOM or of volumes in files of their own."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...errors import CaseError
from ..dicom.series import group_series
from ..formats import IMAGE_SUFFIXES, name_of_content, read_grid
from ..masks.label_maps import SUFFIXES as MASK_SUFFIXES
from ..masks.label_maps import stem
from ..places import Unusable, suffix
from .dicom_tree import DicomScans, IndexOptions, masks_by_series
from .index import Index, Plane, Scan

MASK_ENDINGS = ("_mask", "-mask", "_seg", "-seg", "_label", "-label")


def index_folder(root: Path, options: IndexOptions | None = None) -> Index:
    """Cases of a folder whose sub-folders are the classes.

    A class's folder holds DICOM (files, folders, archives) and volumes (NIfTI, NRRD, MetaImage). A label map beside
    a volume that is called like it, with ``_mask`` or ``_seg`` at its end, is its mask. The patient of DICOM is the
    header's; of other files it is the folder below the class's, else each file is a patient of its own. Folders and
    files are often called like patients: a volume is named by a hash of its content.

    Args:
        root: the folder.
        options: of the index; a CSV of labels makes no sense here. Its ``classes`` are the sub-folders in the order of
            their labels; by default all of them, alphabetically.

    Raises:
        CaseError: no such folder, a class without a sub-folder, or fewer than two classes.
    """
    options = options or IndexOptions()
    if not root.is_dir():
        raise CaseError(f"{root}: no such folder")
    if options.labels is not None:
        raise CaseError(
            f"{root}: the sub-folders are the labels; a CSV of labels goes with `tomolens cases index dicom`"
        )
    present = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    names = options.classes or tuple(present)
    if len(names) < 2 or len(set(names)) < len(names) or not set(names) <= set(present):
        wanted = f"each of the classes {', '.join(names)}" if options.classes else "each of at least two classes"
        raise CaseError(f"{root}: expected one sub-folder for {wanted}, there are: {', '.join(present) or 'none'}")
    found = DicomScans([], options, None, Counter(), [])
    for name in sorted(set(present) - set(names)):
        found.left_out[f"sub-folder '{name}', which is none of the classes"] += 1
    scans: list[Scan | None] = []
    for label, name in enumerate(names):
        tree = options.read_tree(root / name)
        found.unusable += tree.unusable
        series, left_out = group_series(tree.headers)
        found.left_out += Counter(left_out)
        masks = masks_by_series(tree.headers, found.unusable, options) if options.with_masks else {}
        for one in series:
            scan = found.scan(one, mask=masks.get(one.uid, ()))
            scans.append(scan and replace(scan, planes=tuple(replace(plane, label=label) for plane in scan.planes)))
        scans += [_volume(path, root, label, tree.others, found) for path in tree.others if _is_image(path)]
    index = found.index(_unique(scans))
    labelled = [f"{name} ({label})" for label, name in enumerate(names)]
    rule = f"the sub-folders {', '.join(labelled[:-1])} and {labelled[-1]} are the classes"
    return replace(index, classes=names, rule=rule, values={})


def _is_image(path: Path) -> bool:
    return suffix(path) in IMAGE_SUFFIXES and not _is_mask(path)


def _is_mask(path: Path) -> bool:
    return path.name.lower().endswith(".seg.nrrd") or stem(path).lower().endswith(MASK_ENDINGS)


def _volume(path: Path, root: Path, label: int, siblings: Sequence[Path], found: DicomScans) -> Scan | None:
    try:
        grid = read_grid(path).upright()
    except CaseError as error:
        if found.options.on_error == "stop":
            raise
        found.unusable.append(Unusable(path, str(error).removeprefix(f"{path}: ")))
        return None
    inside = path.relative_to(root)
    masks = tuple(str(other) for other in siblings if found.options.with_masks and _belongs(other, path))
    single = grid.shape[0] == 1
    planes = tuple(
        Plane(str(path), label, grid.slab(k).position, None if single else k, masks) for k in range(grid.shape[0])
    )
    patient = "-".join(inside.parts[:2] if len(inside.parts) > 2 else (*inside.parent.parts, stem(path)))
    return Scan(name_of_content(path), found.options.rename()(patient), planes)


def _unique(scans: Sequence[Scan | None]) -> list[Scan | None]:
    """Copies of one file share its content's name: the second and later ones get a number."""
    seen: Counter[str] = Counter()
    named: list[Scan | None] = []
    for scan in scans:
        if scan is not None:
            seen[scan.name] += 1
            scan = scan if seen[scan.name] == 1 else replace(scan, name=f"{scan.name}-copy{seen[scan.name]}")
        named.append(scan)
    return named


def _belongs(mask: Path, image: Path) -> bool:
    if mask.parent != image.parent or suffix(mask) not in MASK_SUFFIXES or not _is_mask(mask):
        return False
    name = stem(mask)
    ending = next((end for end in MASK_ENDINGS if name.lower().endswith(end)), "")
    return name.removesuffix(name[len(name) - len(ending) :] if ending else "") == stem(image)
