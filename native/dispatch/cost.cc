#include "dispatch/cost.h"

#include <algorithm>

namespace tk {

double estimate_nanoseconds(const OpInfo& info, const Operand* operands, int count) {
  double elements = 0;
  for (int i = 0; i < count; ++i) elements += double(operands[i].size);
  const double traffic = elements * 0.5;
  switch (info.cost) {
    case OpCost::elements: return traffic;
    case OpCost::transcend: return elements * 2;
    // Multiply-adds over a cautious 20 per nanosecond. Matmul: batch * M * K * N = sqrt(|a| |b| |y| * batch); a convolution
    // does one filter application per output (forward) or the like, which |filter| * |positions| bounds.
    case OpCost::matmul: {
      const Operand &a = operands[0], &y = operands[2];
      const double rows_and_inner = a.rank >= 2 ? double(a.dims[a.rank - 1]) * double(a.dims[a.rank - 2]) : double(a.size);
      const double m = y.rank >= 2 ? std::max(1.0, double(y.dims[y.rank - 2])) : 1.0;
      return traffic + double(y.size) * rows_and_inner / m / 20;
    }
    case OpCost::conv: {
      double smallest = double(operands[0].size), product = 1;
      for (int i = 0; i < count; ++i) smallest = std::min(smallest, double(operands[i].size));
      for (int i = 0; i < count; ++i) product = std::max(product, double(operands[i].size));
      return traffic + product * std::max(1.0, smallest) / 20;
    }
  }
  return traffic;
}

}  // namespace tk
