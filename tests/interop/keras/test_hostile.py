"""Files that are damaged, wrong or made to harm: each is refused with a sentence, quickly, and nothing is executed."""

import json
import pickle
import resource
import struct
import time
import zipfile

import h5py
import numpy as np
import pytest
from keras_files import at, functional, layer, sequential, tensor, write_h5, write_keras, write_old

from rnnkit.errors import DataError
from rnnkit.interop.keras import from_keras

MEGABYTES, SECONDS = 200, 2
LSTM = [np.zeros((3, 16), "float32"), np.zeros((4, 16), "float32"), np.zeros(16, "float32")]
ARRAYS = at("layers/lstm/cell", LSTM)
GOOD = sequential(layer("LSTM", units=4))
CASES = {}


def case(expected):
    """Register a function that makes a file in a folder, and what the message says of it."""

    def add(make):
        CASES[make.__name__] = make, expected
        return make

    return add


def keras_case(name, config, expected, arrays=ARRAYS, **options):
    CASES[name] = lambda folder: write_keras(folder / "m.keras", config, arrays, **options), expected


def lstm_with(expected, **config):
    name = "lstm_" + "_".join(f"{key}_{value}"[:30] for key, value in config.items())
    keras_case(name, sequential(layer("LSTM", **{"units": 4, **config})), expected)


def dataset_case(name, make, expected):
    """The LSTM's kernel is replaced by what a function makes in its group."""
    keras_case(name, GOOD, expected, {**ARRAYS, "layers/lstm/cell/vars/0": make})


# --- code ---------------------------------------------------------------------------------------------------------
LAMBDA = layer("Lambda", function={"class_name": "__lambda__", "config": {"code": "4wEAAAA="}})
keras_case("lambda", sequential(LAMBDA, layer("LSTM", units=4)), "nothing of a file is executed")
keras_case("lambda_in_time_distributed", sequential(layer("TimeDistributed", layer=LAMBDA)), "layer 'timedistributed'")
keras_case("lambda_in_a_model", sequential({**sequential(LAMBDA), "name": "inner"}), "layer 'inner' .*Lambda")
OWN = {**layer("Mine", units=3), "module": "mine", "registered_name": "mine>Mine"}
keras_case("class_of_ones_own", sequential(OWN), "a class of one's own .'mine>Mine'")
keras_case("module_os", sequential({**layer("system", command="true"), "module": "os"}), "class of one's own .'os'")
keras_case("unknown_layer", sequential(layer("MultiHeadAttention", num_heads=2)), "class 'MultiHeadAttention' are not")
keras_case("subclass_of_model", {**GOOD, "class_name": "MyModel"}, "Python code of its own")
lstm_with("a function of one's own", activation={"class_name": "function", "config": "f", "registered_name": "my>f"})
lstm_with("which rnnkit does not know", activation="__import__('os').system('true')")
keras_case("operation", functional(
    [({**layer("Map"), "module": "keras.src.ops.core"}, [[tensor("x")]])], [["x", 0, 0]], [["map", 0, 0]]
), "operations of class 'Map'")  # fmt: skip

# --- settings -----------------------------------------------------------------------------------------------------
lstm_with("units=-4 arrived; expected a whole number", units=-4)
lstm_with("units=0 arrived", units=0)
lstm_with("units=True arrived", units=True)
lstm_with("units='4' arrived", units="4")
lstm_with("units=nan arrived", units=float("nan"))
lstm_with("units=inf arrived", units=float("inf"))
lstm_with("units=1000000000000000000 arrived", units=10**18)
lstm_with(r"expects \[any, 64000000\]", units=16 * 10**6)
lstm_with("dropout=nan arrived", dropout=float("nan"))
lstm_with("dropout=1.5 arrived", dropout=1.5)
lstm_with("'surprise'=3 is a setting that rnnkit does not know", surprise=3)
lstm_with("use_bias='yes' arrived", use_bias="yes")
lstm_with("its type is 'QuantizedDTypePolicy'", dtype={"class_name": "QuantizedDTypePolicy", "config": {
    "mode": "int8", "name": "int8_from_float32"}})  # fmt: skip
