// Blocks of text tables and columns of numbers, on the calling thread, which is one of the data workers'.
#include "table/number_passes.h"
#include "table/plain_block.h"

#include <cstring>

#include "binding/arguments.h"
#include "binding/functions.h"

namespace tk {
namespace {

Napi::Uint8Array bytes_argument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  if (!info[index].IsTypedArray() || info[index].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw Error("E_INTERNAL", std::string(name) + ": expected a Uint8Array");
  }
  auto bytes = info[index].As<Napi::Uint8Array>();
  if (bytes.ElementLength() > size_t(INT32_MAX)) throw Error("E_INTERNAL", std::string(name) + ": expected less than 2 GiB");
  return bytes;
}

// The place that the cells of one column go to; an array of doubles, of 32-bit integers, or nothing.
PlainColumn column_of(const Napi::Value& value, size_t rows) {
  PlainColumn column;
  if (!value.IsTypedArray()) return column;
  auto array = value.As<Napi::TypedArray>();
  if (array.ElementLength() < rows) throw Error("E_INTERNAL", "parsePlainBlock: a column has no room for all rows");
  if (array.TypedArrayType() == napi_float64_array) {
    column.kind = CellKind::numeric;
    column.numbers = value.As<Napi::Float64Array>().Data();
  } else if (array.TypedArrayType() == napi_int32_array) {
    column.kind = CellKind::text;
    column.codes = value.As<Napi::Int32Array>().Data();
  } else {
    throw Error("E_INTERNAL", "parsePlainBlock: expected columns of doubles or 32-bit integers");
  }
  return column;
}

Napi::Float64Array doubles_argument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  if (!info[index].IsTypedArray() || info[index].As<Napi::TypedArray>().TypedArrayType() != napi_float64_array) {
    throw Error("E_INTERNAL", std::string(name) + ": expected a Float64Array");
  }
  return info[index].As<Napi::Float64Array>();
}

Napi::Int32Array ints_argument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  if (!info[index].IsTypedArray() || info[index].As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) {
    throw Error("E_INTERNAL", std::string(name) + ": expected an Int32Array");
  }
  return info[index].As<Napi::Int32Array>();
}

// The first three arguments: values, rows, fill.
RowNumbers row_numbers(const Napi::CallbackInfo& info) {
  auto values = doubles_argument(info, 0, "values");
  auto rows = ints_argument(info, 1, "rows");
  return {values.Data(), int64_t(values.ElementLength()), rows.Data(), int64_t(rows.ElementLength()),
          number_argument(info, 2, "fill")};
}

// The arguments from the fourth on: minimum, factor.
BucketPlace bucket_place(const Napi::CallbackInfo& info) {
  return {number_argument(info, 3, "minimum"), number_argument(info, 4, "factor")};
}

Napi::Value doubles(Napi::Env env, std::initializer_list<double> values) {
  auto array = Napi::Float64Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

}  // namespace

Napi::Value number_range(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State&) -> Napi::Value {
    const NumberRange range = range_of(row_numbers(info));
    return doubles(info.Env(), {double(range.missing), range.minimum, range.maximum});
  });
}

Napi::Value number_sum(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State&) -> Napi::Value {
    return Napi::Number::New(info.Env(), sum_of(row_numbers(info), number_argument(info, 3, "shift")));
  });
}

Napi::Value number_squares(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State&) -> Napi::Value {
    return Napi::Number::New(info.Env(), squares_of(row_numbers(info), number_argument(info, 3, "shift")));
  });
}

Napi::Value count_number_buckets(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State&) -> Napi::Value {
    auto counts = ints_argument(info, 5, "counts");
    const auto last = int32_t(counts.ElementLength()) - 1;
    if (last < 1) throw Error("E_INTERNAL", "counts: expected two or more");
    count_buckets(row_numbers(info), bucket_place(info), last - 1, last, counts.Data());
    return info.Env().Undefined();
  });
}

