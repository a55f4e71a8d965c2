"""Clips in every layout: folders, tables, archives."""

import io
import json
import tarfile
import zipfile

import pytest
from sounds import write_noise

from rnnkit.data.audio import audio_info, read_clips
from rnnkit.errors import ConfigError, DataError


def known(clips):
    return [(clip.id, clip.text, clip.label, clip.speaker) for clip in clips]


def test_folder_a_label(folder):
    for name in ("no/b.wav", "no/a.wav", "yes/deep/c.wav", "_background_noise_/rain.wav", ".hidden/x.wav"):
        write_noise(folder / name)
    (folder / "README.md").write_text("about")
    clips = read_clips(folder)
    assert clips.layout == "labels"
    assert known(clips) == [("no/a", None, "no", None), ("no/b", None, "no", None), ("yes/deep/c", None, "yes", None)]
    assert (clips[0].start, clips[0].seconds, clips[0].rate) == (0, 0.5, 8000)
    assert clips.findings == ()


def test_folder_around_the_labels(folder):
    for name in ("set/a/1.wav", "set/b/1.wav"):
        write_noise(folder / name)
    assert read_clips(folder).labels == ("a", "b")


def test_a_file_with_its_text_beside_it(folder):
    write_noise(folder / "a.wav")
    assert known(read_clips(folder / "a.wav")) == [("a", None, None, None)]
    (folder / "a.lab").write_text("turn\nleft\n")
    assert known(read_clips(folder / "a.wav")) == [("a", "turn left", None, None)]
    assert known(read_clips(folder / "a.wav", layout="plain")) == [("a", None, None, None)]


def test_names_of_speech_commands(folder):
    for name in (
        "up/8a28231e_nohash_0.wav",
        "up/8a28231e_nohash_1.wav",
        "down/0ab3b47d_nohash_0.wav",
        "_background_noise_/rain.wav",
    ):
        write_noise(folder / name)
    assert read_clips(folder).speakers == ("0ab3b47d", "8a28231e")


def test_digits(folder):
    for name in ("0_anna_0.wav", "10_anna_0.wav", "2_van_der_berg_11.wav"):
        write_noise(folder / "recordings" / name)
    clips = read_clips(folder)
    assert clips.layout == "digits"
    assert [(clip.label, clip.speaker) for clip in clips] == [("0", "anna"), ("2", "van_der_berg"), ("10", "anna")]
    write_noise(folder / "recordings" / "other.wav")
    assert read_clips(folder).layout == "plain"
    with pytest.raises(DataError, match=r"other\.wav: the name has not the form LABEL_SPEAKER_NUMBER; type layout="):
        read_clips(folder, layout="digits")


def test_transcripts_beside_the_files(folder):
    for name, text in (("anna/1", "hello\nworld\n"), ("ben/1", "早上好")):
        write_noise(folder / f"{name}.wav")
        (folder / f"{name}.txt").write_text(text, "utf-8")
    write_noise(folder / "ben/2.wav")
    write_noise(folder / "ben/3.wav")
    (folder / "ben/3.lab").write_text("")
    clips = read_clips(folder)
    assert clips.layout == "transcripts"
    assert known(clips) == [
        ("anna/1", "hello world", None, "anna"),
        ("ben/1", "早上好", None, "ben"),
        ("ben/2", None, None, "ben"),
        ("ben/3", "", None, "ben"),
    ]
    assert clips.findings == ("1 of 4 clips has an empty transcript: ben/3.", "1 of 4 clips has no transcript: ben/2.")