keras_case("mask_value", sequential(layer("Masking", mask_value=float("inf"))), "mask_value=inf")
keras_case("embedding_rows", sequential(layer("Embedding", input_dim=2**40, output_dim=8)), "input_dim=1099511627776")
keras_case("reshape", sequential(layer("Reshape", target_shape=[10**30])), "target_shape=1000000")
keras_case("repeat", sequential(layer("RepeatVector", n=10**12)), "n=1000000000000")
keras_case("missing_units", sequential({**layer("LSTM")}), "no 'units'")
keras_case("config_is_a_list", sequential({**layer("LSTM"), "config": []}), "its config is ..; expected an object")
keras_case("layers_is_a_number", {**GOOD, "config": {"layers": 3}}, "expected an object with layers")
keras_case("no_layers", {**GOOD, "config": {"layers": []}}, "has 0 layers")
keras_case("many_layers", sequential(*[layer("Flatten", f"f{n}") for n in range(5000)]), "5001 layers")
keras_case("two_of_one_name", sequential(layer("Flatten", "a"), layer("Flatten", "a")), "two layers are named 'a'")


def nested(levels):
    inner = layer("Flatten")
    for level in range(levels):
        inner = layer("TimeDistributed", f"t{level}", layer=inner)
    return sequential(inner)


keras_case("deep_wrappers", nested(20), "nested deeper than 12 levels")
keras_case("deep_json", '{"class_name": ' + "[" * 60000 + "]" * 60000 + "}", "nested deeper than")
keras_case("no_json", "{'class_name': ", "no JSON that can be read")
keras_case("json_of_a_list", "[]", "it holds a list; expected an object")

# --- graphs -------------------------------------------------------------------------------------------------------
DENSE = [layer("Dense", name, units=3) for name in ("a", "b")]
TWO = at("layers/dense", [np.eye(3, dtype="float32"), np.zeros(3, "float32")]) | at(
    "layers/dense_1", [np.eye(3, dtype="float32"), np.zeros(3, "float32")]
)


def graph(first, second, outputs):
    return functional([(DENSE[0], [[first]]), (DENSE[1], [[second]])], [["x", 0, 0]], outputs)


keras_case("circle", graph(tensor("b"), tensor("a"), [["b", 0, 0]]), "form a circle", TWO)
keras_case("no_such_layer", graph(tensor("x"), tensor("c"), [["b", 0, 0]]), "the layer 'c' is used", TWO)
keras_case("no_such_call", graph(tensor("x"), tensor("a", 7), [["b", 0, 0]]), "call 7 of the layer 'a'", TWO)
keras_case("no_such_output", graph(tensor("x"), tensor("a", 0, 2), [["b", 0, 0]]), "output 2 of 'a'", TWO)
keras_case("no_outputs", graph(tensor("x"), tensor("a"), []), "output_layers", TWO)
keras_case("deep_outputs", graph(tensor("x"), tensor("a"), {"y": {"z": ["b", 0, 0], "w": ["a", 0, 0]}}), "nested", TWO)
keras_case("unused_layer", graph(tensor("x"), tensor("a"), [["a", 0, 0]]), "no part in the model's results", TWO)
keras_case(
    "odd_argument", graph(tensor("x"), {"class_name": "slice", "config": {}}, [["b", 0, 0]]), "the argument", TWO
)
keras_case("training", functional(
    [(DENSE[0], [{"args": [tensor("x")], "kwargs": {"training": True}}])], [["x", 0, 0]], [["a", 0, 0]]
), "'training'=True, which is not read", TWO)  # fmt: skip

# --- arrays -------------------------------------------------------------------------------------------------------
keras_case("wrong_shape", GOOD, r"shape \[3, 12\]", at("layers/lstm/cell", [np.zeros((3, 12), "float32"), *LSTM[1:]]))
keras_case("wrong_rank", GOOD, r"shape \[16\]", at("layers/lstm/cell", [np.zeros(16, "float32"), *LSTM[1:]]))
keras_case("missing_array", GOOD, "2 arrays at layers/lstm/cell/vars; expected 3", at("layers/lstm/cell", LSTM[:2]))
keras_case("array_too_many", GOOD, "4 arrays", at("layers/lstm/cell", [*LSTM, LSTM[2]]))
keras_case("no_arrays", GOOD, "0 arrays at layers/lstm/cell/vars", {})
keras_case("array_for_a_group", GOOD, "is no group", {"layers/lstm": np.zeros(3)})
dataset_case("group_for_an_array", lambda group, name: group.create_group(name), "is no array")
dataset_case("text", lambda group, name: group.create_dataset(name, data=[b"a"] * 16), "expected float32 numbers")
dataset_case("soft_link", lambda group, name: group.__setitem__(name, h5py.SoftLink("/x")), "a link to elsewhere .Soft")
dataset_case("external_link", lambda group, name: group.__setitem__(name, h5py.ExternalLink("/etc/passwd", "/")),
             "a link to elsewhere .External")  # fmt: skip
