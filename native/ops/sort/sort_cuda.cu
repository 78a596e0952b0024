#include "cuda/context.h"
// context.h first.
#include "ops/sort/sort.h"

// Every result is a function of the input alone, found by counting: element j stands at the place that as many elements precede
// it as beat it. The work grows with the square of a row's length.
TK_BEGIN_CUDA
namespace {

// Whether a goes before b among the largest: NaN is less than everything, equal values keep the order of their indices.
template <class T>
__device__ inline bool goes_before(T a, int64_t a_index, T b, int64_t b_index) {
  const bool a_nan = a != a, b_nan = b != b;
  if (a_nan != b_nan) return b_nan;
  if (!a_nan && a != b) return a > b;
  return a_index < b_index;
}

template <class T>
void top_k_of(const OpCall& call, const CudaContext& context) {
  const int64_t n = call[0].dims[1], k = call[1].dims[1];
  const T* x = static_cast<const T*>(call[0].data);
  T* values = static_cast<T*>(call[1].data);
  int32_t* indices = call[2].i32();
  if (k == 0) return;
  for_each(
      context, call[0].size,
      [=] __device__(int64_t i) {
        const int64_t row = i / n, own = i % n;
        const T* elements = x + row * n;
        const T value = elements[own];
        int64_t rank = 0;
        for (int64_t j = 0; j < n && rank < k; ++j) rank += goes_before(elements[j], j, value, own);
        if (rank >= k) return;
        values[row * k + rank] = value;
        indices[row * k + rank] = int32_t(own);
      },
      1);
}

template <class T>
void search_sorted_of(const OpCall& call, const CudaContext& context) {
  const int64_t n = call[0].dims[1], m = call[1].dims[1];
  const T* sorted = static_cast<const T*>(call[0].data);
  const T* values = static_cast<const T*>(call[1].data);
  int32_t* y = call[2].i32();
  const bool right = TK_INT(call, search_sorted, right) != 0;
  for_each(context, call[2].size, [=] __device__(int64_t i) {
    const T* row = sorted + i / m * n;
    const T value = values[i];
    int64_t low = 0, high = n;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (right ? row[middle] <= value : row[middle] < value) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    y[i] = int32_t(low);
  });
}

// NaNs are equal to each other, -0 to 0.
template <class T>
__device__ inline bool same_value(T a, T b) {
  return a == b || (a != a && b != b);
}

template <class T>
void unique_of(const OpCall& call, const CudaContext& context) {
  const int64_t outer = call[0].dims[0], n = call[0].dims[1], inner = call[0].dims[2];
  const T* x = static_cast<const T*>(call[0].data);
  int32_t *ids = call[1].i32(), *first = call[2].i32(), *count = call[3].i32();
  int32_t* earliest = static_cast<int32_t*>(call.workspace);
  for_each(
      context, n,
      [=] __device__(int64_t j) {
        int64_t found = j;
        for (int64_t i = 0; i < j && found == j; ++i) {
          bool same = true;
          for (int64_t o = 0; o < outer && same; ++o) {
            for (int64_t c = 0; c < inner && same; ++c) {
              same = same_value(x[(o * n + i) * inner + c], x[(o * n + j) * inner + c]);
            }
          }
          if (same) found = i;
        }
        earliest[j] = int32_t(found);
      },
      1);
  // One thread numbers them: a pass over n integers.
  for_each(context, 1, [=] __device__(int64_t) {
    int32_t numbers = 0;
    for (int64_t j = 0; j < n; ++j) {
      first[j] = 0;
      if (earliest[j] != j) {
        ids[j] = ids[earliest[j]];
      } else {
        first[numbers] = int32_t(j);
        ids[j] = numbers++;
      }
    }
    *count = numbers;
  });
}

// Calls body with a value of the dtype's type.
template <class Body>
void by_type(DType dtype, const Body& body) {
  if (dtype == DType::f32) return body(float());
  if (dtype == DType::i32) return body(int32_t());
  body(uint8_t());
}

}  // namespace

void top_k_cuda(const OpCall& call, CudaContext& context) {
  TK_CHECK(call[0].rank == 2 && call[1].rank == 2);
  by_type(call[0].dtype, [&](auto tag) { top_k_of<decltype(tag)>(call, context); });
}

void search_sorted_cuda(const OpCall& call, CudaContext& context) {
  TK_CHECK(call[0].rank == 2 && call[1].rank == 2);
  TK_CHECK_EQ(call[0].dims[0], call[1].dims[0]);
  TK_CHECK_EQ(call[2].size, call[1].size);
  by_type(call[0].dtype, [&](auto tag) { search_sorted_of<decltype(tag)>(call, context); });
}

int64_t unique_cuda_workspace(const OpCall& call) { return call[1].size * int64_t(sizeof(int32_t)); }

void unique_cuda(const OpCall& call, CudaContext& context) {
  TK_CHECK_EQ(call[0].rank, 3);
  by_type(call[0].dtype, [&](auto tag) { unique_of<decltype(tag)>(call, context); });
}

TK_END_CUDA
