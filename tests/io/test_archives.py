"""Archives are unpacked whole or not at all, and nothing is written outside their folder."""

import errno
import gzip
import hashlib
import io
import os
import shutil
import stat
import subprocess
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sss_lib.io import archives
from sss_lib.io.archives import ArchiveError, unpack
from sss_lib.io.split_zip import JoinedZip

FSD50K = Path(__file__).parent.parent / "data" / "fsd50k"
EVAL = [FSD50K / "FSD50K.eval_audio.z01", FSD50K / "FSD50K.eval_audio.zip"]
DEV = [*(FSD50K / f"FSD50K.dev_audio.z0{i}" for i in range(1, 6)), FSD50K / "FSD50K.dev_audio.zip"]
needs_zip = pytest.mark.skipif(not shutil.which("zip"), reason="needs Info-ZIP's zip")


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def write_archive(folder, suffix, *members):
    """Archive a.zip or a.tar.gz of (name, ZipInfo or TarInfo; content)."""
    path = folder / f"a.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members:
                archive.writestr(name, content)
        return path
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            about = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return path


# split archives


@pytest.mark.parametrize(("parts", "n_files"), [(EVAL, 6), (DEV, 13)], ids=["two parts", "six parts"])
def test_a_split_zip_by_the_real_tool_is_unpacked_to_its_files(tmp_path, parts, n_files):
    name = parts[-1].stem
    unpack(parts, tmp_path / name, progress=False)
    found = contents(tmp_path / name)
    assert len(found) == n_files
    assert {len(content) for content in found.values()} == {44 + 2 * 13230}
    assert all(content[:4] == b"RIFF" for content in found.values())
    assert visible(tmp_path) == [name]


@needs_zip
@pytest.mark.parametrize("options", [[], ["-fz"], ["-0"]], ids=["plain", "Zip64", "stored"])
def test_what_is_unpacked_equals_what_the_real_tool_split(tmp_path, options):
    source = tmp_path / "x"
    (source / "deep").mkdir(parents=True)
    for i in range(5):
        (source / f"{i}.bin").write_bytes(np.random.default_rng(i).bytes(70_000))
    (source / "deep" / "empty").touch()
    (source / "deep" / "text").write_text("a" * 300_000)
    made = tmp_path / "made"
    made.mkdir()
    command = ["zip", "-q", "-r", *options, "-s", "64k", made / "x.zip", "x"]
    subprocess.run(command, cwd=tmp_path, check=True)
    parts = sorted(made.glob("x.z[0-9]*")) + [made / "x.zip"]
    assert len(parts) > 4
    unpack(parts, tmp_path / "out" / "x", progress=False)
    assert contents(tmp_path / "out" / "x") == contents(source)


@needs_zip
def test_the_joined_view_holds_what_the_real_tool_joins(tmp_path):
    subprocess.run(["zip", "-q", "-s", "0", DEV[-1], "--out", tmp_path / "joined.zip"], check=True)
    with zipfile.ZipFile(tmp_path / "joined.zip") as by_tool, archives._opened(DEV) as joined:
        assert joined.namelist() == by_tool.namelist()
        for name in joined.namelist():
            assert joined.read(name) == by_tool.read(name)


