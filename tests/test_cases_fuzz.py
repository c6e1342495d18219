"""Some thousand damaged files of every format; see fuzz_readers.py, which can go on for hours."""

from fuzz_readers import damaged, fuzz


def test_damaged_files_end_in_our_own_errors():
    findings, counts = fuzz(files=8000)
    assert findings == []
    assert counts["files"] >= 8000
    assert counts["refused"] > counts["files"] / 4
    assert counts["read"] > 0


def test_the_damage_is_what_it_says():
    edits = [("set", 1, b"XY"), ("cut", 5, 1), ("repeat", 0, 2), ("insert", 0, b"_"), ("flip", 0, 0), ("end", 6, None)]
    assert damaged(b"abcdefgh", edits) == b"^aXaXY"
