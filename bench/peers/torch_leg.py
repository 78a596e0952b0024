"""PyTorch on the CPU, eager, without autograd bookkeeping. Operands are NHWC memory where images are meant."""

import os

import torch
import torch.nn.functional as F

from leg import serve

torch.set_num_threads(int(os.environ.get("TENSORKILN_BENCH_THREADS", "1")))
torch.set_grad_enabled(False)


def tensors(request):
    return [torch.from_numpy(a) for a in request.arrays]


def flat(tensor):
    return lambda: tensor.detach().reshape(-1).numpy()


def into(out, function):
    return lambda: function(out), flat(out)


def held(function):
    """For ops without an out argument; the caching of freed memory is malloc's (see the environment of this leg)."""
    kept = [None]

    def call():
        kept[0] = None
        kept[0] = function()

    return call, lambda: kept[0].detach().contiguous().reshape(-1).numpy()


def gemm(r):
    a, b, c = tensors(r)
    batch, m, n, k, ta, tb = r.ints
    if batch == 1:
        a, b, c = a.reshape(a.shape[-2:]), b.reshape(b.shape[-2:]), c.reshape(c.shape[-2:])
        a, b = a.t() if ta else a, b.t() if tb else b
        return into(c, lambda out: torch.mm(a, b, out=out))
    a, b = a.transpose(1, 2) if ta else a, b.transpose(1, 2) if tb else b
    return into(c, lambda out: torch.bmm(a, b, out=out))