@pytest.mark.skipif(os.name == "nt", reason="needs files with holes")
def test_offsets_beyond_4_gb_are_reached(tmp_path):
    """A hole of 5 GB at the end of the first part moves all that lies in the second."""
    parts = [Path(shutil.copy(part, tmp_path)) for part in EVAL]
    os.truncate(parts[0], 5 << 30)
    with archives._opened(parts) as far, archives._opened(EVAL) as near:
        in_second = [info.filename for info in far.infolist() if info.header_offset > 1 << 32]
        assert in_second
        for name in in_second:
            assert far.read(name) == near.read(name)


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (lambda parts: parts[1:], "FSD50K.dev_audio.zip is the last of 6 parts, but 5 are given"),
        (lambda parts: parts[4:], "FSD50K.dev_audio.zip is the last of 6 parts, but 2 are given"),
        (lambda parts: [parts[1], parts[0], *parts[2:]], "is damaged"),
        *(((lambda parts, n=n: [*parts[:-1], n]), "its end is missing") for n in (0, 10, 1000, 8000)),
    ],
)
def test_parts_that_are_missing_swapped_or_cut_short_are_refused(tmp_path, choose, message):
    parts = choose(DEV)
    if isinstance(parts[-1], int):
        (tmp_path / "x.zip").write_bytes(DEV[-1].read_bytes()[: parts[-1]])
        parts[-1] = tmp_path / "x.zip"
    with pytest.raises(ArchiveError, match=message):
        unpack(parts, tmp_path / "out" / "FSD50K.dev_audio", progress=False)
    assert visible(tmp_path / "out") == []


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_split_archive_is_refused_or_unpacked_right(tmp_path, seed):
    rng = np.random.default_rng(seed)
    parts = [Path(shutil.copy(part, tmp_path)) for part in EVAL]
    victim = parts[rng.integers(2)]
    content = bytearray(victim.read_bytes())
    tail = 700 if seed % 2 else len(content)  # the directory, or anywhere
    for at in rng.integers(len(content) - tail, len(content), 3):
        content[at] = rng.integers(256)
    victim.write_bytes(content)
    out = tmp_path / "out"
    try:
        unpack(parts, out / "FSD50K.eval_audio", progress=False)
    except ArchiveError:
        assert visible(out) == []
    else:
        digests = [hashlib.sha256(c).hexdigest() for c in contents(out / "FSD50K.eval_audio").values()]
        with archives._opened(EVAL) as good:
            right = {hashlib.sha256(good.read(i)).hexdigest() for i in good.infolist() if not i.is_dir()}
        assert set(digests) <= right


def test_seeking_in_the_joined_view_is_that_of_a_file():
    files = [part.open("rb") for part in EVAL]
    joined = JoinedZip(files)
    start = b"".join(part.read_bytes() for part in EVAL)[: joined.tail_start]
    size = joined.seek(0, io.SEEK_END)
    assert size > len(start)
    for at, n in [(0, 10), (98304 - 5, 10), (98304, 10), (len(start) - 5, 5)]:
        joined.seek(at)
        assert b"".join(iter(lambda: joined.read(3), b""))[:n] == start[at : at + n]
    joined.seek(5)
    assert joined.seek(-2, io.SEEK_CUR) == 3
    joined.seek(size)
    assert joined.read(1) == b""
    for file in files:
        file.close()


# what isn't to be trusted


def zip_name(name):
    member = zipfile.ZipInfo("placeholder")
    member.filename = member.orig_filename = name
    return member


def zip_link():
    member = zipfile.ZipInfo("x/link")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


def tar_link(kind):
    member = tarfile.TarInfo("x/link")
    member.type, member.linkname = kind, "/etc/passwd"
    return member


OUTSIDE = ("../out.txt", "x/../../out.txt", "/tmp/out.txt")
LINKS = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("suffix", "member", "message"),
    [
        *(
            ("zip", zip_name(name), "could lead outside its folder")
            for name in (*OUTSIDE, "x\\..\\..\\out.txt", "C:out.txt", "x/a\0b")
        ),
        *(("tar.gz", name, "could lead outside its folder") for name in OUTSIDE),
        *(("tar.gz", tar_link(kind), "'x/link', a link or a device") for kind in LINKS),
        ("zip", zip_link(), "'x/link', a link or a device"),
        ("zip", "x/b/a", "'x/b/a' twice"),
        *((suffix, name, f"'{name}' twice") for suffix in ("zip", "tar.gz") for name in ("x/b/a/c", "x/b")),
        ("zip", "x/" + "n" * 300, "a name too long for this disk: 'x/nnn"),
    ],
)
def test_a_name_that_leads_outside_or_stands_twice_and_links_are_refused(tmp_path, suffix, member, message):
    (tmp_path / "inner").mkdir()
    content = b"" if isinstance(member, tarfile.TarInfo) else b"2"
    path = write_archive(tmp_path / "inner", suffix, ("x/b/a", b"1"), (member, content))
    with pytest.raises(ArchiveError, match=message):
        unpack([path], tmp_path / "inner" / "x", progress=False)
    assert visible(tmp_path / "inner") == [path.name]
    assert visible(tmp_path) == ["inner"]


