"""onnxruntime on the CPU: one-node graphs, inputs and outputs bound once, so no copies at the call."""

import os

import numpy
import onnxruntime
from onnx import TensorProto, helper

from leg import serve

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(os.environ.get("TENSORKILN_BENCH_THREADS", "1"))
options.inter_op_num_threads = 1
options.log_severity_level = 3


def node(op, inputs, output, **attributes):
    """inputs: numpy arrays; output: shape. Gives (call, result)."""
    types = {"f": TensorProto.FLOAT, "i": TensorProto.INT32}
    names = [f"x{i}" for i in range(len(inputs))]
    declared = [helper.make_tensor_value_info(n, types[a.dtype.kind], a.shape) for n, a in zip(names, inputs)]
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, output)
    graph = helper.make_graph([helper.make_node(op, names, ["y"], **attributes)], "g", declared, [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(a) for a in inputs]
    for name, value in zip(names, values):
        binding.bind_ortvalue_input(name, value)
    y = onnxruntime.OrtValue.ortvalue_from_shape_and_type(list(output), numpy.float32)
    binding.bind_ortvalue_output("y", y)
    return lambda: session.run_with_iobinding(binding), lambda: y.numpy().reshape(-1)


def gemm(r):
    batch, m, n, k, ta, tb = r.ints
    a, b, c = r.arrays
    if batch == 1:
        return node("Gemm", [a.reshape(a.shape[-2:]), b.reshape(b.shape[-2:])], c.shape[-2:], transA=ta, transB=tb)
    return None if ta or tb else node("MatMul", [a, b], c.shape)


def simple(op, count, **attributes):
    return lambda r: node(op, r.arrays[:count], r.arrays[-1].shape, **attributes)


OPS = {
    "gemm": gemm,
    "add": simple("Add", 2),
    "mul": simple("Mul", 2),
    "relu": simple("Relu", 1),
    "gelu": simple("Gelu", 1),
    "gelu_tanh": simple("Gelu", 1, approximate="tanh"),
    "exp": simple("Exp", 1),
    "log": simple("Log", 1),
    "tanh": simple("Tanh", 1),
    "sigmoid": simple("Sigmoid", 1),
    "erf": simple("Erf", 1),
    "sqrt": simple("Sqrt", 1),
    "softmax": simple("Softmax", 1, axis=-1),
    "gather": simple("Gather", 2),
    "permute": lambda r: node("Transpose", r.arrays[:1], r.arrays[-1].shape, perm=r.ints),
    "row_norm": lambda r: node("LayerNormalization", r.arrays[:3], r.arrays[3].shape, epsilon=r.floats[0]),
}

serve(f"onnxruntime {onnxruntime.__version__}", lambda r: OPS[r.name](r) if r.name in OPS else None)
