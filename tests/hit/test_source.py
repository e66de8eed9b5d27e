import os
import time

import pytest

import neml2
from neml2.hit.document import read_file, read_string
from neml2.hit.errors import FileProblem, MissingFile, SyntaxProblem


def put(folder, **files):
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.i"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(folder / "main.i")


def failure(path, kind=FileProblem):
    began = time.perf_counter()
    with pytest.raises(kind) as caught:
        read_file(path)
    assert time.perf_counter() - began < 5  # one core may be shared by many
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_includes_are_spliced_in_and_keep_their_places(tmp_path):
    path = put(
        tmp_path,
        main="[Models]\n  !include part/el.i  # elasticity\n[]\nx = 1\n",
        part__el="[el]\n  !include E.i\n[]\n",
        part__E="E = 200\n",
    )
    document = read_file(path)
    value = document.find("Models/el/E")
    assert value.text == "200"
    assert str(value.where) == f"{tmp_path}/part/E.i:1:1"
    assert document.find("x").where.line == 4


def test_include_is_text_inside_quotes_and_comments():
    assert read_string("a = '''\n!include no.i\n'''\n# !include no.i\n").find("a").text == "\n!include no.i\n"


def test_bom_and_crlf_are_read_as_plain_text(tmp_path):
    path = put(tmp_path, main=b"\xef\xbb\xbfa = 1\r\n[A]\r\n  b = '1\r\n2'\r\n[]\r\n")
    document = read_file(path)
    assert document.find("A/b").tokens == ["1", "2"]
    assert document.find("A/b").where.line == 3


def test_self_include_prints_the_circle(tmp_path):
    path = put(tmp_path, main="!include a.i\n", a="\n!include b.i\n", b="!include a.i\n")
    assert (
        failure(path)
        == f"{tmp_path}/b.i:1:1: !include goes in a circle: a.i -> b.i -> a.i; remove one of these lines"
    )
    path = put(tmp_path, main="!include main.i\n")
    assert "main.i -> main.i" in failure(path)


def test_an_include_bomb_is_refused(tmp_path):
    files = {f"n{i}": f"!include n{i + 1}.i\n!include n{i + 1}.i\n" for i in range(16)}
    assert "1000 times" in failure(put(tmp_path, main="!include n0.i\n", n16="a:=1\n", **files))
    deep = {f"n{i}": f"!include n{i + 1}.i\n" for i in range(30)}
    assert "deeper than 16" in failure(put(tmp_path, main="!include n0.i\n", n30="a:=1\n", **deep))


@pytest.mark.parametrize("target", ["../outside.i", "/etc/hostname", "link.i"])
def test_includes_stay_below_the_folder_of_the_file(tmp_path, target):
    (tmp_path / "outside.i").write_text("a = 1\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "link.i").symlink_to(tmp_path / "outside.i")
    text = failure(put(inner, main=f"x = 1\n!include {target}\n"))
    assert f"main.i:2:1: !include '{target}' lies outside the folder" in text
    assert text.endswith("trust_input=True (--trust-input)")


def test_a_trusted_file_includes_from_anywhere(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "history.i").write_text("!include ../steps.i\n")
    (tmp_path / "steps.i").write_text("a = 1\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    path = put(inner, main="!include ../shared/history.i\n")
    assert read_file(path, trusted=True).find("a").text == "1"
    text = f"[Models]\n  !include {tmp_path}/model.i\n[]\n"
    (tmp_path / "model.i").write_text("[h]\n type = LinearIsotropicHardening\n hardening_modulus = 2\n[]\n")
    with pytest.raises(FileProblem):
        neml2.load_string(text)
    assert neml2.load_string(text, trust_input=True).get_model("h").K.data.item() == 2
    (inner / "model.i").write_text("!include ../m.i\n")
    (tmp_path / "m.i").write_text(text.replace(f"{tmp_path}/", ""))
    assert neml2.load_model(inner / "model.i", "h", trust_input=True).input_spec


def test_a_missing_include_names_the_nearest_file(tmp_path):
    path = put(tmp_path, main="!include elastc.i\n", elastic="")
    assert failure(path, MissingFile).endswith(
        "main.i:1:1: cannot open !include 'elastc.i': no such file; did you mean 'elastic.i'?"
    )


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.i")
    assert "a pipe or a device" in failure(str(tmp_path / "pipe.i"))
    assert "a directory" in failure(str(tmp_path))
    assert "a pipe or a device" in failure("/dev/zero")
    assert "no such file" in failure(str(tmp_path / "none.i"), FileNotFoundError)
    assert "a pipe or a device" in failure(put(tmp_path, main="!include pipe.i\n"))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x7fELF\x02\x01\x01\x00", ":1:1: control character U+007F"),
        (b"a = 1\nb = x\x00y\n", ":2:6: control character U+0000"),
        (b"a = 1\nb = \x1b[31m\n", ":2:5: control character U+001B"),
        (b"a = 1\nb = '\xff\xfe'\n", ":2:6: not UTF-8 text"),
        (b"\x1f\x8b\x08\x00", ":1:2: not UTF-8 text"),
    ],
)
def test_binary_files_are_refused(tmp_path, data, what):
    assert f"main.i{what}" in failure(put(tmp_path, main=data))


def test_sixteen_megabytes_are_the_limit(tmp_path):
    path = put(tmp_path, main="")
    with open(path, "wb") as file:
        file.truncate(17 * 2**20)
    assert "more than the limit of 16 MB" in failure(path)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[a]\n" * 50_000 + "[]\n" * 50_000, ":65:1: nested more than 64 deep"),
        ("/".join(["a"] * 50_000) + " = 1", ":1:1: nested more than 64 deep"),
        ("[" + "/".join(["a"] * 50_000) + "]\n[]", ":1:1: nested more than 64 deep"),
        ("a = '" + "${" * 50_000 + "b" + "}" * 50_000 + "'", "nested more than 64 deep"),
        ("x:=1\n" * 60_000, "more than 50000 sections and values"),
        ("[" * 1_000_000, "main.i:1:2: unexpected character"),
        ("a " * 2_000_000, "main.i:1:"),
        ("#\n" * 1_000_000 + "[", "main.i:1000001:"),
        ("a = '${" + " " * 1_000_000, "main.i:1:"),
    ],
)
def test_structures_that_would_overwhelm_the_parser_are_refused(tmp_path, text, what):
    assert what in failure(put(tmp_path, main=text), SyntaxProblem)
