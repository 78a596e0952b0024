"""The work of bench/data/run.mjs in pandas: read, fill, scale, one-hot, float32.

    python bench/data/pandas_table.py <file> [repetitions]
"""

import sys
import time

import numpy as np
import pandas as pd

path, repetitions = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
best = float("inf")
least = float("inf")
for _ in range(repetitions):
    start = time.perf_counter()
    cpu = time.process_time()
    frame = pd.read_csv(path)
    frame.pop("c0")
    numbers = frame.select_dtypes("number")
    numbers = numbers.fillna(numbers.median())
    numbers = (numbers - numbers.mean()) / numbers.std(ddof=0)
    texts = frame.select_dtypes(exclude="number")
    texts = texts.fillna(texts.mode().iloc[0])
    matrix = np.hstack([numbers.to_numpy(np.float32), pd.get_dummies(texts, dtype=np.float32).to_numpy()])
    best = min(best, time.perf_counter() - start)
    least = min(least, time.process_time() - cpu)
print(
    f"{matrix.shape[0]} x {matrix.shape[1]}: best {best:.2f} s; {matrix.shape[0] / best / 1e6:.2f} M rows/s; "
    f"least processor time {least:.2f} s"
)
