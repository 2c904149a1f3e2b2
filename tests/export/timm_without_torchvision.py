"""timm, imported without torchvision.

timm imports torchvision for reading images; its wheel does not load beside PyTorch's CPU wheel, and
no model needs it. A stand-in takes its place while timm is imported:

    from timm_without_torchvision import timm
"""

import importlib.abc
import importlib.machinery
import sys
import types


class _Standin(type):
    """A class that has whatever is asked of it."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return f"{cls.__name__}.{name}"


class _StandinModule(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Standin(name, (), {})


class _StandinFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torchvision":
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return _StandinModule(spec.name)

    def exec_module(self, module):
        pass


_finder = _StandinFinder()
sys.meta_path.insert(0, _finder)
import timm  # noqa: E402,F401

sys.meta_path.remove(_finder)
for _name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
    del sys.modules[_name]
