"""The whole way of a known collection, from a server on this machine to a dataset: FSD50K's small replica."""

import dataclasses
import functools
import hashlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import lay_esc10
import numpy as np
import pandas as pd
import pytest
import soundfile
from webserver import Site

from sss_lib import dataset
from sss_lib.__main__ import main
from sss_lib.dataset import DatasetError, known
from sss_lib.dataset.known import collection, esc50, fsd50k, mapped, urbansound8k
from sss_lib.dataset.known.collection import Expected
from sss_lib.io import archives, download
from sss_lib.io.download import FetchError

REPLICA = Path(__file__).parent.parent / "data" / "fsd50k"
EVAL_FILES = [
    *("FSD50K.eval_audio.z01", "FSD50K.eval_audio.zip", "FSD50K.ground_truth.zip"),
    *("FSD50K.metadata.zip", "FSD50K.doc.zip"),
]
LABELS = "Music Musical_instrument Plucked_string_instrument Guitar Electric_guitar Animal"
SIZES = dict.fromkeys(f"{LABELS} Domestic_animals_and_pets Dog Bark Rain Water".split(), 2)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A server that has the replica's files, and the catalogue with its addresses, digests and numbers."""
    monkeypatch.setenv("no_proxy", "*")
    site = Site()
    site.files = tmp_path / "server"
    shutil.copytree(REPLICA, site.files)

    def served(part):
        path = site.files / part.file
        url = f"{site.url.rpartition('/')[0]}/{part.file}?download=1"
        return collection.Part(url, hashlib.md5(path.read_bytes()).hexdigest(), path.stat().st_size)

    for name, expected in (("fsd50k", Expected(6, 11, 22, SIZES)), ("fsd50k-dev", Expected(13, 11, 49))):
        changed = tuple(
            dataclasses.replace(
                archive,
                parts=tuple(map(served, archive.parts)),
                n_unpacked_bytes=400_000 if "audio" in archive.folder else 0,
            )
            for archive in known.CATALOGUE[name].archives
        )
        change(monkeypatch, name, archives=changed, expected=lambda e=expected: e)
    options = {"allow_http": True, "backoff_s": 0}
    monkeypatch.setattr(collection.download, "fetch", functools.partial(download.fetch, **options))
    yield site
    site.close()


def change(monkeypatch, name, **about):
    """Change what the catalogue says of a collection."""
    monkeypatch.setitem(known.CATALOGUE, name, dataclasses.replace(known.CATALOGUE[name], **about))


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def root(data_dir):
    return data_dir / "fsd50k"


@pytest.fixture
def fetched(site, data_dir, root):
    """The folder of a copy that has been fetched; what the server was asked for until then is forgotten."""
    dataset.fetch("fsd50k", data_dir, progress=False)
    for asked in (site.requests, site.asked_for):
        asked.clear()
    return root


@pytest.fixture
def free(monkeypatch):
    """Return a function that sets how many bytes the disk has free."""

    def of(n_bytes):
        monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: SimpleNamespace(free=n_bytes))

    return of