TABLES = {
    "a.csv": "path,sentence,client_id\na.wav,hello there,anna\nb.wav,bye,ben\n",
    "a.tsv": "client_id\tpath\tsentence\nanna\ta.wav\thello there\nben\tb.wav\tbye\n",
    "a.jsonl": '{"audio_filepath": "a.wav", "text": "hello there", "speaker": "anna"}\n'
    '{"audio_filepath": "b.wav", "text": "bye", "speaker": "ben"}\n',
    "a.json": '[{"file": "a.wav", "text": "hello there", "speaker": "anna"}, '
    '{"file": "b.wav", "text": "bye", "speaker": "ben"}]',
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("inner", ["", "clips", "wavs"])
def test_tables(folder, name, inner):
    for wav in ("a.wav", "b.wav"):
        write_noise(folder / inner / wav)
    (folder / name).write_text(TABLES[name])
    expected = [("a", "hello there", None, "anna"), ("b", "bye", None, "ben")]
    assert known(read_clips(folder / name)) == expected
    assert known(read_clips(folder)) == expected  # the only table of a folder
    assert read_clips(folder).layout == "table"


def test_columns_by_name(folder):
    write_noise(folder / "a.wav")
    (folder / "a.csv").write_text("where;said;kind;who\na.wav;hi;greeting;anna\n")
    with pytest.raises(DataError, match=r"which column holds the path\? The columns are 'where', .* type path_column="):
        read_clips(folder / "a.csv")
    columns = {"path_column": "where", "text_column": "said", "label_column": "kind", "speaker_column": "who"}
    assert known(read_clips(folder / "a.csv", **columns)) == [("a", "hi", "greeting", "anna")]
    with pytest.raises(DataError, match="has no column 'sayd'; did you mean 'said'"):
        read_clips(folder / "a.csv", path_column="where", text_column="sayd")


def test_pieces_of_a_file(folder):
    write_noise(folder / "a.wav", 2.0)
    (folder / "a.csv").write_text("path,text,start,end\na.wav,one,0,0.5\na.wav,two,0.5,1.25\na.wav,three,1.5,\n")
    clips = read_clips(folder / "a.csv")
    assert [(clip.start, clip.seconds, clip.end) for clip in clips] == [(0, 0.5, 0.5), (0.5, 0.75, 1.25), (1.5, 0.5, 2)]
    assert len({clip.id for clip in clips}) == 3
    whole = audio_info(folder / "a.wav")
    assert sum(len(clips.waveform(number).samples) for number in range(3)) == whole.frames - 2000
    (folder / "b.jsonl").write_text('{"audio_filepath": "a.wav", "offset": 0.5, "duration": 0.25, "text": "x"}\n')
    assert (read_clips(folder / "b.jsonl")[0].start, read_clips(folder / "b.jsonl")[0].seconds) == (0.5, 0.25)


def test_tables_without_a_header(folder):
    """LJSpeech: bars between the cells, quotation marks in the text, no suffix."""
    for name in ("LJ001-0001", "LJ001-0002"):
        write_noise(folder / "wavs" / f"{name}.wav")
    rows = 'LJ001-0001|"Printing, in 1 sense|"Printing, in one sense\nLJ001-0002|in being|in being\n'
    (folder / "metadata.csv").write_text(rows)
    expected = [("LJ001-0001", '"Printing, in 1 sense', None, None), ("LJ001-0002", "in being", None, None)]
    assert known(read_clips(folder)) == expected
    (folder / "metadata.csv").write_text("wavs/LJ001-0001.wav,hello\n")
    assert known(read_clips(folder)) == [("LJ001-0001", "hello", None, None)]


def test_paths_of_windows_and_records_with_other_fields(folder):
    write_noise(folder / "deep/a.wav")
    write_noise(folder / "deep/b.wav")
    lines = [{"path": "deep\\a.wav", "label": 3}, {"text": "hello", "path": "deep/b.wav", "label": None}]
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert known(read_clips(folder)) == [("a", None, "3", None), ("b", "hello", None, None)]


def test_several_tables(folder):
    """Common Voice has a table a part."""
    write_noise(folder / "clips/a.wav")
    for name in ("train.tsv", "test.tsv"):
        (folder / name).write_text("client_id\tpath\tsentence\nanna\ta.wav\thello\n")
    with pytest.raises(DataError, match=r"holds 2 tables: test\.tsv, train\.tsv; name one of them"):
        read_clips(folder)
    assert known(read_clips(folder / "test.tsv")) == [("a", "hello", None, "anna")]


def test_a_table_of_something_else(folder):
    for name in ("no/a.wav", "yes/a.wav"):
        write_noise(folder / name)
    (folder / "sizes.csv").write_text("class,count\nno,1\nyes,1\n")
    assert read_clips(folder).layout == "labels"


def test_one_folder_is_no_label(folder):
    write_noise(folder / "sounds/a.wav")
    assert known(read_clips(folder)) == [("sounds/a", None, None, None)]
    assert read_clips(folder, layout="labels").labels == ("sounds",)
    write_noise(folder / "other/b.wav")
    (folder / "__MACOSX").mkdir()  # archives of macOS
    (folder / "__MACOSX/._b.wav").write_bytes(b"x")
    assert read_clips(folder).labels == ("other", "sounds")


def test_transcripts_in_folders_of_their_own(folder):
    for name in ("p225/p225_001", "p226/p226_001"):
        write_noise(folder / "wav48" / f"{name}.wav")
        (folder / "txt" / name).parent.mkdir(parents=True)
        (folder / "txt" / f"{name}.txt").write_text(f"text of {name[:4]}")
    (folder / "README.txt").write_text("about")
    clips = read_clips(folder)
    assert [(clip.text, clip.speaker) for clip in clips] == [("text of p225", "p225"), ("text of p226", "p226")]


def test_folders_of_parts_are_no_speakers(folder):
    for name in ("train/1", "test/2"):
        write_noise(folder / f"{name}.wav")
        (folder / f"{name}.txt").write_text("hello")
    assert read_clips(folder).speakers == ()


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("path,start\na.wav,soon\n", r"a\.csv:2: column start: 'soon' is no number of seconds"),
        ("path,start\na.wav,-1\n", r"a\.csv:2: column start: -1 arrived; expected seconds of at least 0"),
        ("path,text\n,hello\n", r"a\.csv:2: column path: has no path of a sound file"),
        ("path,text\n", "has a header but no rows"),
        ("path,text\nnone.wav,hello\n", r"holds no clip that can be read; .* none\.wav \(there is no such file\)"),
    ],
)
def test_tables_that_are_refused(folder, table, words):
    write_noise(folder / "a.wav")
    (folder / "a.csv").write_text(table)
    with pytest.raises(DataError, match=words):
        read_clips(folder / "a.csv")


