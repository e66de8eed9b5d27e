import threading
import time

import pytest
import torch

from neml2.hit.errors import InputError, Where
from neml2.hit.expressions import evaluate
from neml2.types import SR2, Scalar, TensorWrapper

OTHERS = {"edges": Scalar(torch.linspace(0.0, 1.0, 5, dtype=torch.float64)), "half": Scalar(0.5)}


def value(text, others=OTHERS, trust_input=False):
    return evaluate(text, Where("input.i", 3, 5), "x", others, others.__getitem__, trust_input)


def failure(text, **more):
    began = time.perf_counter()
    with pytest.raises(InputError) as caught:
        value(text, **more)
    assert time.perf_counter() - began < 10  # one core may be shared by many
    message = str(caught.value)
    assert message.startswith("input.i:3:5: [Tensors/x] ")
    assert "\n" not in message
    return message


SAME_AS_PYTHON = """
Scalar(1.0)
Scalar([1, 2, 3])
Scalar(edges.data.unsqueeze(-1) * torch.tensor([1.0, 4.0], dtype=torch.float64))
Scalar(0.5 * (edges.data[1:] + edges.data[:-1]), sub_batch_ndim=1)
Scalar(torch.exp(-0.5 * ((edges.data - 0.4) / 0.12) ** 2), sub_batch_ndim=1).sub_batch.retag(0)
SR2(torch.tensor([[1.0, 0, 0, 0, 0, 0]], dtype=torch.float64).unsqueeze(0).expand(4, -1, -1).contiguous())
SR2((lambda s: torch.where(s < 0.6, s / 0.6, 1.0 - s))(edges.data).reshape(5, 1) * SR2.fill(1.0).data)
SR2((lambda s, a=2.0: torch.sin(a * math.pi * s))(edges.data).reshape(5, 1) * SR2.identity().data)
linspace(SR2.fill(0.0).dynamic_batch, SR2.fill(0.01, -0.005, -0.005).dynamic_batch, 20)
logspace(Scalar(0.0).dynamic_batch, half.dynamic_batch, 3)
Scalar(torch.stack([torch.tensor(float(i)) for i in range(6) if i % 2]).double())
Scalar([[i + 10 * j for i in range(3)] for j in range(2)])
Scalar([1.0] * 3 + [2.0])
Scalar(edges.data[None, ..., 0]).dynamic_batch.expand(2, 3)
R2.identity() @ R2(torch.eye(3, dtype=torch.float64))
torch.nn.functional.pad(torch.ones(3, dtype=torch.float64), (1, 2))
MRP(torch.tensor([[0.1, -0.05, 0.2]], dtype=torch.float64), sub_batch_ndim=1).sub_batch.retag(1)
MillerIndex(torch.tensor([1, 1, 0], dtype=torch.int64))
sum(edges.dynamic_batch)
abs(-half) if 1 < 2 < 3 and not 3 == 4 else half
Scalar(max(1, 2) + min([3, 4]) + len((1, 2)) + int(2.7) + float(round(2.4)))
Scalar(torch.rand(3, generator=torch.Generator().manual_seed(3), dtype=torch.float64))
Scalar(np.linspace(0.0, 1.0, 3))
SR2(torch.zeros(*[2, 3], 6, dtype=torch.float64))
Scalar(-2 ** 2 + 7 // 2 + 7 % 4 + (1 << 3))
""".strip().split("\n")


@pytest.mark.parametrize("text", SAME_AS_PYTHON)
def test_expressions_mean_what_they_mean_in_python(text):
    ours, python = value(text), value(text, trust_input=True)
    assert type(ours) is type(python)
    ours, python = (v.data if isinstance(v, TensorWrapper) else v for v in (ours, python))
    assert ours.dtype == python.dtype
    assert torch.equal(ours, python)


