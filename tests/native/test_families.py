"""No processor meets an instruction it lacks: what needs AVX2 or AVX-512 stands in those families' functions alone.

The compiler may emit a function that two families include once for each, and the linker then keeps one copy for all. So
nothing is shared between them. Here the installed library is disassembled (by objdump, of the binutils that come with
every compiler), and every function is judged by the family in its name.
"""

import platform
import re
import subprocess
from functools import cache

import pytest

from rnnkit.ops.backend import native_core

# The families, each with what its functions may need. Weights in 8 bits have families of their own.
ALLOWED = {
    "generic": set(),
    "avx2": {"avx2"},
    "avx512": {"avx2", "avx512"},
    "int8_generic": set(),
    "int8_avx2": {"avx2"},
    "int8_avxvnni": {"avx2", "vnni"},
    "int8_avx512": {"avx2", "avx512"},
    "int8_avx512vnni": {"avx2", "avx512", "vnni"},
}
FAMILIES = list(ALLOWED) if platform.machine() in ("x86_64", "AMD64") else ["generic", "int8_generic"]
# A template that all share belongs to the family of its arguments.
FAMILY = re.compile(rf"rnnkit::({'|'.join(ALLOWED)})::")
FUNCTION = re.compile(r"[0-9a-f]+ <(.*)>:$")
# 512 bits, the upper sixteen registers or a mask register: AVX-512 of whatever width.
AVX512 = re.compile(r"%zmm|%[xy]mm(1[6-9]|2\d|3[01])\b|%k[0-7]\b")
# Every instruction of AVX, AVX2 and FMA begins with v; the others are x86-64-v3's arithmetic on plain registers.
AVX2 = re.compile(r"(v\w+|andn|bextr|blsi|blsr|blsmsk|bzhi|lzcnt|movbe|mulx|pdep|pext|rorx|sarx|shlx|shrx)[lq]?$")


def needs(listing):
    """Of each function in an objdump listing: which of "avx2", "avx512" and "vnni" its instructions need."""
    found, current = {}, set()
    for line in listing.splitlines():
        if line.endswith(">:"):
            current = found.setdefault(FUNCTION.match(line)[1], set())
            continue
        mnemonic, _, operands = line.partition("\t")[2].partition(" ")
        if "vpdpbusd" in line:
            current.add("vnni")
        if AVX512.search(operands):
            current.add("avx512")
        elif is_avx2(mnemonic):
            current.add("avx2")
    return found


@cache
def is_avx2(mnemonic):
    return AVX2.match(mnemonic) and mnemonic not in ("verr", "verw")


def family(name):
    return next(iter(FAMILY.findall(name)), "none")


@pytest.fixture(scope="module")
def functions():
    command = ["objdump", "-d", "-C", "--no-show-raw-insn", native_core().__file__]
    return needs(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_there_under_its_name(functions, name):
    own = [function for function in functions if family(function) == name]
    for kernel in ("simple_rnn", "lstm", "gru"):
        assert any(f"rnnkit::{name}::{kernel}_forward(" in function for function in own), "was the library stripped?"
    for instructions in ALLOWED[name]:
        assert any(instructions in functions[function] for function in own)


def test_no_instruction_outside_its_family(functions):
    allowed = {"none": set(), **ALLOWED}
    strays = {name: needed - allowed[family(name)] for name, needed in functions.items()}
    assert {name: stray for name, stray in strays.items() if stray} == {}
