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