def names(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.fixture
def verify(data_dir, capsys):
    """Return a function that verifies the copy, and returns the exit code and what was printed."""

    def of():
        capsys.readouterr()
        code = main(["verify", "fsd50k", "--data-dir", str(data_dir)])
        return code, "".join(capsys.readouterr())

    return of


# FSD50K


def test_a_new_user_gets_eval_by_its_name(site, data_dir, root):
    found = dataset.load("fsd50k", data_dir)
    assert found.name == "fsd50k"
    assert found.clips["fname"].tolist() == ["37199", "175151", "99", "1277", "865", "908"]
    assert found.clips["labels"][2] == ["Bark", "Dog", "Domestic_animals_and_pets", "Animal"]
    assert found.class_sizes().to_dict() == SIZES
    assert found.families["Bark"] == "Animal"
    assert set(found.clips["split"]) == {"eval"}
    row = found.clips.iloc[2]
    assert (row["uploader"], row["licence"], row["title"]) == ("çem", "CC-BY-NC-3.0", "Bark 2.wav")
    assert row["tags"] == "noise,bark"
    assert Path(row["path"]) == root / "FSD50K.eval_audio" / "99.wav"
    wave, rate_hz = soundfile.read(row["path"])
    assert (len(wave), rate_hz) == (13230, 44100)
    folders = ["FSD50K.doc", "FSD50K.eval_audio", "FSD50K.ground_truth", "FSD50K.metadata"]
    assert names(root) == [*folders, "archives"]
    assert site.asked_for == [f"{name}?download=1" for name in EVAL_FILES]
    assert [path for path in root.rglob(".*") if not path.name.endswith(".lock")] == []
    n, before = len(site.requests), (root / "FSD50K.eval_audio").stat().st_mtime_ns
    dataset.load("fsd50k", data_dir)
    dataset.fetch("fsd50k", data_dir)
    assert len(site.requests) == n
    assert (root / "FSD50K.eval_audio").stat().st_mtime_ns == before


def test_labels_come_without_the_audio_and_the_rest_comes_later(site, data_dir, root, capsys):
    again = ["data", "fsd50k", "--data-dir", str(data_dir), "--labels"]
    assert main(again) == 0
    assert "the labels of FSD50K eval are in" in capsys.readouterr().out
    assert site.asked_for == ["FSD50K.ground_truth.zip?download=1"]
    assert names(root) == ["FSD50K.ground_truth", "archives"]
    found = fsd50k.labelled(root / "FSD50K.ground_truth" / "eval.csv")
    assert found.class_sizes().to_dict() == SIZES
    assert found.clips["fname"].tolist() == ["37199", "175151", "99", "1277", "865", "908"]
    assert main(again) == 0  # nothing is left to fetch
    assert len(site.asked_for) == 1
    with pytest.raises(DatasetError, match=r"lacks FSD50K\.eval_audio, FSD50K\.metadata, FSD50K\.doc"):
        dataset.inspect("fsd50k", data_dir)
    assert main(["data", "fsd50k", "--data-dir", str(data_dir)]) == 0
    assert sorted(site.asked_for) == sorted(f"{name}?download=1" for name in EVAL_FILES)
    assert len(dataset.load("fsd50k", data_dir)) == 6


@pytest.mark.parametrize("name", ["esc50", "urbansound8k", "mini"])
def test_labels_that_are_packed_with_the_audio_do_not_come_alone(name, data_dir, capsys):
    assert main(["data", name, "--data-dir", str(data_dir), "--labels"]) == 2
    assert "has no labels without its audio: leave out LABELS" in capsys.readouterr().err


def test_dev_has_its_own_audio_and_split_and_shares_the_tables(site, fetched, data_dir):
    dev = dataset.load("fsd50k-dev", data_dir)
    assert (dev.name, len(dev)) == ("fsd50k-dev", 13)
    assert dev.clips["split"].value_counts().to_dict() == {"train": 7, "val": 6}
    parts = ["z01", "z02", "z03", "z04", "z05", "zip"]
    assert site.asked_for == [f"FSD50K.dev_audio.{part}?download=1" for part in parts]


def test_what_is_to_come_is_told_before_it_comes(site, data_dir, capsys):
    dataset.fetch("fsd50k", data_dir)
    out, err = capsys.readouterr()
    assert "FSD50K eval: 5 files, 0.00 GB to download and 0.00 GB unpacked, into" in out
    assert "Licence: CC BY 4.0; each clip CC0" in out
    assert "FSD50K.eval_audio.z01: 100%" in err
    assert "unpacking FSD50K.eval_audio.zip: 100%" in err


def test_a_broken_connection_is_resumed_by_the_same_run_or_the_next(site, data_dir, root):
    site.breaks = [1 << 16, 0, 0, 0, 0]
    with pytest.raises(FetchError, match=r"FSD50K\.eval_audio\.z01.*, part of FSD50K eval, could not"):
        dataset.load("fsd50k", data_dir)
    assert site.requests[1]["Range"] == f"bytes={1 << 16}-"
    assert names(root) == ["archives"]
    site.breaks.clear()
    site.requests.clear()
    assert len(dataset.load("fsd50k", data_dir)) == 6
    assert site.requests[0]["Range"] == f"bytes={1 << 16}-"
    assert 98304 - (1 << 16) in site.served


def test_a_part_with_another_md5_is_deleted_and_nothing_is_unpacked(site, data_dir, root):
    content = bytearray((site.files / EVAL_FILES[1]).read_bytes())
    content[100] ^= 1
    (site.files / EVAL_FILES[1]).write_bytes(content)
    with pytest.raises(ValueError, match=r"FSD50K\.eval_audio\.zip.* has md5 \w{32}, not \w{32}: what came"):
        dataset.load("fsd50k", data_dir)
    assert names(root) == ["archives"]
    assert names(root / "archives") == ["FSD50K.eval_audio.z01", "checked.json"]


def test_a_part_that_the_server_has_not_is_named_and_the_rest_is_kept(site, data_dir):
    (site.files / EVAL_FILES[1]).rename(site.files / "away")
    with pytest.raises(FetchError, match=r"FSD50K\.eval_audio\.zip\?download=1, part of .*404.*by hand"):
        dataset.load("fsd50k", data_dir)
    (site.files / "away").rename(site.files / EVAL_FILES[1])
    site.asked_for.clear()
    dataset.load("fsd50k", data_dir)
    assert site.asked_for == [f"{name}?download=1" for name in EVAL_FILES[1:]]


def test_parts_put_there_by_hand_are_checked_and_used(site, data_dir, root):
    shutil.copytree(REPLICA, root / "archives")
    dataset.load("fsd50k", data_dir)
    assert site.requests == []
    shutil.rmtree(root / "FSD50K.eval_audio")
    (root / "archives" / EVAL_FILES[0]).write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"FSD50K\.eval_audio\.z01 has 14 bytes, not 98304: delete it"):
        dataset.load("fsd50k", data_dir)