def test_blocks_assign_a_result():
    text = """
      a, (b, c) = 1.0, (2.0, 3.0)
      rows = []
      for i in range(3):
          if i != 1:
              rows.append(a * i + b)
      a += c
      result = Scalar(rows + [a])
    """
    assert value(text).data.tolist() == [2.0, 4.0, 4.0]
    assert value("first = 2.0\n    Scalar(first)").data.item() == 2.0
    assert value("Scalar([1.0,\n   2.0])").data.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "text",
    [
        "torch.linspace(0, 1, 5)",
        "torch.tensor([1.5, 2])",
        "torch.arange(5) / 2",
        "torch.sqrt(torch.tensor(2))",
        "torch.full((3,), 2.0)",
        "torch.tensor([1, 2]) * 0.5",
        "(torch.arange(3) < 2) * 0.5",
        "torch.where(torch.arange(3) < 2, 1.0, 2.0)",
        "torch.zeros(3)",
        "torch.rand(3)",
        "SR2.fill(0.1)",
        "np.array([1.5])",
    ],
)
def test_numbers_are_float64_whatever_the_default(text):
    assert torch.get_default_dtype() is torch.float32
    assert value(text).dtype is torch.float64
    assert torch.get_default_dtype() is torch.float32


def test_a_dtype_that_is_asked_for_is_kept():
    assert value("torch.zeros(3, dtype=torch.float32) + 1").dtype is torch.float32
    assert value("torch.tensor([1, 2])").dtype is torch.int64
    assert value("Scalar(1.0).to(torch.float32)").dtype is torch.float32


def test_other_threads_keep_their_defaults():
    seen = []

    def slow(name):
        thread = threading.Thread(target=lambda: seen.append(torch.zeros(2).dtype))
        thread.start()
        thread.join()
        return OTHERS[name]

    evaluate("Scalar(half.data + torch.ones(2))", Where("input.i"), "x", OTHERS, slow)
    assert seen == [torch.float32]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Scalar(edgez)", "expr raised NameError: name 'edgez' is not defined; did you mean 'edges'?"),
        ("scalar(1.0)", "did you mean 'Scalar'?"),
        (
            "torch.linspce(0, 1, 5)",
            "'torch.linspce' is not available in input files; did you mean 'linspace'?",
        ),
        ("Scalar(1.0).datta", "did you mean 'data'?"),
        ("Scalar(1.0", "expr raised SyntaxError: '(' was never closed"),
        ("a = 1\nb = (", "expr raised SyntaxError"),
        ("torch.zeros(3) + torch.zeros(4)", "expr raised RuntimeError"),
        ("SR2.fill(1, 2)", "expr raised ValueError"),
        ("half[0]", "expr raised TypeError"),
        ("half(2)", "half is a Scalar and cannot be called"),
        ("1 / 0", "expr raised ZeroDivisionError"),
        ("3.0", "expr gives a float, not a tensor; wrap it, as in Scalar(...)"),
        ("a = 1.0", "code assigns no 'result'; end it with 'result = ...'"),
        ("half\n+half", "does not use the value of line 1"),
        ("a, b = 1, 2, 3\nresult = half", "2 names for 3 values"),
        ("(lambda a: a)(1, 2)", "lambda takes (a)"),
        ("for i in half: pass", "cannot iterate over a Scalar"),
    ],
)
def test_mistakes_are_one_line_with_a_suggestion(text, message):
    assert message in failure(text)


