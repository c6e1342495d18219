"""Pseudonyms of patients: stable for one user, worth nothing without the salt."""

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from ..errors import SettingsError

VARIABLE = "TOMOLENS_SALT"
_PSEUDONYM = re.compile(r"P[0-9a-f]{20}")


def pseudonym(patient: str, salt: str) -> str:
    """A patient's name in a study: ``P``, twelve digits for the patient, and eight that seal them.

    A pseudonym stays what it is, so that a written index may be read again. It is known by its seal, which nobody
    writes by chance or without the salt: an identifier that only looks like a pseudonym becomes one as any other
    does, and so does another user's pseudonym.

    Args:
        patient: identifier as the hospital or the manifest has it.
        salt: secret of the user: without it numbers could be tried one after the other.
    """
    patient = patient.strip()
    if _PSEUDONYM.fullmatch(patient) and hmac.compare_digest(_sealed(patient[:13], salt), patient):
        return patient
    return _sealed("P" + _keyed(patient, salt, size=6), salt)


def _sealed(name: str, salt: str) -> str:
    return name + _keyed(f"seal of {name}", salt, size=4)


def _keyed(text: str, salt: str, size: int) -> str:
    # Of the salt, blake2b takes 64 bytes as its key.
    return hashlib.blake2b(
        text.encode("utf-8", "surrogateescape"), key=salt.encode()[:64], digest_size=size
    ).hexdigest()


def own_salt() -> str:
    """The user's salt: the environment's ``TOMOLENS_SALT``, else a file made once and readable by the user alone.

    Raises:
        SettingsError: the file can neither be read nor written.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return given
    file = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "tomolens" / "salt"
    try:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            fresh = file.with_name(f"salt.{os.getpid()}")
            fresh.touch(mode=0o600)
            fresh.write_text(secrets.token_hex(16))
            try:
                os.link(fresh, file)  # fails where another process was first: then its salt holds
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        salt = file.read_text().strip()
    except OSError as error:
        raise SettingsError(
            f"{file}: the salt of pseudonyms cannot be kept ({error.strerror}); set {VARIABLE}"
        ) from error
    if not salt:
        raise SettingsError(f"{file}: an empty salt; delete the file or set {VARIABLE}")
    return salt