# whole or not at all


@pytest.mark.parametrize("suffix", ["zip", "tar.gz"])
def test_the_top_folder_becomes_the_folder_and_what_lies_beside_it_is_left_out(tmp_path, suffix):
    path = write_archive(tmp_path, suffix, ("x/a.txt", b"1"), ("x/deep/b.txt", b"2"), ("__MACOSX/._a", b"3"))
    unpack([path], tmp_path / "x", progress=False)
    assert contents(tmp_path / "x") == {"a.txt": b"1", os.path.join("deep", "b.txt"): b"2"}
    assert visible(tmp_path) == [f"a.{suffix}", "x"]


def test_a_folder_that_is_there_is_kept(tmp_path):
    (tmp_path / "x").mkdir()
    unpack([tmp_path / "nowhere.zip"], tmp_path / "x", progress=False)
    assert visible(tmp_path) == ["x"]


def test_what_a_killed_run_left_is_deleted(tmp_path):
    path = write_archive(tmp_path, "zip", ("x/a.txt", b"1"))
    (tmp_path / ".x.unpacking" / "x").mkdir(parents=True)
    (tmp_path / ".x.unpacking" / "x" / "half").touch()
    unpack([path], tmp_path / "x", progress=False)
    assert contents(tmp_path / "x") == {"a.txt": b"1"}


