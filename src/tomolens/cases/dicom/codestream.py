"""The size that a compressed image claims for itself: decoders allocate by it, whatever the DICOM header says."""

_JPEG_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xF7}
"""Start of frame of baseline, extended, progressive, lossless JPEG, and of JPEG-LS."""


def claimed_size(stream: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and components of a JPEG, JPEG-LS or JPEG 2000 stream; None where it says none."""
    if stream[:2] == b"\xff\x4f":
        return _jpeg2000(stream)
    if stream[:2] == b"\xff\xd8":
        return _jpeg(stream)
    return None


def _jpeg2000(stream: bytes) -> tuple[int, int, int] | None:
    # SIZ follows SOC at once: marker, length, capabilities, then sizes and offsets of 4 bytes each.
    if stream[2:4] != b"\xff\x51" or len(stream) < 42:
        return None
    right, bottom, left, top = (int.from_bytes(stream[at : at + 4], "big") for at in (8, 12, 16, 20))
    return bottom - top, right - left, int.from_bytes(stream[40:42], "big")


def _jpeg(stream: bytes) -> tuple[int, int, int] | None:
    at = 2
    while at + 4 <= len(stream) and stream[at] == 0xFF:
        marker, length = stream[at + 1], int.from_bytes(stream[at + 2 : at + 4], "big")
        if marker == 0xFF:
            at += 1
            continue
        if marker in _JPEG_FRAMES and at + 10 <= len(stream):
            rows = int.from_bytes(stream[at + 5 : at + 7], "big")
            columns = int.from_bytes(stream[at + 7 : at + 9], "big")
            return rows, columns, stream[at + 9]
        if length < 2:
            return None
        at += 2 + length
    return None
