import errno
import os
import threading
from pathlib import Path

import pytest

from nmt.reading import sha256
from nmt.storage import atomic_folder, atomic_write


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as stream:
        stream.write(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_written_file_keeps_its_permissions_and_its_links(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link.symlink_to(path)
    with atomic_write(link) as stream:
        stream.write(b"new")
    assert link.is_symlink() and path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640


def test_devices_are_written_to_and_not_replaced() -> None:
    with atomic_write(Path("/dev/null")) as stream:
        stream.write(b"gone")
    assert Path("/dev/null").is_char_device()


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".a.x.nmt.tmp").write_bytes(b"half")
    (tmp_path / f".b.{os.uname().nodename}.x.nmt.tmp").mkdir()
    with atomic_write(tmp_path / "file"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_folders_of_other_machines_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shared cache, where another machine encodes a corpus: NFS does not pass on its lock."""
    monkeypatch.setattr("nmt.storage._MACHINE", "node1")
    with atomic_folder(tmp_path / "a") as first:
        monkeypatch.setattr("nmt.storage._MACHINE", "node2")
        monkeypatch.setattr("nmt.storage.try_lock", lambda handle: True)
        with atomic_folder(tmp_path / "b") as second:
            (second / "file").touch()
        (first / "file").touch()
    assert (tmp_path / "a" / "file").exists() and (tmp_path / "b" / "file").exists()


def test_files_that_cannot_be_locked_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int) -> bool:
        raise OSError(errno.ENOSYS, "no locks")

    monkeypatch.setattr("nmt.storage.try_lock", refuse)
    (tmp_path / ".a.x.nmt.tmp").write_bytes(b"half")
    before = len(os.listdir("/proc/self/fd"))
    with atomic_write(tmp_path / "file"):
        pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_failed_folder_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_folder(folder) as new:
        (new / "a").write_text("half")
        raise ZeroDivisionError
    assert (folder / "a").read_text() == "old"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_reader_finds_a_whole_folder_at_any_moment(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    missing: list[int] = []
    stop = threading.Event()

    def replace(number: int) -> None:
        with atomic_folder(folder) as new:
            (new / "a").write_text(str(number))

    def read() -> None:
        while not stop.is_set():
            if not folder.exists():
                missing.append(1)

    replace(0)
    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 200):
        replace(number)
        assert (folder / "a").read_text() == str(number)
    stop.set()
    reader.join()
    assert not missing
    assert list(tmp_path.iterdir()) == [folder]


def test_sha256_is_the_standard_one(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert sha256(tmp_path / "abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