keras_case("linked_group", GOOD, "a link to elsewhere", {
    "layers/lstm": lambda group, name: group.__setitem__(name, h5py.ExternalLink("/tmp/other.h5", "/"))})  # fmt: skip
dataset_case("external_storage", lambda group, name: group.create_dataset(
    name, (3, 16), "float32", external=[("/etc/passwd", 0, 192)]), "stand in another file")  # fmt: skip


def virtual(group, name):
    layout = h5py.VirtualLayout((3, 16), "float32")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (3, 16))
    group.create_virtual_dataset(name, layout)


dataset_case("virtual_dataset", virtual, "stand in another file")
dataset_case("other_filter", lambda group, name: group.create_dataset(
    name, data=LSTM[0], compression="lzf"), "compressed by filter 32000")  # fmt: skip
dataset_case(
    "never_written", lambda group, name: group.create_dataset(name, (3, 16), "float32"), "of which the file stores 0"
)
dataset_case("chunk", lambda group, name: group.create_dataset(
    name, (3, 16), "float32", chunks=(10**4, 10**4), maxshape=(None, None)), "that is refused")  # fmt: skip
BIG = 2**23


@case("that is refused")
def shape_bomb(folder):
    def make(group, name):
        made = group.create_dataset(name, (BIG, 16), "float32", compression="gzip", chunks=(2**16, 16))
        made[:4] = 1.0

    return write_keras(folder / "m.keras", GOOD, {**ARRAYS, "layers/lstm/cell/vars/0": make})


# --- archives -----------------------------------------------------------------------------------------------------
def archive_case(name, change, expected):
    keras_case(name, GOOD, expected, change=change)


archive_case("climbs", lambda archive: archive.writestr("../../evil.py", "x"), "leads out of its folder")
archive_case("absolute", lambda archive: archive.writestr("/etc/evil", "x"), "leads out of its folder")
archive_case("drive", lambda archive: archive.writestr("C:\\evil", "x"), "leads out of its folder")
archive_case("zip_bomb", lambda archive: archive.writestr(
    "assets/zeros", bytes(2**25), compress_type=zipfile.ZIP_DEFLATED), "grows from")  # fmt: skip


@pytest.mark.filterwarnings("ignore:Duplicate name")
@case("two files named 'config.json'")
def twice_in_the_archive(folder):
    return write_keras(folder / "m.keras", GOOD, ARRAYS, change=lambda archive: archive.writestr("config.json", "{}"))


@case("is a link")
def link_in_the_archive(folder):
    entry = zipfile.ZipInfo("assets/link")
    entry.external_attr = 0o120777 << 16
    return write_keras(folder / "m.keras", GOOD, ARRAYS, change=lambda archive: archive.writestr(entry, "/etc/passwd"))


@case("is encrypted")
def encrypted(folder):
    path = write_keras(folder / "m.keras", GOOD, ARRAYS)
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at_ = data.find(mark)
        data[at_ + place] |= 1
    path.write_bytes(data)
    return path


def compressed(folder, config, weights):
    path = folder / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", config)
        if weights is not None:
            archive.writestr("model.weights.h5", weights)
    return path


@case("grows from|bytes; expected at most")
def config_bomb(folder):
    return compressed(folder, json.dumps(GOOD) + " " * 2**26, b"")


@case("grows from")
def weights_bomb(folder):
    return compressed(folder, json.dumps(GOOD), b"\x89HDF\r\n\x1a\n" + bytes(2**26))


@case("has no model.weights.h5")
def no_weights(folder):
    return compressed(folder, json.dumps(GOOD), None)


@case("is no HDF5 file")
def other_weights(folder):
    return compressed(folder, json.dumps(GOOD), b"PK here")


