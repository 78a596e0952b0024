"""examples/shakespeare/train.mjs in PyTorch, step for step: shakespeare_torch.py <threads> <steps> <input.txt> [seed] [eager|compile]

Same model, batches of the same size, schedule, clipping and decay, and the same judgement of the whole validation part. Prints one
JSON line: seconds of the steps alone, and the validation loss.
"""
import json
import math
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

threads, steps, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
seed = int(sys.argv[4]) if len(sys.argv) > 4 else 0
mode = sys.argv[5] if len(sys.argv) > 5 else "eager"
torch.set_num_threads(threads)
torch.manual_seed(seed)
LAYERS, HEADS, WIDTH, LENGTH, BATCH = 4, 4, 128, 64, 12
HIGHEST, LOWEST, WARM_UP = 1e-3, 1e-4, 100

text = open(path, encoding="utf-8").read()
characters = sorted(set(text))
number_of = {character: number for number, character in enumerate(characters)}
tokens = torch.tensor([number_of[character] for character in text])
border = int(0.9 * len(tokens))
train, validation = tokens[:border], tokens[border:]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, t, 3, HEADS, c // HEADS).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(n, t, c))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(len(characters), WIDTH)
        self.positions = nn.Parameter(torch.randn(LENGTH, WIDTH) * 0.02)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        nn.init.normal_(self.embed.weight, std=0.02)

    def forward(self, x):
        x = self.embed(x) + self.positions
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.embed.weight)


model = Gpt()
matrices = [p for p in model.parameters() if p.dim() >= 2]
vectors = [p for p in model.parameters() if p.dim() < 2]
groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
optimizer = torch.optim.AdamW(groups, lr=HIGHEST, betas=(0.9, 0.99))
forward = torch.compile(model) if mode == "compile" else model


def rows_at(source, places):
    index = torch.as_tensor(places)[:, None] + torch.arange(LENGTH)
    return source[index], source[index + 1]


def loss_of(network, x, y):
    return F.cross_entropy(network(x).view(-1, len(characters)), y.reshape(-1))


def rate_at(step):
    if step < WARM_UP:
        return HIGHEST * (step + 1) / (WARM_UP + 1)
    share = (step - WARM_UP) / (steps - WARM_UP)
    return LOWEST + (1 + math.cos(math.pi * share)) / 2 * (HIGHEST - LOWEST)


starts = np.random.default_rng(seed).integers(0, len(train) - LENGTH - 1, size=(steps, BATCH))
begin = time.perf_counter()
for step in range(steps):
    for group in optimizer.param_groups:
        group["lr"] = rate_at(step)
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of(forward, *rows_at(train, starts[step]))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
loss.item()
seconds = time.perf_counter() - begin

count = (len(validation) - 1) // LENGTH
total = 0.0
with torch.no_grad():
    for row in range(0, count, BATCH):
        places = [(row + i) * LENGTH for i in range(min(BATCH, count - row))]
        total += loss_of(model, *rows_at(validation, places)).item() * len(places)
print(json.dumps({"seed": seed, "mode": mode, "threads": threads, "steps": steps, "seconds": seconds, "validation_loss": total / count}))