def test_a_part_is_hashed_once_unless_it_changes(fetched, data_dir, monkeypatch):
    shutil.rmtree(fetched / "FSD50K.eval_audio")
    monkeypatch.setattr(download, "digest_of", lambda *_: pytest.fail("hashed"))
    dataset.fetch("fsd50k", data_dir)
    assert (fetched / "FSD50K.eval_audio").is_dir()


@pytest.mark.parametrize("is_recorded", [True, False])
def test_too_little_space_is_told_before_anything_comes(site, data_dir, free, monkeypatch, is_recorded):
    """A size that isn't recorded is asked of the server."""
    if not is_recorded:
        unsized = tuple(
            dataclasses.replace(a, parts=tuple(dataclasses.replace(p, n_bytes=None) for p in a.parts))
            for a in known.CATALOGUE["fsd50k"].archives
        )
        change(monkeypatch, "fsd50k", archives=unsized)
    free(560_493)  # a byte less than 160,494 + 400,000
    with pytest.raises(OSError, match=r"to fetch FSD50K eval takes 0.00 GB, but .* has 0.00 GB free"):
        dataset.load("fsd50k", data_dir)
    assert site.requests == []
    free(560_494)
    dataset.load("fsd50k", data_dir)


def test_only_what_is_missing_needs_space(fetched, data_dir, free, capsys):
    shutil.rmtree(fetched / "FSD50K.metadata")
    free(100_000)  # the audio has 400,000
    capsys.readouterr()
    dataset.fetch("fsd50k", data_dir)
    assert "0 files, 0.00 GB to download and 0.00 GB unpacked" in capsys.readouterr().out


