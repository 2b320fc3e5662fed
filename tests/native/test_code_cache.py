"""Compiled code is used again only where it was made from the very same, and nothing that holds it can stop a start."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import PROJECT

# Prints what the kernel returns, and how often it was not found in the cache.
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from features.sample import doubled
print(doubled(20), sum(doubled.stats.cache_misses.values()))
"""
CONSTANT = "OFFSET = {}\n"
KERNEL = """
from native.jit import compiled
from contracts.sample_constant import OFFSET

@compiled
def doubled(number):
    return 2 * number + OFFSET
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What is needed of this one, and a kernel with a constant out of another file."""
    for package in ("native", "contracts", "features"):
        (tmp_path / "project" / package).mkdir(parents=True)
        (tmp_path / "project" / package / "__init__.py").touch()
    for name in ("jit.py", "code_cache.py"):
        shutil.copy(PROJECT / "native" / name, tmp_path / "project" / "native" / name)
    (tmp_path / "project" / "features" / "sample.py").write_text(KERNEL)
    (tmp_path / "project" / "contracts" / "sample_constant.py").write_text(CONSTANT.format(1))
    return tmp_path / "project"


def run(project: Path, **environment: str) -> tuple[int, int]:
    """What the kernel returned for 20, and how often it was compiled."""
    command = [sys.executable, "-c", PROGRAM, str(project)]
    given = {"PATH": os.environ["PATH"], "HOME": str(project.parent / "home"), **environment}
    ran = subprocess.run(command, capture_output=True, text=True, env=given, cwd=project, check=False)
    assert ran.returncode == 0, ran.stderr
    result, misses = ran.stdout.split()
    return int(result), int(misses)


def kept(project: Path) -> list[Path]:
    return sorted((project / "native" / "__pycache__" / "compiled").iterdir())


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_what_is_damaged_is_compiled_anew(project: Path) -> None:
    assert run(project) == (41, 1)
    damages: list[Callable[[Path], object]] = [cut, flip, lambda file: file.write_bytes(b""), Path.unlink]
    for damage in damages:
        (file,) = kept(project)
        damage(file)
        assert run(project) == (41, 1)
    assert run(project) == (41, 0)


def test_a_constant_of_another_file_is_noticed_though_no_date_changes(project: Path) -> None:
    constant = project / "contracts" / "sample_constant.py"
    date = constant.stat().st_mtime_ns
    assert run(project) == (41, 1)
    constant.write_text(CONSTANT.format(2))
    os.utime(constant, ns=(date, date))
    for bytecode in constant.parent.glob("__pycache__/*.pyc"):  # in which Python goes by the date
        bytecode.unlink()
    assert run(project) == (42, 1)


def test_another_folder_is_used_or_none_where_none_takes_files(project: Path) -> None:
    taken = project.parent / "file"
    taken.touch()  # a folder cannot be made there, not even by root
    (project / "native" / "__pycache__").mkdir()
    (project / "native" / "__pycache__" / "compiled").touch()
    assert run(project, XDG_CACHE_HOME=str(taken)) == (41, 1)
    assert run(project) == (41, 1)  # in the user's
    assert run(project, NUMBA_CACHE_DIR=str(taken)) == (41, 1)
    assert run(project) == (41, 0)


def test_processes_that_compile_at_the_same_time_leave_whole_files(project: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(project)]
    together = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    assert [process.communicate()[0].split()[0] for process in together] == [b"41"] * 3
    assert len(kept(project)) == 1
    assert run(project) == (41, 0)
