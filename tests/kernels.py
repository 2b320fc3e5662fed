"""What Numba has compiled, for tests that nothing is compiled once a flow is under way."""

from __future__ import annotations

from types import ModuleType

Signatures = dict[str, int]


def compiled(*modules: ModuleType) -> Signatures:
    """How often each kernel of the modules was compiled, or loaded for types of its own."""
    kernels = {name: value for module in modules for name, value in vars(module).items()}
    return {name: len(kernel.signatures) for name, kernel in kernels.items() if hasattr(kernel, "signatures")}