def test_a_size_that_no_server_tells_is_counted_by_its_lower_bound(tmp_path, monkeypatch, free, capsys):
    monkeypatch.setattr(download, "size_of", lambda *_: None)
    free(30_000_000_000)  # 25.5 GB unpacked
    with pytest.raises(OSError, match=r"to fetch FSD50K dev takes 41\.6\d GB, but .* has 30\.00 GB free"):
        dataset.fetch("fsd50k-dev", tmp_path)
    free(50_000_000_000)
    monkeypatch.setattr(download, "fetch", lambda *_, **__: (_ for _ in ()).throw(FetchError("no")))
    with pytest.raises(FetchError, match="no"):
        dataset.fetch("fsd50k-dev", tmp_path)
    out = capsys.readouterr().out
    assert "9 files, at least (9 of unknown size) 16.11 GB to download and 25.53 GB unp" in out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the file that is always full")
def test_a_full_disk_while_a_part_comes_is_told_and_the_part_is_kept(site, data_dir, root):
    (root / "archives").mkdir(parents=True)
    (root / "archives" / f"{EVAL_FILES[0]}.part").symlink_to("/dev/full")
    with pytest.raises(FetchError, match=r"the disk is full: .*archives has no room for FSD50K"):
        dataset.load("fsd50k", data_dir)
    assert len(site.requests) == 1
    assert names(root) == ["archives"]


def test_what_a_killed_run_left_unpacked_is_deleted_before_space_is_asked_for(
    site, data_dir, root, monkeypatch
):
    left = root / ".FSD50K.eval_audio.unpacking"
    left.mkdir(parents=True)
    (left / "much").touch()

    def usage(_):
        return SimpleNamespace(free=0 if (left / "much").exists() else 10**9)

    monkeypatch.setattr(archives.shutil, "disk_usage", usage)
    dataset.fetch("fsd50k", data_dir)
    left.mkdir()
    dataset.fetch("fsd50k", data_dir)  # nothing is missing
    assert not left.exists()


def test_the_parts_can_be_deleted_once_they_are_unpacked(site, data_dir, root, capsys, verify):
    assert main(["data", "fsd50k", "--data-dir", str(data_dir), "--delete-parts"]) == 0
    assert "`make verify DATASET=fsd50k` says" in capsys.readouterr().out
    assert names(root / "archives") == ["checked.json"]
    code, out = verify()
    assert code == 0
    assert "FSD50K.eval_audio.z01 (was right when unpacked)" in out


def test_the_command_lists_what_is_known_and_refuses_the_rest(capsys):
    assert main(["data"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(dataset.KNOWN)
    assert main(["data", "fsd5k"]) == 2
    assert "'fsd5k' is not among the known datasets: did you mean 'fsd50k'" in capsys.readouterr().err


def test_the_command_says_what_went_wrong_in_a_line(site, data_dir, capsys):
    site.statuses = [404]
    assert main(["data", "fsd50k", "--data-dir", str(data_dir)]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert line.endswith(f"put the file at {data_dir / 'fsd50k/archives/FSD50K.eval_audio.z01'} by hand")


def test_looking_fetches_nothing(site, data_dir, root):
    with pytest.raises(DatasetError, match=r"fsd50k.*does not exist.*make data DATASET=fsd50k"):
        dataset.inspect("fsd50k", data_dir)
    root.mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"lacks FSD50K\.eval_audio, .*run `make data DATASET=fsd50k`"):
        dataset.inspect("fsd50k", data_dir)
    assert site.requests == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"is not JSON"),
        ("[]", "doesn't say of each clip"),
        ('{"99": null}', "doesn't say of each clip"),
        ('{"99": {"uploader": "ann"}}', r"5 clips have no metadata \('37199', '175151', '1277', \.\.\.\)"),
        (None, "does not exist: fetch"),
    ],
)
def test_metadata_that_are_missing_or_damaged_are_named(fetched, data_dir, text, message):
    info = fetched / "FSD50K.metadata" / "eval_clips_info_FSD50K.json"
    info.write_text(text) if text else info.unlink()
    whole = message if "clips have" in message else rf"eval_clips_info_FSD50K\.json {message}"
    with pytest.raises(DatasetError, match=whole):
        dataset.load("fsd50k", data_dir)


