import pytest
import torch

from neml2.types import TensorWrapper

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
def test_expressions_mean_what_they_mean_in_python(value, text):
    ours, python = value(text), value(text, trust_input=True)
    assert type(ours) is type(python)
    ours, python = (v.data if isinstance(v, TensorWrapper) else v for v in (ours, python))
    assert ours.dtype == python.dtype
    assert torch.equal(ours, python)


def test_blocks_assign_a_result(value):
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
