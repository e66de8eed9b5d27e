"""The peer's side: run by the Python of an environment with NEML2 3.1.0, it answers JSON lines.

Requests: ``versions``; ``load`` (file, size, threads) builds a driver under a name and runs two small steps;
``run`` gives the seconds of a whole run; ``stress`` saves the final stress; ``drop`` frees a driver.
It imports nothing of ours.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time


class Server:
    """Drivers by name."""

    def __init__(self) -> None:
        import torch

        self.torch = torch
        start = time.perf_counter()
        import neml2

        self.import_s = time.perf_counter() - start
        self.neml2 = neml2
        torch.set_default_dtype(torch.float64)
        self.drivers: dict = {}
        self.finals: dict = {}

    def versions(self) -> dict:
        return {
            "neml2": self.neml2.__version__.lstrip("v"),
            "torch": self.torch.__version__,
            "python": platform.python_version(),
            "import_s": self.import_s,
        }

    def load(self, name: str, file: str, points: int, steps: int, threads: int) -> dict:
        self.torch.set_num_threads(threads)
        self.drop(name)
        start = time.perf_counter()
        with self.torch.no_grad():
            self._driver(file, points, 2, "amplitude:=1e-5").run()  # the first call loads a compiled model
        seconds = time.perf_counter() - start
        self.drivers[name] = (self._driver(file, points, steps), threads)
        return {"build_s": seconds}

    def _driver(self, path: str, points: int, steps: int, *more: str):
        size = [f"points:={points}", f"steps:={steps}", *more]
        return self.neml2.load_input(path, additional_args=size).get_driver("driver")

    def run(self, name: str) -> dict:
        driver, threads = self.drivers[name]
        self.torch.set_num_threads(threads)
        with self.torch.no_grad():
            start = time.perf_counter()
            driver.run()
            seconds = time.perf_counter() - start
        self.finals[name] = driver.result_out[-1]["stress"].data.clone()
        for steps in (driver.result_in, driver.result_out):
            steps.clear()  # a large history is not kept while others run
        return {"seconds": seconds}

    def stress(self, name: str, file: str) -> dict:
        import numpy

        numpy.save(file, self.finals[name].numpy())
        return {}

    def drop(self, name: str) -> dict:
        self.drivers.pop(name, None)
        self.finals.pop(name, None)
        return {}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever is printed goes to stderr; the answers alone go to stdout
    server = Server()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(server, request.pop("do"))(**request)
        except Exception as error:  # the suite records it and goes on
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
