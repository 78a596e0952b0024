// Conversions between all storage dtypes, against conversions spelled out in double precision.
#include "op_test.h"

namespace tktest::cast_test {
using tk::DType;

namespace {

// The double nearest to x among those with `digits` binary digits, exponents from `min_exponent` and largest value `largest`;
// halves to even.
double round_to_format(double x, int digits, int min_exponent, double largest) {
  if (x == 0 || std::isnan(x) || std::isinf(x)) return x;
  int exponent;
  std::frexp(x, &exponent);
  const double unit = std::ldexp(1.0, std::max(exponent - 1, min_exponent) - (digits - 1));
  const double rounded = std::nearbyint(x / unit) * unit;
  return std::fabs(rounded) > largest ? std::copysign(INFINITY, x) : rounded;
}
double to_f16(double x) { return round_to_format(x, 11, -14, 65504.0); }
double to_bf16(double x) { return round_to_format(x, 8, -126, 3.3895313892515355e38); }

double decode_f16(uint16_t h) {
  const int exponent = h >> 10 & 31, fraction = h & 1023;
  const double magnitude = exponent == 31  ? (fraction ? NAN : INFINITY)
                           : exponent == 0 ? std::ldexp(fraction, -24)
                                           : std::ldexp(1024 + fraction, exponent - 25);
  return h & 0x8000 ? -magnitude : magnitude;
}
double decode_bf16(uint16_t h) {
  const uint32_t bits = uint32_t(h) << 16;
  float x;
  std::memcpy(&x, &bits, 4);
  return double(x);
}

double to_int32(double x) {
  if (std::isnan(x) || std::isinf(x)) return 0;
  const double wrapped = std::fmod(std::trunc(x), 4294967296.0);
  return wrapped >= 2147483648.0 ? wrapped - 4294967296.0 : wrapped < -2147483648.0 ? wrapped + 4294967296.0 : wrapped;
}

double read(Tensor& t, DType dtype, int64_t i) {
  uint16_t half;
  if (dtype == DType::f32) return double(t.f()[i]);
  if (dtype == DType::i32) return t.i()[i];
  if (dtype == DType::u8) return t.b()[i];
  std::memcpy(&half, t.b() + 2 * i, 2);
  return dtype == DType::f16 ? decode_f16(half) : decode_bf16(half);
}

double convert(double x, DType from, DType to) {
  switch (to) {
    case DType::f32: return double(float(x));
    case DType::i32: return to_int32(x);
    case DType::u8: return x != 0 ? 1 : 0;
    case DType::f16: return to_f16(from == DType::i32 ? double(float(x)) : x);
    case DType::bf16: return to_bf16(from == DType::i32 ? double(float(x)) : x);
  }
  return NAN;
}

bool same(double a, double b) { return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b)); }

constexpr DType kAll[] = {DType::f32, DType::i32, DType::u8, DType::f16, DType::bf16};

Tensor source(DType dtype, int64_t n) {
  Tensor t(dtype, {n});
  std::mt19937 random(11);
  const float special[] = {0,
                           -0.0f,
                           1,
                           -1,
                           0.5f,
                           1.5f,
                           -2.5f,
                           NAN,
                           INFINITY,
                           -INFINITY,
                           2147483648.0f,
                           -2147483648.0f,
                           2147483520.0f,
                           4294967296.0f,
                           3e9f,
                           -3e9f,
                           1e20f,
                           9.2e18f,
                           7e16f,
                           65504,
                           65519,
                           65520,
                           6e-8f,
                           2.9e-8f,
                           3.0e-8f,
                           1e-45f,
                           3.4e38f,
                           -7.9f,
                           255,
                           256,
                           0.1f,
                           6.1e-5f};
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t bits = uint32_t(random());
    if (dtype == DType::f32) {
      i < 32 ? (void)(t.f()[i] = special[i]) : (void)std::memcpy(t.f() + i, &bits, 4);
    } else if (dtype == DType::i32) {
      t.i()[i] = i < 2 ? (i ? INT32_MIN : INT32_MAX) : int32_t(bits >> (i % 25));
    } else if (dtype == DType::u8) {
      t.b()[i] = uint8_t(bits & 1);
    } else {
      const uint16_t half = uint16_t(n == 65536 ? i : int64_t(bits));
      std::memcpy(t.b() + 2 * i, &half, 2);
    }
  }
  return t;
}

}  // namespace

TEST(all_pairs) {
  for (DType from : kAll) {
    for (DType to : kAll) {
      if (from == to) continue;
      for (int64_t n : {0, 1, 5, 31, 1000, 65536}) {
        Tensor x = source(from, n);
        for (const Run& run : runs()) {
          Tensor y(to, {n});
          call_op(run, "cast", {&x, &y});
          for (int64_t i = 0; i < n; ++i) {
            const double want = convert(read(x, from, i), from, to);
            const double got = read(y, to, i);
            // An integer has no -0.
            CHECK(same(got, want) || (got == 0 && want == 0 && (to == DType::i32 || to == DType::u8)));
          }
        }
      }
    }
  }
}

TEST(same_dtype_copies_and_in_place_works) {
  for (const Run& run : runs()) {
    for (DType dtype : kAll) {
      Tensor x = source(dtype, 777), y(dtype, {777});
      call_op(run, "cast", {&x, &y});
      CHECK(std::memcmp(x.data(), y.data(), size_t(x.bytes())) == 0);
    }
    Tensor x = source(DType::f32, 1001), y(DType::i32, {1001});
    call_op(run, "cast", {&x, &y});
    tk::Operand operands[2] = {x.operand(), x.operand()};
    operands[1].dtype = DType::i32;
    tk::OpCall call;
    call.operands = operands;
    call.num_operands = 2;
    TestContext context(1);
    tk::cpu_ops(run.level)[tk::op_number::cast].body(call, context);
    CHECK(std::memcmp(x.data(), y.data(), size_t(x.bytes())) == 0);
  }
}

// Vector code and the code for the rest give a NaN the same bits: made quiet, leading payload bits kept.
TEST(nan_bits_do_not_depend_on_position) {
  const int64_t n = 19;
  for (const Run& run : runs()) {
    Tensor x(DType::f32, {n}), half(DType::f16, {n}), back(DType::f32, {n});
    const uint32_t signalling = 0xFF8A6001u;  // payload 0x0A6001; its 10 leading bits with the quiet bit set: 0x253
    for (int64_t i = 0; i < n; ++i) std::memcpy(x.f() + i, &signalling, 4);
    call_op(run, "cast", {&x, &half});
    for (int64_t i = 0; i < n; ++i) {
      uint16_t bits;
      std::memcpy(&bits, half.b() + 2 * i, 2);
      CHECK(bits == 0xFE53);
      const uint16_t signalling_half = 0xFC53;
      std::memcpy(half.b() + 2 * i, &signalling_half, 2);
    }
    call_op(run, "cast", {&half, &back});
    for (int64_t i = 0; i < n; ++i) {
      uint32_t bits;
      std::memcpy(&bits, back.f() + i, 4);
      CHECK(bits == 0xFFCA6000u);
    }
  }
}

}  // namespace tktest::cast_test