def test_kaldi(folder):
    write_noise(folder / "audio/1.wav", 2.0)
    write_noise(folder / "audio/2.wav")
    data = folder / "data"
    data.mkdir()
    (data / "wav.scp").write_text(f"rec1 {folder / 'audio/1.wav'}\nrec2 audio/2.wav\n")
    (data / "text").write_text("rec1 hello world\nrec2 bye\n")
    (data / "utt2spk").write_text("rec1 anna\nrec2 ben\n")
    assert known(read_clips(data)) == [("rec1", "hello world", None, "anna"), ("rec2", "bye", None, "ben")]
    (data / "segments").write_text("utt1 rec1 0.25 1.0\nutt2 rec1 1.0 1.5\n")
    (data / "text").write_text("utt1 hello\nutt2 world\n")
    (data / "utt2spk").write_text("utt1 anna\nutt2 anna\n")
    clips = read_clips(data)
    assert known(clips) == [("utt1", "hello", None, "anna"), ("utt2", "world", None, "anna")]
    assert (clips[0].start, clips[0].seconds) == (0.25, 0.75)
    (data / "segments").write_text("utt1 rec9 0.25 1.0\n")
    with pytest.raises(DataError, match=r"segments:1: wav\.scp has no recording 'rec9'"):
        read_clips(data)
    (data / "segments").write_text("utt1 rec1 soon\n")
    with pytest.raises(DataError, match="segments:1: expected UTTERANCE RECORDING START END"):
        read_clips(data)
    (data / "wav.scp").write_text("rec1 sph2pipe -f wav a.sph |\n")
    with pytest.raises(DataError, match=r"wav\.scp:1: holds a command, which is not run"):
        read_clips(data)


