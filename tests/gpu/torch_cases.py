"""The cases of gpu-bench and gpu-steps in PyTorch: reads one JSON line {"name", "mode"}, answers {"microseconds"} or {"error"}.

f32 with TF32 off, since Tensorkiln's f32 is accurate, but where a name says bf16; cuDNN chooses by measuring; channels last, as in Tensorkiln.
Modes: eager, compiled (torch.compile).
"""

import json
import sys
import time

import torch
import torch.nn.functional as F

torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
torch.backends.cudnn.benchmark = True
torch.manual_seed(7)
DEVICE = "cuda"


def normal(*shape, grad=False):
    return torch.randn(*shape, device=DEVICE).requires_grad_(grad)


def conv_inputs(grad):
    x = torch.randn(32, 64, 56, 56, device=DEVICE).to(memory_format=torch.channels_last).requires_grad_(grad)
    w = torch.randn(64, 64, 3, 3, device=DEVICE).to(memory_format=torch.channels_last).requires_grad_(grad)
    return x, w


def conv_gradients():
    x, w = conv_inputs(True)
    y = F.conv2d(x, w, padding=1)
    dy = torch.randn_like(y)
    return lambda: torch.autograd.grad(F.conv2d(x, w, padding=1), (x, w), dy)


def attention(grad, dtype=torch.float32):
    def heads():
        return torch.randn(4, 16, 2048, 64, device=DEVICE, dtype=dtype)

    q, k, v = (heads().requires_grad_(grad) for _ in range(3))

    def run():
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    if not grad:
        return run
    dy = heads()
    return lambda: torch.autograd.grad(run(), (q, k, v), dy)


def adam():
    weights = [torch.nn.Parameter(normal(1 << 24)) for _ in range(4)]
    for weight in weights:
        weight.grad = torch.randn_like(weight)
    optimizer = torch.optim.Adam(weights, lr=1e-4, fused=True)
    return optimizer.step


def training(model, x):
    model = model.to(DEVICE)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    y = torch.zeros(x.shape[0], dtype=torch.long, device=DEVICE)

    def step():
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss

    return step


def mlp():
    layers = torch.nn.Sequential(
        torch.nn.Linear(784, 512), torch.nn.ReLU(), torch.nn.Linear(512, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10)
    )
    return training(layers, normal(128, 784))


def cnn():
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(1, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(32, 64, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(64 * 49, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10),
    )  # fmt: skip
    return training(layers.to(memory_format=torch.channels_last), normal(128, 1, 28, 28))


def on_matrix(function):
    x = normal(8192, 4096)
    return lambda: function(x)


def layer_norm():
    x, scale, offset = normal(8192, 4096), torch.ones(4096, device=DEVICE), torch.zeros(4096, device=DEVICE)
    return lambda: F.layer_norm(x, (4096,), scale, offset)


def cross_entropy():
    x, y = normal(8192, 4096), torch.zeros(8192, dtype=torch.long, device=DEVICE)
    return lambda: F.cross_entropy(x, y)


def conv():
    x, w = conv_inputs(False)
    return lambda: F.conv2d(x, w, padding=1)


CASES = {
    "copy": lambda: on_matrix(torch.neg),
    "softmax": lambda: on_matrix(lambda x: torch.softmax(x, -1)),
    "layer norm": layer_norm,
    "sum": lambda: on_matrix(torch.sum),
    "transpose": lambda: on_matrix(lambda x: x.t().contiguous()),
    "cross entropy": cross_entropy,
    "conv 3x3": conv,
    "conv 3x3 gradients": conv_gradients,
    "attention causal": lambda: attention(False),
    "attention causal gradients": lambda: attention(True),
    "attention causal bf16": lambda: attention(False, torch.bfloat16),
    "attention causal bf16 gradients": lambda: attention(True, torch.bfloat16),
    "adam": adam,
    "step MLP 784-512-256-10": mlp,
    "step CNN 28x28": cnn,
}

made = {}


def timed(name, mode):
    if (name, mode) not in made:
        made.clear()  # one case's memory at a time
        run = CASES[name]()
        made[name, mode] = torch.compile(run) if mode == "compiled" else run
    run = made[name, mode]
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    started = time.perf_counter()
    run()
    torch.cuda.synchronize()
    repeats = min(1000, max(3, round(0.05 / (time.perf_counter() - started))))
    started = time.perf_counter()
    for _ in range(repeats):
        run()
    torch.cuda.synchronize()
    return (time.perf_counter() - started) / repeats * 1e6


for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = {"microseconds": timed(request["name"], request["mode"])}
    except Exception as error:  # every failure is an answer: the other cases go on
        answer = {"error": f"{type(error).__name__}: {error}"[:300]}
    print(json.dumps(answer), flush=True)