@pytest.mark.parametrize(
    "text",
    """
().__class__
(1).__class__.__bases__[0].__subclasses__()
half.__class__.__init__.__globals__
(lambda: 0).__code__
[].append.__self__
Scalar.__init__
Scalar.mro()
torch.load('x')
torch.save(half, 'x')
torch.os.system('ls')
torch.serialization
torch.hub.load('a', 'b')
torch.ops
torch.nn.Module
torch.tensor.__globals__
half.data.storage()
half.data.numpy()
half.data.apply_(1)
half.data.add_(1)
half.data.register_hook(1)
half.data.__reduce__()
torch.add(half.data, 1, out=half.data)
np.load('x')
np.fromfile('x')
__import__('os')
open('x')
eval('1')
exec('1')
getattr(half, 'data')
globals()
type(half)
print(1)
f'{half}'
{1: 2}
{1, 2}
(x := 1)
b'x'
import os
from os import *
while True: pass
def f(): return f()
class A: pass
half.data[0] = 1
del half
x = 1; x.y = 2
with open('x') as f: pass
try: pass\nexcept: pass
async def f(): pass
(lambda *a: a)(1)
Scalar(**{'data': 1})
'%1000000000d' % 1
'a' * 10**9
    """.strip().split("\n"),
)
def test_nothing_outside_the_table_can_be_reached(text):
    before = OTHERS["half"].data.clone()
    failure(text)
    assert torch.equal(OTHERS["half"].data, before)


@pytest.mark.parametrize(
    "text",
    [
        "torch.zeros(10**12)",
        "torch.zeros(3).expand(10**6, 10**6, 3)",
        "half.dynamic_batch.expand(10**11)",
        "torch.ones(10**5, 1) * torch.ones(1, 10**5)",
        "torch.nn.functional.pad(torch.ones(1), (10**10, 0))",
        "torch.ones(10**5).repeat(10**6)",
        "torch.randperm(10**12)",
        "torch.linspace(0, 1, 10**13)",
        "torch.arange(10**15)",
        "torch.full((10**5, 10**6), 1)",
        "torch.eye(10**6)",
        "torch.vander(torch.ones(10**4), 10**6)",
        "torch.tensor([[[0] * 1000] * 1000] * 1000)",
        "Scalar([[[0.0] * 1000] * 1000] * 1000)",
        "Scalar.zeros(10**10)",
        "MRP.rand(10**11)",
        "linspace(half.dynamic_batch, half.dynamic_batch, 10**11)",
        "[torch.ones(10**6, 3) for i in range(100)]",
        "torch.ones(5000, 5000) @ torch.ones(5000, 5000)",
        "np.zeros(10**12)",
        "np.linspace(0, 1, 10**12)",
        "9**9**9",
        "(10**300)**(10**300)",
        "1 << 10**9",
        "10**2000 * 10**2000",
        "[i for i in range(10**12)]",
        "[0 for i in range(10**5) for j in range(10**5)]",
        "[0] * 10**10",
        "(0,) * 10**10",
        "list(range(10**9))",
        "max(range(10**9))",
        "sum(range(10**30))",
        "x = [0]\nfor i in range(100):\n    x = x + x\nresult = Scalar(x)",
        "(lambda f: f(f))(lambda f: f(f))",
        "-" * 100_000 + "1",
        "(" * 100_000 + ")" * 100_000,
        "1" + "+1" * 5000,
        "[" * 1000 + "]" * 1000,
        "half" + ".data" * 20_000,
    ],
)
def test_sizes_are_known_before_anything_is_made(text):
    failure(text)


def test_a_refusal_says_the_way_out():
    assert failure("torch.zeros(10**12)") == (
        "input.i:3:5: [Tensors/x] expr would make tensors of 1,000,000,000,000 elements, limit 100,000,000;"
        " use fewer points; to run it as ordinary Python, load the file with trust_input=True (--trust-input)"
    )


def test_trusted_input_is_ordinary_python():
    text = "import os\nclass A:\n    b = 2.0\nresult = Scalar(A().b * len(os.sep)) * half"
    assert value(text, trust_input=True).data.item() == 1.0
    assert "raised ZeroDivisionError" in failure("1 / 0", trust_input=True)


def test_values_of_other_blocks_win_over_functions_of_that_name():
    assert isinstance(value("Scalar(norm.data)", {"norm": Scalar(2.0)}), Scalar)
    assert isinstance(value("SR2.fill(1.0)", {"x": None}), SR2)