def test_metadata_may_be_null(fetched, data_dir):
    info = fetched / "FSD50K.metadata" / "eval_clips_info_FSD50K.json"
    about = json.loads(info.read_text("utf-8"))
    about["99"] = dict.fromkeys(about["99"])
    info.write_text(json.dumps(about), "utf-8")
    row = dataset.load("fsd50k", data_dir).clips.iloc[2]
    assert row[["fname", "uploader", "licence", "title", "tags"]].tolist() == ["99", "", "", "", ""]


def test_a_copy_without_the_pages_about_it_is_good(site, fetched, data_dir, verify):
    for name in ("FSD50K.doc", "archives"):
        shutil.rmtree(fetched / name)
    assert len(dataset.load("fsd50k", data_dir)) == 6
    assert verify()[0] == 0
    assert site.asked_for == []


@pytest.mark.parametrize("text", ["[]", "{", '{"FSD50K.eval_audio.z01": []}'])
def test_damaged_notes_on_the_parts_are_told(fetched, data_dir, text, verify, capsys):
    (fetched / "archives" / "checked.json").write_text(text)
    code, out = verify()
    assert code == 1
    assert "checked.json is damaged" in out
    shutil.rmtree(fetched / "FSD50K.metadata")
    assert main(["data", "fsd50k", "--data-dir", str(data_dir)]) == 2
    assert "checked.json is damaged" in capsys.readouterr().err


# verification of it


def test_a_whole_copy_is_called_whole(fetched, verify):
    code, out = verify()
    assert code == 0
    for says in (
        "fsd50k: 6 clips of FSD50K eval (https://zenodo.org/records/4060432; CC BY 4.0",
        "ok    parts       5 of 5 have the published md5",
        "ok    unpacked    all 6 files of FSD50K.eval_audio.zip as they are in it",
        *("ok    clips       6", "ok    classes     11", "ok    labels      22"),
        "ok    class sizes all 11 as published",
        "ok    decoding    all 6 clips",
        "Result: whole",
    ):
        assert says in out


def test_everything_that_is_wrong_is_in_one_report(fetched, verify):
    audio, table = fetched / "FSD50K.eval_audio", fetched / "FSD50K.ground_truth" / "eval.csv"
    (audio / "865.wav").unlink()
    (audio / "908.wav").write_bytes((audio / "908.wav").read_bytes()[:1000])
    (audio / "other.wav").write_bytes((audio / "99.wav").read_bytes())
    table.write_text(table.read_text().replace('1277,"Bark', '1277,"Barks'))
    (fetched / "archives" / EVAL_FILES[2]).write_bytes(b"else")
    code, out = verify()
    assert code == 1
    for says in (
        *("WRONG parts       ", "has 4 bytes, not "),
        "2 files are not those of FSD50K.eval_audio.zip; delete",
        "FSD50K.ground_truth.zip is damaged",
        *("1 clips have no file in", "1 files are absent from"),
        "1 labels are outside the vocabulary of 200 classes. Barks: did you mean 'Bark'?",
        *("WRONG clips       5, not 6", "WRONG classes     12, not 11", "WRONG labels      20, not 22"),
        "WRONG class sizes 4 classes differ: Bark has 1 clips, not 2; Barks has 1 clips, not 0; Rain has 1",
        "908.wav is cut short",
    ):
        assert says in out, says
    assert "\nResult: 11 of 24 checks found something WRONG\n" in out


