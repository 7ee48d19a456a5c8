import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kgcrs.core.errors import KgcrsError, closest, is_disk_full, run_main

ROOT = Path(__file__).resolve().parents[2]


def ended(main, capsys):
    with pytest.raises(SystemExit) as end:
        run_main(main)
    return end.value.code, capsys.readouterr().err


def raising(error):
    def main():
        raise error

    return main


def test_closest_suggests_only_near_names():
    known = ["synthetic", "lastfm", "lastfm_star"]
    assert closest("lastfn", known) == " Did you mean 'lastfm'?"
    assert closest("SYNTHETIC", known) == " Did you mean 'synthetic'?"
    assert closest("qqq", known) == ""
    assert closest("x", []) == ""


@pytest.mark.parametrize(("value", "code"), [(None, 0), (0, 0), (3, 3)])
def test_the_status_of_main_is_the_exit_status(value, code, capsys):
    assert ended(lambda: value, capsys) == (code, "")


def test_a_kgcrs_error_is_one_sentence(capsys):
    assert ended(raising(KgcrsError("fm.lr is -1.")), capsys) == (2, "error: fm.lr is -1.\n")


def test_ctrl_c_says_how_to_go_on(capsys):
    code, said = ended(raising(KeyboardInterrupt()), capsys)
    assert code == 130
    assert "checkpoints are intact" in said and "same command resumes" in said
    assert said.count("\n") == 1


def test_a_full_disk_is_one_sentence(capsys):
    code, said = ended(raising(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/a")), capsys)
    assert code == 2
    assert said.startswith("error: the disk is full while writing runs/a:")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate"),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 4000000000000 bytes."),
    ],
)
def test_too_little_memory_is_one_sentence(error, capsys):
    code, said = ended(raising(error), capsys)
    assert code == 2 and said.count("\n") == 1
    assert said.startswith("error: this does not fit in memory: lower the sizes, e.g. dim or batch_size")


def test_a_name_too_long_is_one_sentence(tmp_path, capsys):
    code, said = ended(lambda: (tmp_path / ("x" * 300)).mkdir(), capsys)
    assert code == 2 and said.count("\n") == 1
    assert "cannot be read or written (File name too long): choose another place" in said


def test_signs_that_the_terminal_lacks_do_not_end_a_program():
    program = (
        "import sys; from kgcrs.core.errors import run_main\n"
        "run_main(lambda: print('a\u2581') or print('b\u2581', file=sys.stderr))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout.split(), done.stderr.split()) == (0, [b"a?"], [b"b?"])


def test_defects_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        run_main(raising(ZeroDivisionError()))
    with pytest.raises(PermissionError):
        run_main(raising(PermissionError(errno.EACCES, "no")))


def test_is_disk_full_looks_at_causes_and_at_foreign_wording():
    wrapped = RuntimeError("save failed")
    wrapped.__cause__ = OSError(errno.EDQUOT, "quota")
    assert is_disk_full(wrapped)
    assert is_disk_full(ValueError("RESOURCE_EXHAUSTED: write: No space left on device"))
    assert not is_disk_full(OSError(errno.ENOENT, "missing"))


def test_a_closed_pipe_is_quiet():
    program = "from kgcrs.core.errors import run_main\nrun_main(lambda: [print('x' * 99) for _ in range(9999)] and 0)"
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 141