def test_librispeech(folder):
    for name in ("84-121123-0000", "84-121123-0001"):
        write_noise(folder / "84/121123" / f"{name}.wav")
    (folder / "84/121123/84-121123.trans.txt").write_text("84-121123-0000 GO DO YOU HEAR\n84-121123-0001 BUT IN LESS\n")
    clips = read_clips(folder)
    assert clips.layout == "librispeech"
    assert known(clips)[0] == ("84-121123-0000", "GO DO YOU HEAR", None, "84")
    (folder / "84/121123/84-121123.trans.txt").write_text("84-121123-0009 GO\n")
    with pytest.raises(DataError, match=r"trans\.txt:1: there is no sound file 84-121123-0009"):
        read_clips(folder)


@pytest.mark.parametrize("suffix", [".tar.gz", ".tgz", ".tar", ".zip"])
def test_archives(folder, tmp_path, suffix):
    for name in ("0_anna_0.wav", "1_anna_0.wav"):
        write_noise(folder / name)
    archive = tmp_path / f"digits{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as packed:
            for file in sorted(folder.iterdir()):
                packed.write(file, f"set/recordings/{file.name}")
    else:
        with tarfile.open(archive, "w:gz" if "gz" in suffix else "w") as packed:
            packed.add(folder, "set/recordings")
    clips = read_clips(archive)
    assert [(clip.label, clip.speaker) for clip in clips] == [("0", "anna"), ("1", "anna")]
    assert clips.source == str(archive)
    written = [clip.path for clip in clips]
    assert [clip.path for clip in read_clips(archive)] == written  # unpacked once
    assert clips.fingerprint() == read_clips(folder).fingerprint()


@pytest.mark.usefixtures("folder")
def test_archives_that_are_refused(tmp_path):
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(b"\x1f\x8b\x08 no archive")
    with pytest.raises(DataError, match=r"a\.tar\.gz: the archive cannot be unpacked"):
        read_clips(archive)
    with tarfile.open(archive, "w:gz") as packed:
        member = tarfile.TarInfo("../../outside.wav")
        member.size = 3
        packed.addfile(member, io.BytesIO(b"abc"))
    with pytest.raises(DataError, match="the archive cannot be unpacked"):
        read_clips(archive)
    assert not list(tmp_path.rglob("outside.wav"))
    assert not list((tmp_path / "cache" / "audio").iterdir())


def test_a_file_and_a_plain_folder(folder):
    write_noise(folder / "b.wav")
    assert known(read_clips(folder / "b.wav")) == [("b", None, None, None)]
    write_noise(folder / "c.wav")
    assert read_clips(folder).layout == "plain"


def test_what_holds_no_clips(folder):
    with pytest.raises(DataError, match=r"holds no sound files; expected \.wav, \.flac"):
        read_clips(folder)
    with pytest.raises(DataError, match="there is no such file or folder"):
        read_clips(folder / "none")
    (folder / "a.wav").write_bytes(b"hello")
    with pytest.raises(DataError, match=r"holds no clip that can be read; .* a\.wav \(the file is no sound"):
        read_clips(folder)
    for layout, file in (("kaldi", r"wav\.scp"), ("librispeech", r"\*\.trans\.txt")):
        with pytest.raises(DataError, match=rf'holds no {file}; type layout="auto"'):
            read_clips(folder, layout=layout)
    with pytest.raises(ConfigError, match=r"layout='label' arrived; did you mean 'labels'\?"):
        read_clips(folder, layout="label")
    for name in ("a.csv", "b.csv"):
        (folder / name).write_text("path\na.wav\n")
    with pytest.raises(DataError, match=r"holds 2 tables: a\.csv, b\.csv; name one of them"):
        read_clips(folder, layout="table")


def test_the_data_folder(folder, monkeypatch):
    write_noise(folder / "digits/0_anna_0.wav")
    monkeypatch.setenv("RNNKIT_DATA", str(folder))
    assert len(read_clips("digits")) == 1
