"""Exports that do not say whose scan it was."""

import copy
import hashlib
import uuid
from dataclasses import replace

from pydicom.dataset import Dataset

from ...cases.pseudonyms import pseudonym
from .planes import UIDS
from .sources import Sources

KEPT_UIDS = ("SOPClassUID",)
"""Names of kinds, not of anyone's images."""


def anonymous(sources: Sources, salt: str) -> Sources:
    """The same images without the patient, for files that leave the hospital.

    After the Basic Application Level Confidentiality Profile of DICOM PS3.15, by writing only what is known to be
    harmless rather than by taking out what is not:

    * Left out: everything of the patient and study modules (name, birth date, sex, other identifiers, accession
      number, physicians, study date, time, ID and description), of the scanner and the institution, and private
      attributes. What DICOM wants to be there is empty.
    * Replaced: Patient ID and name by the pseudonym that TomoLens gives the patient everywhere (`pseudonym`; that of
      the study where the source has no Patient ID); the UIDs of study, series, images and frame of reference by
      hashes that nobody inverts without the salt. With one salt they are the same in all files of an export, and in
      every later one: the files of a patient still belong together, and to a scan whose UIDs were replaced the same
      way (`replaced_uid`). To the scan as the hospital has it they no longer do: viewers show them on their own.
    * Kept: where the voxels lie, the lossy compression of the source, and what the map itself says: its title,
      estimator, class, prediction and trust, which must name no one. Dates are those of the export.
    * Not looked at: the pixels of a capture, which show the patient's slice and burnt-in words.

    Args:
        sources: as `find_sources` gives them.
        salt: secret of the user (`own_salt`).
    """
    images = tuple(_renamed(image, salt) for image in sources.images)
    patient = str(sources.identity.get("PatientID") or "").strip()
    name = pseudonym(patient or str(sources.images[0].StudyInstanceUID), salt)
    identity = Dataset()
    for keyword in UIDS:
        setattr(identity, keyword, images[0].get(keyword))
    identity.PatientID = identity.PatientName = name
    identity.PatientIdentityRemoved = "YES"
    identity.DeidentificationMethod = [
        "Attributes of patient, study and device left out",
        "Patient ID and UIDs replaced by keyed hashes",
    ]
    return replace(sources, images=images, identity=identity)


def replaced_uid(uid: str, salt: str) -> str:
    """A UID that stands for another: the same for the same salt, and by itself it tells nothing of it."""
    digest = hashlib.blake2b(uid.encode(), key=salt.encode()[:64], digest_size=16, person=b"tomolens uid").digest()
    return f"2.25.{uuid.UUID(bytes=digest, version=4).int}"


def _renamed(image: Dataset, salt: str) -> Dataset:
    renamed = copy.deepcopy(image)
    for keyword in UIDS:
        if keyword not in KEPT_UIDS:
            setattr(renamed, keyword, replaced_uid(str(image.get(keyword)), salt))
    return renamed
