"""The models of models.ts in PyTorch: steps_torch.py <eager|compile> <model> <threads>. Answers `run <count>` as worker.ts does."""
import json
import os
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

mode, name, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
torch.set_num_threads(threads)
torch.manual_seed(1)


class Block(nn.Module):
    def __init__(self, width, heads, hidden, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.out(y.transpose(1, 2).reshape(n, t, c))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Transformer(nn.Module):
    def __init__(self, tokens, width, heads, hidden, layers, length, outputs, causal):
        super().__init__()
        self.embed = nn.Embedding(tokens, width)
        self.positions = nn.Parameter(torch.randn(length, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, heads, hidden, causal) for _ in range(layers))
        self.norm = nn.LayerNorm(width) if causal else nn.Identity()
        self.head = nn.Linear(width, outputs, bias=not causal)
        self.causal = causal

    def forward(self, x):
        x = self.embed(x) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x) if self.causal else x.mean(1))


class BiLstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5000, 128)
        self.lstm = nn.LSTM(128, 64, bidirectional=True, batch_first=True)
        self.head = nn.Linear(128, 2)

    def forward(self, x):
        _, (h, _) = self.lstm(self.embed(x))
        return self.head(torch.cat([h[0], h[1]], 1))


class Residual(nn.Module):
    def __init__(self, inputs, filters, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, filters, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(filters), nn.BatchNorm2d(filters)
        self.short = (
            nn.Identity() if stride == 1
            else nn.Sequential(nn.Conv2d(inputs, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))
        )

    def forward(self, x):
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.short(x))


def resnet18():
    layers = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    inputs = 64
    for filters, stride in [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)]:
        layers.append(Residual(inputs, filters, stride))
        inputs = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def mlp(*sizes):
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers += [nn.Linear(a, b)] + ([nn.ReLU()] if i + 2 < len(sizes) else [])
    return nn.Sequential(*layers)


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10),
    )


def images(n, c, size):
    return torch.randn(n, c, size, size).to(memory_format=torch.channels_last)


def integers(limit, *shape):
    return torch.randint(0, limit, shape)


cases = {
    "mlp": lambda: (mlp(784, 512, 256, 10), torch.randn(128, 784), integers(10, 128), "adam"),
    "tiny": lambda: (mlp(4, 16, 3), torch.randn(16, 4), integers(3, 16), "adam"),
    "lenet": lambda: (lenet().to(memory_format=torch.channels_last), images(64, 1, 28), integers(10, 64), "adam"),
    "bilstm": lambda: (BiLstm(), integers(5000, 64, 50), integers(2, 64), "adam"),
    "transformer": lambda: (
        Transformer(5000, 256, 4, 1024, 4, 128, 2, False), integers(5000, 16, 128), integers(2, 16), "adam"),
    "resnet18": lambda: (resnet18().to(memory_format=torch.channels_last), images(32, 3, 32), integers(10, 32), "none"),
    "gpt": lambda: (Transformer(65, 384, 6, 1536, 6, 256, 65, True), integers(65, 8, 256), integers(65, 8, 256), "adamw"),
    "gpt-small": lambda: (Transformer(65, 128, 4, 512, 4, 64, 65, True), integers(65, 12, 64), integers(65, 12, 64), "adamw"),
}
model, x, labels, kind = cases[name]()
optimizers = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
optimizer = optimizers[kind](model.parameters(), lr=1e-3) if kind in optimizers else None
forward = torch.compile(model) if mode == "compile" else model


def step():
    model.zero_grad(set_to_none=True)
    logits = forward(x)
    loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))
    loss.backward()
    if optimizer is not None:
        optimizer.step()
    return loss


for _ in range(5):
    step()
print(json.dumps({"ready": True, "torch": torch.__version__, "pid": os.getpid()}), flush=True)
for line in sys.stdin:
    count = int(line.split()[1])
    start = time.perf_counter()
    for _ in range(count):
        loss = step()
    loss.item()
    print(json.dumps({"ms": (time.perf_counter() - start) / count * 1e3}), flush=True)