def test_a_clip_in_place_of_another_is_wrong_though_it_decodes(fetched, verify):
    path = fetched / "FSD50K.eval_audio" / "99.wav"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    code, out = verify()
    assert code == 1
    assert "WRONG unpacked    1 files are not those of FSD50K.eval_audio.zip" in out
    shutil.rmtree(fetched / "archives")  # nothing is left to compare with
    assert verify()[0] == 0


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"hours": 27.9, "rate_hz": 44100, "n_channels": 1}, "WRONG hours       0.0, not 27.9"),
        (
            {"rate_hz": 48000},
            "WRONG formats     6 clips have not 48,000 Hz: 37199, 175151, 99, 1277, 865, and",
        ),
        ({"n_channels": 2}, "WRONG formats     6 clips have not 2 channels"),
    ],
)
def test_audio_of_another_length_or_form_than_published_is_wrong(fetched, monkeypatch, verify, about, says):
    change(monkeypatch, "fsd50k", expected=lambda: Expected(6, 11, 22, SIZES, **about))
    code, out = verify()
    assert code == 1
    assert says in out
    assert "Result: 1 of" in out


def test_a_copy_that_is_not_there_has_its_own_exit_code(site, data_dir, root, verify):
    code, out = verify()
    assert code == 2
    assert "make data DATASET=fsd50k" in out
    dataset.fetch("fsd50k", data_dir)
    shutil.rmtree(root / "FSD50K.metadata")
    code, out = verify()
    assert code == 1
    for says in ("ok    parts       5 of 5", "WRONG tables", "lacks FSD50K.metadata"):
        assert says in out


# the published facts


def test_the_record_of_fsd50k_is_that_of_zenodo():
    record = known.CATALOGUE["fsd50k"]
    expected = record.expected()
    assert (expected.n_clips, expected.n_classes, expected.n_labels) == (10231, 200, 38596)
    assert sum(expected.class_sizes.values()) == 38596  # the table beside agrees with the paper
    assert len(expected.class_sizes) == 200
    (audio, *_) = record.archives
    assert [part.n_bytes for part in audio.parts] == [3221225472, 3037675767]
    for name in ("fsd50k", "fsd50k-dev", "urbansound8k"):
        for archive in known.CATALOGUE[name].archives:
            for part in archive.parts:
                assert part.url.startswith("https://zenodo.org/records/")
                assert len(part.md5) == 32
                assert part.file.endswith((".zip", ".gz", ".z01", ".z02", ".z03", ".z04", ".z05"))


def test_a_licence_is_called_by_its_short_name():
    base = "http://creativecommons.org/"
    named = {
        "licenses/by/3.0/": "CC-BY-3.0",
        "licenses/by-nc/4.0/": "CC-BY-NC-4.0",
        "licenses/sampling+/1.0/": "CC-SAMPLING+-1.0",
        "publicdomain/zero/1.0/": "CC0-1.0",
    }
    assert [fsd50k.licence_name(base + path) for path in named] == list(named.values())
    assert fsd50k.licence_name("all rights reserved") == "all rights reserved"


# ESC-50 and UrbanSound8K


@pytest.fixture
def esc50_copy(data_dir):
    """Three clips in ESC-50's form."""
    top = data_dir / "esc50" / "ESC-50-master"
    (top / "audio").mkdir(parents=True)
    (top / "meta").mkdir()
    rows = [
        "1-100032-A-0.wav,1,0,dog,True,100032,A",
        "1-34119-A-1.wav,1,1,rooster,True,34119,A",
        "2-141584-A-38.wav,2,38,clock_tick,True,141584,A",
        "3-1-A-29.wav,3,29,drinking_sipping,False,1,A",
    ]
    text = "\n".join(["filename,fold,target,category,esc10,src_file,take", *rows])
    (top / "meta" / "esc50.csv").write_text(text)
    for row in rows:
        soundfile.write(top / "audio" / row.partition(",")[0], np.full(100, 0.1), 44100)
    return top


