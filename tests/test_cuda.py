"""The eager engine on a GPU; without one these tests are skipped."""

from pathlib import Path

import pytest
import torch

import neml2

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
SCENARIOS = Path(__file__).parent / "scenarios"


@pytest.mark.parametrize("name", ["vp_voce_rateform", "ri_fb_isokin", "radial_return_ri"])
def test_a_history_on_the_device_equals_the_one_on_the_cpu(name):
    def run(device):
        driver = neml2.load_input(SCENARIOS / name / "model.i").get_driver("driver").to(device=device)
        with torch.no_grad():
            return driver.run()

    here, there = run("cpu"), run("cuda")
    assert there["stress"].data.is_cuda
    scale = here["stress"].data.abs().max()
    assert (there["stress"].data.cpu() - here["stress"].data).abs().max() < 1e-7 * scale
    assert torch.equal(there.status.cpu(), here.status)


def test_gradients_on_the_device():
    driver = neml2.load_input(SCENARIOS / "vp_voce_rateform" / "model.i").get_driver("driver")
    gradients = {}
    for device in ("cpu", "cuda"):
        driver.to(device=device)
        driver.model.zero_grad()
        driver.run()["stress"].data[-1].sum().backward()
        gradients[device] = {n: p.grad.cpu().clone() for n, p in driver.model.named_parameters()}
    for n, g in gradients["cpu"].items():
        assert torch.allclose(gradients["cuda"][n], g, rtol=1e-6, atol=1e-9 * float(g.abs().max()))
