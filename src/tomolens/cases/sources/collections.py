"""What can be indexed and fetched, by the names that users type."""

from collections.abc import Callable
from pathlib import Path

from .class_folders import index_folder
from .dicom_tree import IndexOptions, index_dicom
from .index import Index
from .lidc_idri import index_lidc_idri
from .lndb import index_lndb
from .tcga import index_tcga

SOURCES: dict[str, Callable[[Path, IndexOptions], Index]] = {
    "dicom": index_dicom,
    "folder": index_folder,
    "lidc-idri": index_lidc_idri,
    "lndb": index_lndb,
    "tcga": index_tcga,
}