def conv(r):
    which, n, h, w, c, co, kh, kw, stride, pad, depthwise = r.ints
    t = tensors(r)
    groups = c if depthwise else 1
    oh, ow = (h + 2 * pad - kh) // stride + 1, (w + 2 * pad - kw) // stride + 1
    last = torch.channels_last

    def image(x):
        return x.permute(0, 3, 1, 2).contiguous(memory_format=last)

    def kernel(f):
        f = f.reshape(kh, kw, c, 1).permute(2, 3, 0, 1) if depthwise else f.permute(3, 2, 0, 1)
        return f.contiguous(memory_format=last)

    def nhwc(x):
        return x.permute(0, 2, 3, 1)

    def hwio(f):
        return f.permute(2, 3, 0, 1) if depthwise else f.permute(2, 3, 1, 0)

    if which == 0:
        x, f = image(t[0]), kernel(t[1])
        call, kept = held(lambda: nhwc(F.conv2d(x, f, None, stride, pad, 1, groups)))
        return call, kept
    size = [n, c, h, w]
    args = [[stride] * 2, [pad] * 2, [1, 1], False, [0, 0], groups]
    if which == 1:
        dy, f = image(t[0]), kernel(t[1])
        x = torch.empty(size).contiguous(memory_format=last)
        mask = [True, False, False]
        return held(lambda: nhwc(torch.ops.aten.convolution_backward(dy, x, f, None, *args, mask)[0]))
    x, dy = image(t[0]), image(t[1])
    f = torch.empty(co, c // groups, kh, kw).contiguous(memory_format=last)
    mask = [False, True, False]
    return held(lambda: hwio(torch.ops.aten.convolution_backward(dy, x, f, None, *args, mask)[1]))


def unary(function):
    def make(r):
        x, y = tensors(r)
        return into(y, lambda out: function(x, out=out))

    return make


def row_norm(r):
    x, scale, offset, y = tensors(r)
    return held(lambda: F.layer_norm(x, [x.shape[-1]], scale, offset, r.floats[0]))


def adam(r):
    param, grad, m, v = tensors(r)
    with torch.enable_grad():
        p = param.clone().requires_grad_(True)
    p.grad = grad
    optimizer = torch.optim.Adam([p], lr=r.floats[0], fused=True)
    return lambda: optimizer.step(), flat(p)


def attention(r):
    q, k, v = (t.permute(0, 2, 1, 3) for t in tensors(r)[:3])
    causal = bool(r.ints[0])
    q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
    return held(lambda: F.scaled_dot_product_attention(q, k, v, is_causal=causal).permute(0, 2, 1, 3))


def lstm(r):
    x, kernel, recurrent, bias = tensors(r)[:4]
    units = recurrent.shape[0]
    layer = torch.nn.LSTM(x.shape[2], units, batch_first=True)
    layer.weight_ih_l0.copy_(kernel.t())
    layer.weight_hh_l0.copy_(recurrent.t())
    layer.bias_ih_l0.copy_(bias)
    layer.bias_hh_l0.zero_()
    return held(lambda: layer(x)[0])


def embedding_grad(r):
    dy, ids, out = tensors(r)
    ids = ids.long()
    rows = out.shape[0]
    return held(lambda: torch.ops.aten.embedding_dense_backward(dy, ids, rows, -1, False))


def with_int64_indices(r):
    x, ids, y = tensors(r)
    ids = ids.long()
    return into(y, lambda out: torch.index_select(x, 0, ids, out=out))


def binary(function):
    def make(r):
        a, b, y = tensors(r)
        return into(y, lambda out: function(a, b, out=out))

    return make


def activation(approximate):
    def make(r):
        x, _ = tensors(r)
        return held(lambda: F.gelu(x, approximate=approximate))

    return make


def relu(r):
    x, y = tensors(r)
    return into(y, lambda out: torch.clamp_min(x, 0, out=out))


def argmax(r):
    x, _ = tensors(r)
    return held(lambda: torch.argmax(x, -1).int())


def batch_norm(r):
    x, scale, offset, _ = tensors(r)
    image = x.permute(0, 3, 1, 2)
    mean, variance = torch.zeros_like(scale), torch.ones_like(scale)
    return held(lambda: F.batch_norm(image, mean, variance, scale, offset, True, 0.1, r.floats[0]).permute(0, 2, 3, 1))


def batch_norm_grad(r):
    dy, x, scale, mean, inverse, _ = tensors(r)
    dy, x = dy.permute(0, 3, 1, 2), x.permute(0, 3, 1, 2)
    args = [scale, None, None, mean, inverse, True, r.floats[0], [True, True, True]]
    return held(lambda: torch.ops.aten.native_batch_norm_backward(dy, x, *args)[0].permute(0, 2, 3, 1))


def softmax(r):
    x, y = tensors(r)
    return into(y, lambda out: torch.softmax(x, -1, out=out))


def sum_all(r):
    x, _ = tensors(r)
    return held(lambda: x.sum().reshape(1))


def sum_first(r):
    x, y = tensors(r)
    return into(y, lambda out: torch.sum(x, 0, out=out))


def permute(r):
    x, y = tensors(r)
    view = x.permute(r.ints)
    return into(y, lambda out: out.copy_(view))


def top_k(r):
    x, values = tensors(r)
    return held(lambda: torch.topk(x, values.shape[-1])[0])


def max_pool(r):
    x, _ = tensors(r)
    image = x.permute(0, 3, 1, 2)
    return held(lambda: F.max_pool2d(image, r.ints[0], r.ints[1]).permute(0, 2, 3, 1))


OPS = {
    "gemm": gemm,
    "conv": conv,
    "add": binary(torch.add),
    "mul": binary(torch.mul),
    "relu": relu,
    "gelu": activation("none"),
    "gelu_tanh": activation("tanh"),
    "sum_all": sum_all,
    "sum_first": sum_first,
    "argmax": argmax,
    "softmax": softmax,
    "row_norm": row_norm,
    "batch_norm": batch_norm,
    "batch_norm_grad": batch_norm_grad,
    "permute": permute,
    "gather": with_int64_indices,
    "embedding_grad": embedding_grad,
    "top_k": top_k,
    "adam": adam,
    "attention": attention,
    "lstm": lstm,
    "max_pool": max_pool,
}
for name in ("exp", "log", "tanh", "sigmoid", "erf", "sin", "cos", "sqrt", "rsqrt"):
    OPS[name] = unary(getattr(torch, name))

serve(f"PyTorch {torch.__version__}", lambda r: OPS[r.name](r) if r.name in OPS else None)
