import pytest
import torch


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
def test_nothing_outside_the_table_can_be_reached(refusal, others, text):
    before = others["half"].data.clone()
    refusal(text)
    assert torch.equal(others["half"].data, before)