def test_esc50_reads_in_the_words_of_fsd50k(esc50_copy, data_dir):
    found = dataset.load("esc50", data_dir)
    assert found.clips["fname"].tolist() == ["1-100032-A-0", "1-34119-A-1", "2-141584-A-38", "3-1-A-29"]
    assert found.clips["labels"].tolist() == [
        ["Dog", "Domestic_animals_and_pets", "Animal"],
        [
            *("Rooster", "Chicken_and_rooster", "Fowl"),
            *("Livestock_and_farm_animals_and_working_animals", "Animal"),
        ],
        ["Tick-tock", "Clock", "Mechanisms"],
        ["Drinking_and_sipping"],
    ]
    assert found.families["Rooster"] == found.families["Dog"] == "Animal"
    assert found.families["Drinking_and_sipping"] == "Human_sounds"
    assert found.clips["split"].tolist() == ["fold1", "fold1", "fold2", "fold3"]
    assert found.clips["licence"].tolist() == ["CC-BY-3.0"] * 3 + ["CC-BY-NC-3.0"]
    assert found.clips["src_file"].tolist() == ["100032", "34119", "141584", "1"]


def test_the_licence_file_says_who_recorded_a_clip(esc50_copy, data_dir):
    """Lines as the collection's LICENSE has them; a clip that it lacks keeps the licence of the set."""
    (esc50_copy / "LICENSE").write_text(
        "101 - Dog:\n"
        "- [1-100032-A.ogg]: clip derived from rose (bark) [2].wav (http://www.freesound.org/people/nfrae/"
        "sounds/100032/) by nfrae [CC0]\n"
        "- [1-34119-A.wav]:  clip derived from cock.wav (http://www.freesound.org/people/Bobby%20Beck/sounds/"
        "34119/) by Bobby Beck [CC-Sampling+]\n"
    )
    clips = dataset.load("esc50", data_dir).clips
    assert clips["uploader"].tolist() == ["nfrae", "Bobby Beck", "", ""]
    assert clips["licence"].tolist() == ["CC0", "CC-Sampling+", "CC-BY-3.0", "CC-BY-NC-3.0"]
    assert clips["title"].tolist() == ["rose (bark) [2].wav", "cock.wav", "", ""]
    assert clips["source"][0] == "http://www.freesound.org/people/nfrae/sounds/100032/"


def test_esc10_is_the_freer_part_of_esc50(esc50_copy, data_dir):
    whole, part = dataset.load("esc50", data_dir), dataset.load("esc10", data_dir)
    assert part.name == "esc10"
    assert part.clips["fname"].tolist() == whole.clips["fname"].tolist()[:3]
    assert part.clips["labels"].tolist() == whole.clips["labels"].tolist()[:3]
    (esc50_copy / "audio" / "stranger.wav").touch()
    with pytest.raises(DatasetError, match=r"1 files are absent from .*esc50.csv.*stranger"):
        dataset.load("esc10", data_dir)
    assert esc50._expected(only_esc10=True).n_clips == 400


@pytest.mark.skipif(
    not lay_esc10.OWN_COPY.is_dir(), reason=f"no clips of ESC-10 in {lay_esc10.OWN_COPY}: nothing to read"
)
def test_the_real_clips_of_esc10_are_those_expected(tmp_path):
    lay_esc10.lay(lay_esc10.OWN_COPY, tmp_path)
    found, right = dataset.load("esc10", tmp_path), esc50._expected(only_esc10=True)
    sizes = dict(zip(found.labels, found.label_matrix.sum(0).tolist(), strict=True))
    assert (len(found), sizes) == (right.n_clips, right.class_sizes)
    assert found.clips["uploader"].nunique() == 248
    assert found.clips["licence"].value_counts().to_dict() == {"CC0": 233, "CC-BY": 165, "CC-Sampling+": 2}
    assert found.clips["source"].nunique() == 304
    assert set(found.clips["split"]) == {f"fold{i}" for i in range(1, 6)}


def test_a_category_that_the_table_lacks_is_named(esc50_copy, data_dir):
    table = esc50_copy / "meta" / "esc50.csv"
    table.write_text(table.read_text().replace("rooster", "ostrich"))
    with pytest.raises(DatasetError, match=r"esc50_classes.csv has no line for the categories ostrich"):
        dataset.load("esc50", data_dir)


