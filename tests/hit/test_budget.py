import threading

import pytest
import torch

from neml2.hit.errors import Where
from neml2.hit.expressions import evaluate


@pytest.fixture
def float32_by_default():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    yield
    torch.set_default_dtype(before)


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
def test_sizes_are_known_before_anything_is_made(refusal, text):
    refusal(text)


def test_a_refusal_says_the_way_out(refusal):
    assert refusal("torch.zeros(10**12)") == (
        "input.i:3:5: [Tensors/x] expr would make tensors of 1,000,000,000,000 elements, limit 100,000,000;"
        " use fewer points; to run it as ordinary Python, load the file with trust_input=True (--trust-input)"
    )


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
@pytest.mark.usefixtures("float32_by_default")
def test_numbers_are_float64_whatever_the_default(value, text):
    assert value(text).dtype is torch.float64
    assert torch.get_default_dtype() is torch.float32


def test_a_dtype_that_is_asked_for_is_kept(value):
    assert value("torch.zeros(3, dtype=torch.float32) + 1").dtype is torch.float32
    assert value("torch.tensor([1, 2])").dtype is torch.int64
    assert value("Scalar(1.0).to(torch.float32)").dtype is torch.float32


@pytest.mark.usefixtures("float32_by_default")
def test_other_threads_keep_their_defaults(others):
    seen = []

    def slow(name):
        thread = threading.Thread(target=lambda: seen.append(torch.zeros(2).dtype))
        thread.start()
        thread.join()
        return others[name]

    evaluate("Scalar(half.data + torch.ones(2))", Where("input.i"), "x", others, slow)
    assert seen == [torch.float32]
