"""Stand-ins for packages that others import and no model needs.

The wheels of torchvision and torchaudio do not load beside PyTorch's CPU wheel. While a block runs
under `stand_ins("torchvision")`, importing the package, or anything in it, gives an empty module that
has whatever is asked of it:

    with stand_ins("torchvision"):
        import timm
"""

import contextlib
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
    def __init__(self, packages):
        self.packages = packages

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.packages:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return _StandinModule(spec.name)

    def exec_module(self, module):
        pass


@contextlib.contextmanager
def stand_ins(*packages):
    finder = _StandinFinder(packages)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.split(".")[0] in packages]:
            del sys.modules[name]