def test_a_table_of_another_form_is_told_with_its_columns(esc50_copy, data_dir):
    table = esc50_copy / "meta" / "esc50.csv"
    table.write_text(table.read_text().replace("filename,", "file,"))
    with pytest.raises(DatasetError, match=r"esc50\.csv has columns file, fold, .*, but no 'filename'"):
        dataset.load("esc50", data_dir)


def test_urbansound8k_reads_from_its_folds(data_dir):
    top = data_dir / "urbansound8k" / "UrbanSound8K"
    (top / "metadata").mkdir(parents=True)
    rows = ["100032-3-0-0.wav,100032,0.0,0.317551,1,5,3,dog_bark", "7061-6-0-0.wav,7061,0,4,1,10,6,gun_shot"]
    rows.append("5-9-0-0.wav,5,0,4,2,1,9,street_music")
    header = "slice_file_name,fsID,start,end,salience,fold,classID,class"
    (top / "metadata" / "UrbanSound8K.csv").write_text("\n".join([header, *rows]))
    for row in rows:
        file, fold = row.split(",")[0], row.split(",")[5]
        (top / "audio" / f"fold{fold}").mkdir(parents=True)
        soundfile.write(top / "audio" / f"fold{fold}" / file, np.full(100, 0.1), 44100)
    (top / "audio" / "fold1" / ".DS_Store").touch()
    found = dataset.load("urbansound8k", data_dir)
    assert found.clips["labels"].tolist() == [
        ["Bark", "Dog", "Domestic_animals_and_pets", "Animal"],
        ["Gunshot_and_gunfire", "Explosion"],
        ["Street_music", "Music"],
    ]
    assert Path(found.clips["path"][1]).parent.name == "fold10"
    assert found.clips["fsID"].tolist() == ["100032", "7061", "5"]
    assert found.families["Street_music"] == "Music"


@pytest.mark.parametrize(
    ("module", "n", "n_clips"), [(esc50, 50, 2000), (urbansound8k, 10, 8732)], ids=["ESC-50", "UrbanSound8K"]
)
def test_a_table_of_classes_is_whole_and_consistent(module, n, n_clips):
    table = pd.read_csv(module.CLASSES, keep_default_na=False)
    classes = fsd50k.taxonomy()
    families = set(classes.families.values()) - {""}
    assert len(table) == table["category"].nunique() == table["label"].nunique() == n
    assert set(table["relation"]) <= {"same", "narrower", "absent"}
    for row in table.itertuples():
        assert (row.label in classes.parents) == (row.relation == "same"), row
        assert bool(row.parents) == (row.relation == "narrower"), row
        assert (row.family in families) == (row.relation != "same"), row
        if row.parents:
            assert classes.families[row.parents] in (row.family, ""), row
    everything = mapped.taxonomy(module.CLASSES)
    assert set(classes.parents) < set(everything.parents)
    expected = module._expected()
    leaves = {label: expected.class_sizes[label] for label in table["label"]}
    assert expected.n_clips == n_clips
    assert leaves["Siren"] == {50: 40, 10: 929}[n]
    assert expected.n_labels == sum(expected.class_sizes.values())


def test_the_page_on_the_classes_says_where_ancestors_are_lacking():
    classes = fsd50k.taxonomy()
    several = [label for label, family in classes.families.items() if not family]
    n_one = sum(len(classes.parents[label]) == 1 for label in several)
    page = " ".join((collection.ONTOLOGY_DIR / "README.md").read_text("utf-8").split())
    assert f"Of the {len(several)} classes that have several parents" in page
    assert f"{n_one} have one of them here and {len(several) - n_one} none" in page
    assert "Every clip gets all ancestors by the table above" in page


def test_the_sizes_of_an_ancestor_are_those_of_all_below_it():
    expected = esc50._expected()
    assert expected.class_sizes["Chicken_and_rooster"] == 80  # hen and rooster
    assert expected.class_sizes["Clock"] == 40
    assert sum(urbansound8k.SIZES.values()) == 8732
