"""Generate, translate, summarize; text through standard input."""

import json
import shlex
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from commands import call
from commands import refused_alone as refused
from text_recipe import TEXT_RECIPE
from typer.testing import CliRunner

from rnnkit.cli.main import app
from rnnkit.generation import GenerationState

OWN = ["--recipe", "./toy.py"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the recipe and a run of it."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "toy.py").write_text(TEXT_RECIPE, encoding="utf-8")
    result = call("train", folder / "toy.py", "--out", folder / "run")
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(autouse=True)
def run(trained):
    shutil.copytree(trained, ".", dirs_exist_ok=True)


def piped(text, *arguments):
    raw = text if isinstance(text, bytes) else text.encode()
    result = CliRunner().invoke(app, [str(one) for one in (*arguments, *OWN)], input=raw)
    assert "Traceback" not in result.output
    return result


def generated(*arguments):
    result = call("generate", "run", *arguments, *OWN)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_generate_is_what_python_generates():
    import rnnkit
    from rnnkit.generation import generate
    from rnnkit.recipes import open_recipe

    model, tokenizer, _ = open_recipe("./toy.py").language_model(Path("run"))
    assert isinstance(model, rnnkit.SequenceTagger)
    expected = generate(
        model, "the ", max_tokens=30, temperature=0.7, top_k=9, top_p=0.9, min_p=0.01, repetition_penalty=1.1, seed=4,
        stop_ids=[tokenizer.end], forbidden_ids=[tokenizer.pad, tokenizer.unknown, tokenizer.beginning],
        encode=tokenizer.encode, decode=tokenizer.decode,
    )  # fmt: skip
    typed = "--max-tokens 30 --temperature 0.7 --top-k 9 --top-p 0.9 --min-p 0.01 --repetition-penalty 1.1 --seed 4"
    found = generated("--prompt", "the ", *typed.split())
    assert found.removesuffix("\n") == "the " + expected.texts[0].removesuffix("\n")
    assert generated("the ", *typed.split()) == found
    assert generated("the ", *typed.split(), "--no-echo") == found.removeprefix("the ")
    assert piped("the \n", "generate", "run", *typed.split()).stdout == found


def test_a_seed_that_was_drawn_is_told():
    first = call("generate", "run", "the", *OWN)
    assert first.exit_code == 0, first.output
    seed = first.stderr.removeprefix("Seed: ").strip()
    assert generated("the", "--seed", seed) == first.stdout


def test_several_texts_have_seeds_of_their_own():
    texts = generated("the ", "--count", "3", "--seed", "5", "--max-tokens", "12").split("---\n")
    assert texts == [generated("the ", "--seed", seed, "--max-tokens", "12") for seed in (5, 6, 7)]


def test_a_text_without_a_prompt():
    assert generated("--seed", "1", "--max-tokens", "20") == generated(
        "--prompt", "", "--seed", "1", "--max-tokens", 20
    )
    assert len(generated("--seed", "1", "--max-tokens", "20")) > 5


def test_a_stop_string_with_an_escape():
    long = generated("the ", "--seed", "3", "--max-tokens", "400")
    line = generated("the ", "--seed", "3", "--max-tokens", "400", "--stop", "\\n")
    assert "\n" in long.removesuffix("\n")
    assert line == long.partition("\n")[0] + "\n"


def test_what_the_vocabulary_lacks_is_told_in_one_line():
    result = call("generate", "run", "thé 猫 é", "--seed", "1", *OWN)
    assert result.exit_code == 0, result.output
    assert result.stderr == "Warning: the vocabulary lacks 'é', '猫'; the model reads <unk> there\n"
    assert "<unk>" not in result.stdout
    assert "床前" in generated("床前", "--seed", "1", "--max-tokens", "3")


def test_a_conversation_goes_on():
    whole = generated("the ", "--seed", "3", "--max-tokens", "40", "--temperature", "1.5")
    first = generated(
        "the ", "--seed", "3", "--max-tokens", "15", "--temperature", "1.5", "--save-state", "a.safetensors"
    )
    assert len(GenerationState.load("a.safetensors").history[0]) <= 19
    rest = generated("--state", "a.safetensors", "--max-tokens", "25", "--temperature", "1.5")
    assert first.removesuffix("\n") + rest == whole
    spoken = generated("the cat", "--state", "a.safetensors", "--save-state", "b.safetensors", "--max-tokens", "5")
    assert spoken.startswith("the cat")
    several = generated("--state", "a.safetensors", "--max-tokens", "25", "--count", "2").split("---\n")
    assert several[0] != several[1]
    assert len(GenerationState.load("b.safetensors").history[0]) >= 15 + 7


def test_ctrl_c_ends_the_text_and_keeps_the_state(monkeypatch):
    echo, pieces = typer.echo, []

    def interrupting(text="", **settings):
        pieces.append(text)
        echo(text, **settings)
        if len(pieces) == 6:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr("rnnkit.cli.generate.typer.echo", interrupting)
        result = call("generate", "run", "the ", "--seed", "3", "--save-state", "a.safetensors", *OWN)
    assert result.exit_code == 130
    assert result.stdout.endswith("\n")
    assert result.stdout.strip() == "".join(pieces[:6]).strip()
    rest = generated("--state", "a.safetensors", "--max-tokens", 195)
    whole = generated("the ", "--seed", "3", "--max-tokens", 200)
    assert result.stdout.removesuffix("\n") + rest == whole


def test_a_pipe_that_is_closed_is_no_error(monkeypatch):
    def closed(text="", **_):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("rnnkit.cli.generate.typer.echo", closed)
    result = call("generate", "run", "the ", "--save-state", "a.safetensors", *OWN)
    assert (result.exit_code, result.output) == (1, "")
    assert Path("a.safetensors").exists()


def test_what_is_wrong_is_named():
    Path("story.txt").write_text("once upon a time\n")
    Path("empty.txt").write_text("\n")
    GenerationState((), [[1]], [[999]], [0], [0], [((), "", 0)]).save("other.safetensors")
    Path("chinese.txt").write_text("早", "gb18030")
    Path("pairs.jsonl").write_text('{"en": "good", "zh": "早"}\n', "utf-8")
    generated("--save-state", "own.safetensors", "--max-tokens", 3)
    own = GenerationState.load("own.safetensors")
    assert generated("--state", "own.safetensors", "--max-tokens", 3)
    replace(own, tokenizer="").save("before.safetensors")  # as states were written before they told their tokenizer
    assert generated("--state", "before.safetensors", "--max-tokens", 3)
    replace(own, tokenizer="another").save("another.safetensors")
    cases = [
        ("generate run --temperature -1", "--temperature=-1.0 arrived; expected a number of at least 0"),
        ("generate run --top-p 95", "--top-p=95.0 arrived; expected a number above 0 and of at most 1"),
        ("generate run --max-tokens -1", "--max-tokens=-1 arrived"),
        ("generate run --top-k 0", "--top-k=0 arrived; expected a whole number of at least 1\n"),
        ("generate run --state another.safetensors", "another.safetensors is the state of another model"),
        ("generate run --count 0", "--count=0 arrived"),
        ("generate run --stop ''", "--stop '' arrived; expected a text that is not empty"),
        ("generate run a --prompt b", "expected one of them, they mean the same"),
        ("generate run --state no.safetensors", "no.safetensors: there is no such file; --save-state"),
        (
            "generate run --state toy.py",
            "toy.py holds no state of a generation; generated.state.save(path) or --save-state",
        ),
        ("generate run --state other.safetensors", "other.safetensors is the state of another model"),
        ("generate run --count 2 --save-state a", "a state is of one text"),
        ("generate run --save-state no/a.safetensors", "there is no folder no; make it first"),
        ("generate run --temp 1", "did you mean --temperature?"),
        ("generate run --max-new-tokens 1", "did you mean --max-tokens?"),
        (
            "generate 'once upon a time' run",
            "once upon a time is no run, and a run comes first: `rnnkit generate run 'on",
        ),
        ("generate run run", "run is the folder of a run; expected text in its place: `rnnkit generate run TEXT`"),
        ("generate run story.txt", "story.txt is a file; expected text in its place. To take the text in it type `rnn"),
        ("generate story.txt", "story.txt is no run; a run comes first: `rnnkit generate RUN < story.txt`"),
        ("generate .", "is a folder that holds runs; name one of them: `rnnkit generate run`"),
        ("generate mnist", "mnist is a recipe; expected the folder of a run of it"),
        ("generate no-run", "no-run"),
        ("translate run story.txt", "To take the text in it type `rnnkit translate run --data story.txt`"),
        (
            "translate story.txt run",
            "story.txt is a file, and a run comes first: `rnnkit translate run --data story.txt`",
        ),
        ("translate 'a text' run", "a text is no run, and a run comes first: `rnnkit translate run 'a text'`"),
        ("translate run --data run", "run is the folder of a run; expected data in its place: `rnnkit translate"),
        ("translate run --data no.txt", "no.txt: there is no such file"),
        ("translate run a --data story.txt", "expected one of them"),
        ("translate run a --width 0", "--width=0 arrived; expected a whole number of at least 1\n"),
        (
            "translate run --data chinese.txt",
            "chinese.txt:1: byte 0xd4 is not UTF-8; type --encoding gb18030 (Chinese)",
        ),
        ("translate run --data pairs.jsonl", "type --field en, or --field zh"),
        ("summarize run chinese.txt --encoding no", "--encoding no arrived; expected a name such as"),
        ("translate run a --num-beams 3", "did you mean --width?"),
        ("translate run a --input x", "did you mean --data?"),
        ("translate run a b --attention a.png", "--attention a.png draws one text"),
        ("translate run a --attention a.txt", "expected a file ending in .png"),
        ("translate run a --out no/a.txt", "there is no folder no"),
        ("summarize story.txt run", "story.txt is data, and a run comes first: `rnnkit summarize run story.txt`"),
        ("summarize run no.txt", "no.txt: there is no such file"),
        ("summarize run empty.txt", "empty.txt: the file is empty"),
        ("summarize run story.txt --attention a.png", "has no attention to draw"),
    ]
    for line, words in cases:
        result = call(*shlex.split(line), *OWN)
        assert result.exit_code == 2, (line, result.output)
        assert words in result.stderr, line
        assert "Traceback" not in result.output


def test_a_run_of_another_recipe_says_what_it_can():
    Path("toy.py").write_text(TEXT_RECIPE.replace("def language_model", "def no_model"), encoding="utf-8")
    expected = (
        "the recipe of run has no language_model(...), which `rnnkit generate` needs; it can train, evaluate, predict"
    )
    assert refused(call("generate", "run", *OWN), expected)


def test_translate_texts():
    both = call("translate", "run", "Hello you", "早上好 b", *OWN)
    assert both.stdout == "HELLO YOU\n早上好 B\n", both.output
    settings = ["--width", "7", "--max-tokens", "9", "--length-penalty", "0.5"]
    assert call("translate", "run", "a", *settings, *OWN).exit_code == 0
    assert Path("run/calls.txt").read_text().splitlines() == ["2 None None None", "1 7 9 0.5"]


def test_translate_a_file_in_batches_with_empty_lines():
    Path("in.txt").write_text("one\n\ntwo\n" + "x\n" * 40, encoding="utf-8")
    found = call("translate", "run", "--data", "in.txt", *OWN)
    assert found.stdout.splitlines() == ["ONE", "", "TWO"] + ["X"] * 40
    assert [line.split()[0] for line in Path("run/calls.txt").read_text().splitlines()] == ["31", "11"]
    told = call("translate", "run", "--data", "in.txt", "--out", "out.txt", *OWN)
    assert told.stdout == "Wrote 43 answers to out.txt\n"
    assert Path("out.txt").read_text(encoding="utf-8") == found.stdout
    call("translate", "run", "é", "--out", "out.json", *OWN)
    assert json.loads(Path("out.json").read_text(encoding="utf-8")) == [{"text": "é", "prediction": "É", "score": -0.5}]


def test_the_texts_of_tables_and_json():
    Path("in.csv").write_text("id,text\n1,one\n2,\n3,two\n", encoding="utf-8")
    assert call("translate", "run", "--data", "in.csv", *OWN).stdout == "ONE\n\nTWO\n"
    assert call("translate", "run", "--data", "in.csv", "--field", "id", *OWN).stdout == "1\n2\n3\n"
    Path("in.json").write_text('[{"body": "A b. C."}, {"body": ["D", "e. F."]}]', encoding="utf-8")
    assert call("summarize", "run", "in.json", "--field", "body", *OWN).stdout == "A b .\nD e .\n"
    assert refused(
        call("summarize", "run", "in.json", "--field", "text", *OWN), "in.json:1: record 1: has no field 'text'"
    )
    Path("in.txt").write_text("one\n")
    assert refused(
        call("translate", "run", "--data", "in.txt", "--field", "a", *OWN), "in.txt is plain text, which has no"
    )


def test_a_space_between_prompt_and_text_is_one():
    recipe = TEXT_RECIPE.replace('train_tokenizer("char", CORPUS)', 'train_tokenizer("word", CORPUS)')
    # A file of its own: the bytecode of one that is rewritten within a second at the same length may be that of before.
    Path("words.py").write_text(recipe, encoding="utf-8")
    assert call("train", "./words.py", "--out", "words").exit_code == 0
    own = ("--seed", "2", "--recipe", "./words.py")
    found = [call("generate", "words", text, *own).stdout for text in ("the cat", "the cat ")]
    assert found[0] == found[1]
    assert found[0].startswith("the cat")


def test_translate_a_line_at_a_time():
    found = piped("one\r\n\ntwo", "translate", "run")
    assert found.stdout == "ONE\n\nTWO\n", found.output
    assert [line.split()[0] for line in Path("run/calls.txt").read_text().splitlines()] == ["1", "1"]
    assert piped("Grüße\n".encode("latin-1"), "translate", "run", "--encoding", "latin-1").stdout == "GRÜSSE\n"
    assert piped("one\n", "translate", "run", "-").stdout == "ONE\n"
    assert piped("one\n", "translate", "run", "--data", "-").stdout == "ONE\n"
    wrong = piped(b"one\ntwo \xff\n", "translate", "run")
    assert wrong.exit_code == 2
    assert "standard input:2: byte 0xff is not UTF-8" in wrong.stderr


@pytest.mark.usefixtures("whole_pictures")
def test_a_picture_of_attention():
    drawn = call("translate", "run", "早 b", "--attention", "a.svg", *OWN)
    assert drawn.exit_code == 0, drawn.output
    assert "<svg" in Path("a.svg").read_text(encoding="utf-8")


def test_summarize():
    for name in ("a.txt", "b.txt"):
        Path(name).write_text(f"First {name[0]}. Second.\nThird. Fourth.\n")
    assert call("summarize", "run", "a.txt", *OWN).stdout == "First a .\n"
    assert call("summarize", "run", "a.txt", "b.txt", *OWN).stdout == "a.txt\tFirst a .\nb.txt\tFirst b .\n"
    both = ["--data", "a.txt", "--data", "b.txt"]
    assert call("summarize", "run", *both, *OWN).stdout == call("summarize", "run", "a.txt", "b.txt", *OWN).stdout
    assert "a.txt and --data b.txt arrived" in call("summarize", "run", "a.txt", *both[2:], *OWN).stderr
    assert call("summarize", "run", "a.txt", "--lines", *OWN).stdout == "First a .\nThird .\n"
    assert piped("One\ntwo. Three.", "summarize", "run").stdout == "One two .\n"
    assert piped("One. two\nThree. four", "summarize", "run", "--lines").stdout == "One .\nThree .\n"
    assert "standard input: nothing arrived" in piped(" \n", "summarize", "run").stderr


def test_no_seed_is_told_where_nothing_is_drawn():
    for more in ([], ["--count", 2]):
        told = call("generate", "run", "--prompt", "the", "--max-tokens", 3, "--temperature", 0, *more, *OWN)
        assert (told.exit_code, told.stderr) == (0, "")
        assert "Seed: " in call("generate", "run", "--prompt", "the", "--max-tokens", 3, *more, *OWN).stderr


def test_a_run_of_no_pairs_takes_no_file_of_targets():
    Path("a.txt").write_text("one\n")
    given = ["--set", "data.target_path=b.txt", *OWN]
    for verb in ("evaluate", "inspect"):
        assert refused(call(verb, "run", "a.txt", *given), "the recipe of this run reads no parallel files")


def test_predict_and_evaluate_read_standard_input():
    Path("in.txt").write_text("one\nthree\n")
    expected = call("predict", "run", "in.txt", *OWN).stdout
    assert expected.split() == ["text", "prediction", "one", "3", "three", "5"]
    assert piped("one\nthree\n", "predict", "run").stdout == expected
    assert piped("one\nthree\n", "predict", "run", "-").stdout == expected
    both = piped("one\n", "predict", "run", "-", "in.txt").stdout.splitlines()
    assert [line.split()[0] for line in both] == ["file", "-", "in.txt", "in.txt"]
    assert piped("one\nthree\n", "evaluate", "run", "-").stdout == "Texts: 2\n"
    assert piped("one\nthree\n", "evaluate", "run").stdout == "Texts: 0\n"
    assert "standard input: nothing arrived" in piped("", "predict", "run").stderr
    wrong = piped(b"one\n\xff\n", "predict", "run", "-")
    assert wrong.stderr.startswith("Error: standard input:2: byte 0xff is not UTF-8")


def test_predict_takes_a_text():
    found = call("predict", "run", "--text", "床前", "--text", "a b\nc", *OWN)
    assert found.exit_code == 0, found.output
    assert found.stdout.split("\n")[1:3] == ["床前     2", "a b c  5"]
    empty = call("predict", "run", "--text", " ", *OWN)
    assert empty.stderr.startswith("Error: --text ' ' arrived; expected a text that is not empty"), empty.output
    expected = "play some jazz is no file; to take it as a text type `rnnkit predict run --text 'play some jazz'`"
    assert refused(call("predict", "run", "play some jazz", *OWN), expected)
    assert refused(call("predict", "run", "a.txt", "--text", "a", *OWN), "a.txt and --text 'a' arrived; expected one")


def test_standard_input_is_refused_where_no_text_is_read():
    Path("toy.py").write_text(TEXT_RECIPE.replace("reads_text: ClassVar[bool] = True", "x: int = 1"), encoding="utf-8")
    for verb in ("predict", "evaluate"):
        assert "- arrived, which is standard input, but run reads no plain text" in piped("a", verb, "run", "-").stderr
    assert "no file arrived" in piped("a", "predict", "run").stderr
    assert refused(call("predict", "run", "--text", "a", *OWN), "--text 'a' arrived, but run reads no plain text")


def test_inspect_looks_at_token_ids_and_leaves_the_run_page():
    own = Path("run/report.html").read_text(encoding="utf-8")
    assert "猫 so so" in own
    result = call("inspect", "run", *OWN)
    assert result.exit_code == 0, result.output
    assert "The output sees" in result.stdout
    assert result.stdout.splitlines()[-1] == "Page: run/inspection.html"
    assert Path("run/report.html").read_text(encoding="utf-8") == own
    assert "Gradients through time" in Path("run/inspection.html").read_text(encoding="utf-8")
    Path("run/report.html").unlink()
    assert call("inspect", "run", *OWN).stdout.endswith("Page: run/report.html\n")


def test_runs_of_text_are_listed_sorted_and_compared():
    second = call("train", "./toy.py", "--seed", "1", "--out", "second")
    assert second.exit_code == 0, second.output
    assert second.stdout.splitlines()[-2:] == ["Loss: 1.5", "Bits per character: 3"]
    listed = call("runs", ".", "--sort", "bits_per_character").stdout.splitlines()
    assert "test.bits_per_character" in listed[0].split("\t")
    assert [line.split("\t")[0] for line in listed[1:]] == ["run", "second"]
    compared = call("runs", "--compare", "run", "second")
    assert "figure\ttest.bits_per_character\t2.0\t3.0\t1.0" in compared.stdout, compared.output
    troubles = json.loads(Path("run/metrics.json").read_text(encoding="utf-8"))["troubles"]
    assert Path("run/troubles.txt").read_text(encoding="utf-8").splitlines() == troubles
    assert len(troubles) == 2