def test_another_top_folder_is_named(tmp_path):
    path = write_archive(tmp_path, "zip", ("y/a.txt", b"1"))
    with pytest.raises(ArchiveError, match="holds no folder x, but y"):
        unpack([path], tmp_path / "x", progress=False)
    assert visible(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("suffix", ["zip", "tar.gz"])
def test_a_damaged_or_cut_archive_leaves_nothing(tmp_path, suffix):
    path = write_archive(tmp_path, suffix, ("x/a", np.random.default_rng(0).bytes(100_000)), ("x/b", b"2"))
    content = bytearray(path.read_bytes())
    content[50_000] ^= 255
    for bad in (content, content[:50_000], b""):
        path.write_bytes(bad)
        with pytest.raises(ArchiveError, match=r"is damaged .*delete it, fetch again"):
            unpack([path], tmp_path / "x", progress=False)
        assert visible(tmp_path) == [f"a.{suffix}"]


def zip_of(offset=None, name=b"x/a"):
    """A zip of one entry, but for what its directory says of it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("x/a", b"1")
    content = bytearray(content.getvalue())
    directory, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    content[directory + 28 : directory + 30] = len(name).to_bytes(2, "little")
    content[directory + 46 : end] = name
    if offset is not None:
        at = content.index(b"PK\x05\x06") + 16
        content[at : at + 4] = offset.to_bytes(4, "little")
    return bytes(content)


def tar_of(**headers):
    member, content = tarfile.TarInfo("x/a"), io.BytesIO()
    member.pax_headers = headers
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.addfile(member)
    return content.getvalue()


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        ("zip", b"<html>Log in</html>"),
        ("tar.gz", b"<html>Log in</html>"),
        ("zip", zip_of(offset=2**32 - 1)),
        ("zip", zip_of(name=b"")),
        ("tar.gz", tar_of(**{"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})),
        ("tar.gz", tar_of(size="9" * 30)),
    ],
)
def test_a_directory_or_a_header_that_lies_is_damage(tmp_path, suffix, content):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"is damaged .*delete it, fetch again"):
        unpack([path], tmp_path / "x", progress=False)
    assert visible(tmp_path) == [path.name]


@pytest.mark.parametrize("seed", range(100))
def test_changed_bytes_are_damage_or_leave_a_whole_folder(tmp_path, seed):
    rng = np.random.default_rng(seed)
    content, path = bytearray(zip_of()), tmp_path / "a.zip"
    for at in rng.integers(len(content), size=rng.integers(1, 5)):
        content[at] = rng.integers(256)
    path.write_bytes(content)
    try:
        unpack([path], tmp_path / "x", progress=False)
    except ArchiveError:
        assert visible(tmp_path) == ["a.zip"]
    else:
        assert set(contents(tmp_path / "x").values()) <= {b"1"}


def test_too_little_space_is_told_with_both_numbers_before_a_byte_is_written(tmp_path, monkeypatch):
    path = write_archive(tmp_path, "zip", ("x/a", bytes(5_000_000)))
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: SimpleNamespace(free=4_000_000))
    with pytest.raises(OSError, match=r"to unpack a.zip takes 0.01 GB, but the disk of .* has 0.00 GB free"):
        unpack([path], tmp_path / "x", progress=False)
    assert visible(tmp_path) == ["a.zip"]


def test_a_disk_that_fills_up_meanwhile_leaves_nothing(tmp_path, monkeypatch):
    path = write_archive(tmp_path, "zip", ("x/a", b"1"), ("x/b", b"2"))
    members = archives._zip_members

    def filling_up(parts):
        for i, member in enumerate(members(parts)):
            if i:
                raise OSError(errno.ENOSPC, "No space left on device")
            yield member

    monkeypatch.setattr(archives, "_zip_members", filling_up)
    with pytest.raises(OSError, match=r"the disk is full: .*: a\.zip is kept"):
        unpack([path], tmp_path / "x", progress=False)
    assert visible(tmp_path) == ["a.zip"]


def long_header(kind):
    """Tar of one entry, whose name or extended header would take 64 MB of memory."""
    about = tarfile.TarInfo("a/x")
    about.type = kind
    return about, bytes(1 << 26)


@pytest.mark.parametrize(
    ("suffix", "members", "reason"),
    [
        ("tar.gz", [("a/x", bytes(1 << 20))], "has 0.0 MB, and would take . MB or more: not unpacked"),
        ("zip", [("a/x", bytes(1 << 20))], "has 0.0 MB, and would take . MB or more: not unpacked"),
        ("tar.gz", [("a/" + "d/" * 1900 + "x", b"x")], "more than 50 folders deep"),
        ("zip", [("a/" + "d/" * 1900 + "x", b"x")], "more than 50 folders deep"),
        ("zip", [("a/\x1b[31mx", b"x")], "signs that no text has"),
        *(
            ("tar.gz", [long_header(kind)], "is damaged .*has 67108864 bytes")
            for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME)
        ),
    ],
)
def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch, suffix, members, reason):
    monkeypatch.setattr(archives, "FREE_BYTES", 10_000)
    if suffix == "zip":
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members:
                archive.writestr(name, content)
    else:
        path = write_archive(tmp_path, suffix, *members)
    with pytest.raises(ArchiveError, match=reason):
        unpack([path], tmp_path / "a", progress=False)
    assert visible(tmp_path) == [path.name]


def test_a_gzip_that_goes_on_behind_its_tar_is_not_read_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "FREE_BYTES", 10_000)
    path = write_archive(tmp_path, "tar.gz", ("a/x", b"x"))
    with path.open("ab") as file, gzip.open(file, "wb") as more:
        more.write(bytes(1 << 25))
    with pytest.raises(ArchiveError, match="would take"):
        unpack([path], tmp_path / "a", progress=False)
    assert visible(tmp_path) == [path.name]
