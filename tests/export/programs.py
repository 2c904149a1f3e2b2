"""Small modules whose exports hold what real models seldom do: branches, loops, contexts, sizes."""

import torch
from torch import nn
from torch._higher_order_ops.hints_wrap import hints_wrapper
from torch._higher_order_ops.map import map as map_rows
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop


class OneLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)


class TwoLinears(OneLinear):
    def __init__(self):
        super().__init__()
        self.b = nn.Linear(3, 3)


class Branch(TwoLinears):
    """The branch depends on values."""

    def forward(self, x):
        return torch.cond(
            x.sum() > 0, lambda x: self.a(x).relu(), lambda x: self.b(x) * 2, (x,)
        )


class BranchOnSize(TwoLinears):
    def forward(self, x):
        return torch.cond(
            x.shape[0] > 3, lambda x: self.a(x), lambda x: self.b(self.a(x)), (x,)
        )


class NestedBranches(TwoLinears):
    def forward(self, x):
        def inner(x):
            return torch.cond(x.mean() > 1, lambda x: self.a(x), lambda x: self.b(x), (x,))

        return self.a(torch.cond(x.sum() > 0, inner, lambda x: x * 3, (x,)))


class WhileLoop(OneLinear):
    def forward(self, x):
        def again(step, x):
            return step < 3

        def body(step, x):
            return step + 1, torch.tanh(self.a(x))

        return while_loop(again, body, (torch.zeros((), dtype=torch.long), x))[1]

    def plain(self, x):
        for _ in range(3):
            x = torch.tanh(self.a(x))
        return x


class MapRows(OneLinear):
    def forward(self, x, y):
        return map_rows(lambda row, y: self.a(row) + y.sum(), x, y)


class Scan(OneLinear):
    def forward(self, x):
        def step(state, row):
            state = torch.tanh(self.a(row) + state)
            return state, state * 2

        last, rows = scan(step, x.mean(0), x)
        return rows, last


class NoGradient(TwoLinears):
    """The layer `a` learns nothing."""

    def forward(self, x):
        with torch.no_grad():
            y = self.a(x)
        with torch.no_grad():
            z = self.a(y)
            with torch.enable_grad():
                z = self.b(z)
        return self.b(y) + z


class Autocast(TwoLinears):
    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = self.a(x)
            with torch.autocast("cpu", enabled=False):
                y = self.a(y.float())
            y = self.b(y)
        return self.b(y.float())


class Hints(TwoLinears):
    def forward(self, x):
        y = hints_wrapper(lambda x: self.a(x).relu(), (x,), {}, hints={"outer": True, "n": 1})
        return self.b(y)

    def plain(self, x):
        return self.b(self.a(x).relu())


class Layers(OneLinear):
    def __init__(self):
        super().__init__()
        self.batch = nn.BatchNorm1d(3)
        self.norm = nn.LayerNorm(3)

    def forward(self, x):
        return self.a(self.norm(nn.functional.gelu(self.batch(x))))


class Writes(OneLinear):
    """Into its input and into a buffer; the second output is the buffer itself."""

    def __init__(self):
        super().__init__()
        self.register_buffer("steps", torch.zeros(3))

    def forward(self, x):
        x.mul_(2)
        self.steps.add_(1)
        return self.a(x) * self.steps, self.steps


class Counts(OneLinear):
    """Into a buffer that backward needs."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        self.calls += 1
        return self.a(x) * self.calls


class OnlyFromSix(OneLinear):
    def forward(self, x):
        return self.a(x) if x.shape[0] > 5 else x


class RowsTwiceAsMany(OneLinear):
    """`y` has one row more than twice those of `x`."""

    def forward(self, x, y):
        return self.a(x) + y[1::2]


class WholeFours(nn.Module):
    def forward(self, x):
        return x.reshape(-1, 4)


# PyTorch gives no gradients through its own `while_loop` and `hints_wrapper` in eager mode: `plain`
# computes the same without them.
# name -> (module, number of inputs, how it is exported)
PROGRAMS = {
    "branch": (Branch, 1, ""),
    "branch_on_size": (BranchOnSize, 1, ""),
    "nested_branches": (NestedBranches, 1, ""),
    "while_loop": (WhileLoop, 1, ""),
    "map_rows": (MapRows, 2, ""),
    "scan": (Scan, 1, ""),
    "no_gradient": (NoGradient, 1, ""),
    "autocast": (Autocast, 1, ""),
    "hints": (Hints, 1, "strict"),
    "layers": (Layers, 1, "decomposed"),
    "counts": (Counts, 1, ""),
    "writes": (Writes, 1, ""),
    "writes_decomposed": (Writes, 1, "decomposed"),
}


def make(name):
    """The module, in the same state every time."""
    torch.manual_seed(17)
    return PROGRAMS[name][0]().eval()


def export(name, module):
    _, inputs, how = PROGRAMS[name]
    program = export_module(module, inputs, strict=how == "strict")
    return program.run_decompositions() if how == "decomposed" else program


def export_module(module, inputs=1, **options):
    examples = tuple(torch.randn(8, 3) for _ in range(inputs))
    dynamic = ({0: torch.export.Dim.DYNAMIC},) * inputs
    return torch.export.export(module, examples, dynamic_shapes=dynamic, **options)


def inputs(name):
    """Named inputs of several sizes and signs, so that each branch is taken."""
    torch.manual_seed(18)
    for rows, shift in ((4, 1.0), (3, -1.0), (7, 5.0)):
        tensors = [torch.randn(rows, 3) + shift for _ in range(PROGRAMS[name][1])]
        yield dict(zip("xy", tensors))


def tensors(outputs):
    """The tensors among the outputs, flattened."""
    return [each for each in torch.utils._pytree.tree_leaves(outputs) if torch.is_tensor(each)]