Napi::Value take_number_bucket(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State&) -> Napi::Value {
    auto taken = doubles_argument(info, 7, "taken");
    const int32_t buckets = int_argument(info, 5, "buckets"), wanted = int_argument(info, 6, "wanted");
    const int64_t count =
        take_bucket(row_numbers(info), bucket_place(info), buckets, wanted, taken.Data(), int64_t(taken.ElementLength()));
    return Napi::Number::New(info.Env(), double(count));
  });
}

Napi::Value profile_number_column(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State&) -> Napi::Value {
    auto values = doubles_argument(info, 0, "values");
    int64_t integers = 0;
    const NumberRange range = profile_numbers(values.Data(), int64_t(values.ElementLength()), integers);
    return doubles(info.Env(), {double(range.missing), range.minimum, range.maximum, double(integers)});
  });
}

Napi::Value count_line_ends_of(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State&) -> Napi::Value {
    auto bytes = bytes_argument(info, 0, "countLineEnds");
    return Napi::Number::New(info.Env(), count_line_ends(bytes.Data(), int32_t(bytes.ElementLength())));
  });
}

Napi::Value parse_plain_block_of(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State&) -> Napi::Value {
    Napi::Env env = info.Env();
    auto bytes = bytes_argument(info, 0, "parsePlainBlock");
    const auto columns = info[1].As<Napi::Array>();
    const auto options = info[2].As<Napi::Object>();
    PlainBlock block;
    block.bytes = bytes.Data();
    block.size = int32_t(bytes.ElementLength());
    // Every scan of a cell ends at the last byte.
    if (block.size == 0 || (block.bytes[block.size - 1] != '\n' && block.bytes[block.size - 1] != '\r')) {
      throw Error("E_INTERNAL", "parsePlainBlock: expected a line end at the end");
    }
    const auto sign = [&](const char* name) { return options.Get(name).As<Napi::Number>().Int32Value(); };
    block.delimiter = sign("delimiter");
    block.quote = sign("quote");
    block.decimal = sign("decimal");
    block.empty_is_missing = options.Get("emptyIsMissing").As<Napi::Boolean>();
    auto missing = options.Get("missingNumbers").As<Napi::Float64Array>();
    block.missing.assign(missing.Data(), missing.Data() + missing.ElementLength());
    const auto room = size_t(count_line_ends(block.bytes, block.size));
    for (uint32_t i = 0; i < columns.Length(); ++i) block.columns.push_back(column_of(columns.Get(i), room));
    if (!parse_plain_block(block)) return env.Undefined();
    Napi::Object result = Napi::Object::New(env);
    result.Set("rows", block.rows);
    result.Set("lines", block.lines);
    auto leading_zeros = Napi::Int32Array::New(env, block.columns.size());
    auto distinct = Napi::Array::New(env, block.columns.size());
    for (uint32_t i = 0; i < columns.Length(); ++i) {
      const PlainColumn& column = block.columns[i];
      leading_zeros[i] = column.leading_zeros;
      if (column.kind != CellKind::text) continue;
      auto ranges = Napi::Int32Array::New(env, 2 * column.starts.size());
      for (size_t entry = 0; entry < column.starts.size(); ++entry) {
        ranges[2 * entry] = column.starts[entry];
        ranges[2 * entry + 1] = column.stops[entry];
      }
      distinct.Set(i, ranges);
    }
    result.Set("leadingZeros", leading_zeros);
    result.Set("distinct", distinct);
    static_assert(sizeof(LeftCell) == 5 * sizeof(int32_t));
    auto left = Napi::Int32Array::New(env, 5 * block.left.size());
    // Neither array has a place in memory while it is empty.
    if (!block.left.empty()) std::memcpy(left.Data(), block.left.data(), block.left.size() * sizeof(LeftCell));
    result.Set("left", left);
    return result;
  });
}

}  // namespace tk