@case("its weights are in model.weights.json")
def sharded(folder):
    path = compressed(folder, json.dumps(GOOD), None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model.weights.json", "{}")
    return path


@case("has no config.json")
def no_config(folder):
    path = folder / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme", "x")
    return path


@case("has 10001 files")
def many_files(folder):
    path = folder / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(10001):
            archive.writestr(str(number), b"")
    return path


@case("damaged")
def truncated_archive(folder):
    path = write_keras(folder / "m.keras", GOOD, ARRAYS)
    path.write_bytes(path.read_bytes()[:-200])
    return path


@case("damaged")
def truncated_weights(folder):
    weights = write_h5(folder / "w.h5", ARRAYS).read_bytes()
    return compressed(folder, json.dumps(GOOD), weights[: len(weights) // 2])


@case("damaged")
def false_size(folder):
    """The directory says that the configuration has 4 GB."""
    path = write_keras(folder / "m.keras", GOOD, ARRAYS)
    data = bytearray(path.read_bytes())
    entry = data.find(b"PK\x01\x02", data.find(b"PK\x01\x02") + 4)
    data[entry + 20 : entry + 28] = struct.pack("<II", 2**32 - 2, 2**32 - 2)
    path.write_bytes(data)
    return path


CASES["false_size"] = CASES["false_size"][0], "bytes; expected at most|damaged"


@case("neither a .keras file")
def pickled(folder):
    path = folder / "m.keras"
    path.write_bytes(pickle.dumps({"class_name": "Sequential"}))
    return path


@case("neither a .keras file")
def empty(folder):
    path = folder / "m.keras"
    path.touch()
    return path


# --- old files ----------------------------------------------------------------------------------------------------
OLD = {"class_name": "Sequential", "config": [{"class_name": "LSTM", "config": {"name": "lstm", "units": 4}}]}
NAMES = ("lstm/kernel:0", "lstm/recurrent_kernel:0", "lstm/bias:0")


def old_case(name, change, expected, layers=None):
    def make(folder):
        stored = {"lstm": list(zip(NAMES, LSTM, strict=True))} if layers is None else layers
        path = write_old(folder / "m.h5", OLD, stored)
        with h5py.File(path, "a") as file:
            change(file)
        return path

    CASES[name] = make, expected


FUNCTION = {"class_name": "Lambda", "config": {"name": "f", "function": ["4w==", None, None]}}
old_case("old_lambda", lambda file: file.attrs.__setitem__(
    "model_config", json.dumps({"class_name": "Sequential", "config": [FUNCTION]})), "nothing of a file is executed"
)  # fmt: skip
old_case("old_config_list", lambda file: file.attrs.__setitem__("model_config", ["{}"] * 3), "is no text")
old_case("old_config_number", lambda file: file.attrs.__setitem__("model_config", 3), "is no text")
old_case("old_without_config", lambda file: file.attrs.__delitem__("model_config"), "add configuration=")
old_case("old_link", lambda file: (file.__delitem__("model_weights"), file.__setitem__(
    "model_weights", h5py.ExternalLink("/tmp/other.h5", "/"))), "a link to elsewhere")  # fmt: skip
old_case("old_names_climb", lambda file: file["model_weights/lstm"].attrs.__setitem__(
    "weight_names", ["../../../x", *NAMES[1:]]), "is no name of a group")  # fmt: skip
old_case("old_array_missing", lambda file: file["model_weights/lstm"].attrs.__setitem__(
    "weight_names", list(NAMES[:2])), "2 arrays more; expected kernel, recurrent_kernel, bias")  # fmt: skip
old_case("old_array_too_many", lambda file: None, "an array that the layer does not have: lstm/more",
         {"lstm": [*zip(NAMES, LSTM, strict=True), ("lstm/more:0", LSTM[2])]})  # fmt: skip
old_case("old_other_names", lambda file: None, "has the array lstm/gamma:0 where kernel was expected",
         {"lstm": list(zip(("lstm/gamma:0", *NAMES[1:]), LSTM, strict=True))})  # fmt: skip


def shared_names(file):
    """4,000 names that are all the one text of the configuration, which is long."""
    file.attrs["model_config"] = json.dumps(OLD) + " " * 10**6
    file["model_weights"].attrs["layer_names"] = ["a"] * 4000


old_case("old_shared_names", shared_names, "texts of up to")
old_case("old_long_names", lambda file: file["model_weights"].attrs.__setitem__("layer_names", ["a" * 30000] * 2000),
         "layer_names")  # fmt: skip


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_files_are_refused_quickly(name, tmp_path):
    make, expected = CASES[name]
    path = make(tmp_path)
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(DataError, match=expected) as refused:
        from_keras(path)
    assert time.process_time() - begun < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEGABYTES * 1024
    assert str(refused.value).startswith(str(path))
    assert len(str(refused.value)) < len(str(path)) + 600


def test_there_are_enough_of_them():
    assert len(CASES) > 80


def test_the_good_files_are_read(tmp_path):
    assert from_keras(write_keras(tmp_path / "m.keras", GOOD, ARRAYS)).names == ["lstm"]
    stored = {"lstm": list(zip(NAMES, LSTM, strict=True))}
    assert from_keras(write_old(tmp_path / "m.h5", OLD, stored)).names == ["lstm"]
