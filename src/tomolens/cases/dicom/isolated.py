"""A process of its own for decoders that abort on damaged streams: a broken file then costs a line, not the study.

``python -m tomolens.cases.dicom.isolated`` reads frames on standard input and writes pixels on standard output; it
is started when the first such frame comes, and ends with the process that started it.
"""

import atexit
import json
import struct
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import UID

from ...errors import CaseError, reason_of

LONGEST = 60.0
"""Seconds for one frame."""


@dataclass(frozen=True)
class Frame:
    """What a decoder must know of a compressed frame beside its bytes."""

    syntax: str
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    is_signed: bool

    @property
    def dtype(self) -> np.dtype[np.signedinteger | np.unsignedinteger]:
        """Of the decoded pixels."""
        return np.dtype(f"{'i' if self.is_signed else 'u'}{self.bits_allocated // 8}")


class Decoder:
    """The process, started again after a crash."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def decode(self, frame: Frame, content: bytes) -> NDArray[np.signedinteger | np.unsignedinteger]:
        """The pixels of a frame, ``(rows, columns)``.

        Raises:
            CaseError: a stream that the decoder refuses, aborts on, or does not finish.
        """
        with self._lock:
            process = self._running()
            watch = threading.Timer(LONGEST, process.kill)
            watch.start()
            try:
                _send(process.stdin, json.dumps(asdict(frame)).encode(), content)
                status, decoded = _receive(process.stdout)
            except (OSError, EOFError) as error:
                self.stop()
                raise CaseError("unreadable DICOM: its decoder broke down on the stream") from error
            finally:
                watch.cancel()
        if status != b"ok":
            raise CaseError(f"unreadable DICOM ({decoded.decode(errors='replace')})")
        return np.frombuffer(decoded, frame.dtype).reshape(frame.rows, frame.columns)

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the study, which ends this process itself
            )
        return self._process

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


decoder = Decoder()
atexit.register(decoder.stop)


def _send(pipe: IO[bytes] | None, *parts: bytes) -> None:
    assert pipe is not None
    for part in parts:
        pipe.write(struct.pack("<Q", len(part)) + part)
    pipe.flush()


def _receive(pipe: IO[bytes] | None) -> tuple[bytes, bytes]:
    assert pipe is not None
    parts = []
    for _ in range(2):
        length = pipe.read(8)
        if len(length) < 8:
            raise EOFError
        parts.append(pipe.read(*struct.unpack("<Q", length)))
    return parts[0], parts[1]


def _decode(frame: Frame, content: bytes) -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(frame.syntax)
    dataset.Rows, dataset.Columns = frame.rows, frame.columns
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored = frame.bits_allocated, frame.bits_stored
    dataset.HighBit, dataset.PixelRepresentation = frame.bits_stored - 1, int(frame.is_signed)
    dataset.PixelData = encapsulate([content])
    decoded = next(iter_pixels(dataset, raw=True, decoding_plugin="gdcm"))
    return np.ascontiguousarray(decoded, frame.dtype).tobytes()


def _serve() -> None:
    while True:
        try:
            described, content = _receive(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = (b"ok", _decode(Frame(**json.loads(described)), content))
        except Exception as error:  # whatever a decoder raises is an answer
            answer = (b"no", reason_of(error).encode())
        _send(sys.stdout.buffer, *answer)


if __name__ == "__main__":
    _serve()
