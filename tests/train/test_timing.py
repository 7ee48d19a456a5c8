"""Damaged timing files."""

import pytest

from kgcrs.core.errors import KgcrsError
from train.timing import FILE, read_timing


@pytest.mark.parametrize("line", [b"\xff\xfe", b'{"stage": "fit\xff", "steps": 1, "seconds": 1.0}', b"[]"])
def test_a_damaged_line_is_named(tmp_path, line):
    (tmp_path / FILE).write_bytes(b'{"stage": "fit", "steps": 1, "seconds": 1.0}\n' + line + b"\n")
    with pytest.raises(KgcrsError, match="is damaged at .*: delete that line"):
        read_timing(tmp_path, "fit")
