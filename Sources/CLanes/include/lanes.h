// Sixteen floats at a time, one sample per lane, for the level of the processor that this is compiled for.
//
// The few operations that Swift's SIMD types compile badly: masks made by a comparison and used by a selection,
// fused multiply-add without the flags for it, maximum, square root, and a byte transpose. Everything here is
// element-wise, so a lane's bits depend on neither its place nor its neighbours. `lanes_…` takes all sixteen, which the
// compiler splits; `vector_…` takes what fits into one register, for loops that must know how many they have.
#pragma once
#include <stdint.h>
#include <string.h>

typedef float lanes_f __attribute__((ext_vector_type(16)));
typedef int32_t lanes_i __attribute__((ext_vector_type(16)));
typedef uint8_t lanes_b __attribute__((ext_vector_type(16)));
typedef int8_t lanes_c __attribute__((ext_vector_type(16)));
typedef double lanes_d __attribute__((ext_vector_type(16)));

#define LANES static inline __attribute__((always_inline))

// Vectors by value stay within functions that are inlined, so that how a level passes them is nobody's business.
#pragma clang diagnostic ignored "-Wpsabi"

// A fused multiply-add is written as one; a product and a sum stay two roundings, whatever the flags.
#pragma clang fp contract(off)

// The widest vector that one instruction takes; sixteen lanes are one, two or four of them.
#if defined(__AVX512F__)
#define LANES_WIDTH 16
#elif defined(__AVX__)
#define LANES_WIDTH 8
#else
#define LANES_WIDTH 4
#endif

// The level that this code was compiled for: 1 … 4 of x86-64, 0 elsewhere.
static inline int32_t lanes_level(void) {
#if !defined(__x86_64__)
  return 0;
#elif defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512CD__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
  return 4;
#elif defined(__AVX2__) && defined(__FMA__) && defined(__BMI2__)
  return 3;
#elif defined(__SSE4_2__)
  return 2;
#else
  return 1;
#endif
}

// Whether a product and a sum are rounded once, and the same on every processor that has it.
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define LANES_FUSED 1
#else
#define LANES_FUSED 0
#endif

// ---- What vectors of both widths do: prefix_…, on floats F, whole numbers I, and choices of one byte C --------------
//
// fma: a·b + c; without FMA instructions the two-step form, because libm's fmaf costs a call per lane.
// where_positive: the value where the gate is > 0, else 0. where_equal: the value where which = k, else 0.
// pool: the largest of four values; *which is 0 … 3, the first where several are equal. The choices are bytes from the
// start, because masks of bytes are cheaper than choices of 32 bits that are narrowed at last.
#if LANES_FUSED
#define LANES_FMA(a, b, c) __builtin_elementwise_fma(a, b, c)
#else
#define LANES_FMA(a, b, c) (a) * (b) + (c)
#endif

#define LANES_OPERATIONS(prefix, F, I, C)                                                          \
  LANES F prefix##_load(const float *_Nonnull p) {                                                 \
    F v;                                                                                           \
    memcpy(&v, p, sizeof v);                                                                       \
    return v;                                                                                      \
  }                                                                                                \
  LANES void prefix##_store(float *_Nonnull p, F v) { memcpy(p, &v, sizeof v); }                   \
  LANES F prefix##_splat(float x) { return (F)(x); }                                               \
  LANES F prefix##_fma(F a, F b, F c) { return LANES_FMA(a, b, c); }                               \
  LANES F prefix##_max(F a, F b) { return a > b ? a : b; }                                         \
  LANES F prefix##_where_positive(F gate, F value) { return gate > 0.0f ? value : (F)(0.0f); }     \
  LANES F prefix##_pool(F a, F b, F c, F d, uint8_t *_Nonnull which) {                             \
    C k = __builtin_convertvector(b > a, C) ? (C)(1) : (C)(0);                                     \
    F m = b > a ? b : a;                                                                           \
    k = __builtin_convertvector(c > m, C) ? (C)(2) : k;                                            \
    m = c > m ? c : m;                                                                             \
    k = __builtin_convertvector(d > m, C) ? (C)(3) : k;                                            \
    m = d > m ? d : m;                                                                             \
    memcpy(which, &k, sizeof k);                                                                   \
    return m;                                                                                      \
  }                                                                                                \
  LANES I prefix##_load_which(const uint8_t *_Nonnull which) {                                     \
    C bytes;                                                                                       \
    memcpy(&bytes, which, sizeof bytes);                                                           \
    return __builtin_convertvector(bytes, I);                                                      \
  }                                                                                                \
  LANES F prefix##_where_equal(I which, int32_t k, F value) { return which == (I)(k) ? value : (F)(0.0f); }

LANES_OPERATIONS(lanes, lanes_f, lanes_i, lanes_c)

// What fits into one register.
typedef float vector_f __attribute__((ext_vector_type(LANES_WIDTH)));
typedef int32_t vector_i __attribute__((ext_vector_type(LANES_WIDTH)));
typedef int8_t vector_c __attribute__((ext_vector_type(LANES_WIDTH)));
LANES_OPERATIONS(vector, vector_f, vector_i, vector_c)

// ---- Sixteen lanes -----------------------------------------------------------------------------------------------

// a, but not below `low`; NaN stays NaN.
LANES lanes_f lanes_at_least(lanes_f a, lanes_f low) { return a < low ? low : a; }
// The larger; NaN where one of them is NaN.
LANES lanes_f lanes_maximum(lanes_f a, lanes_f b) {
  lanes_f larger = a > b ? a : b;
  return a == a ? larger : a;
}
// `positive` where the gate is > 0, else `other`.
LANES lanes_f lanes_select(lanes_f gate, lanes_f positive, lanes_f other) { return gate > 0.0f ? positive : other; }
LANES lanes_f lanes_sqrt(lanes_f a) { return __builtin_elementwise_sqrt(a); }

// The sum of the sixteen lanes in double precision, in a fixed order.
LANES double lanes_sum(lanes_f v) {
  lanes_d d = __builtin_convertvector(v, lanes_d);
  double sum[16];
  memcpy(sum, &d, sizeof sum);
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; i++) sum[i] += sum[i + width];
  return sum[0];
}

// The same sum in single precision: halves, quarters, and so on.
LANES float lanes_total(lanes_f v) {
  float sum[4];
  typedef float half __attribute__((ext_vector_type(8)));
  typedef float quarter __attribute__((ext_vector_type(4)));
  half h = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) + __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  quarter q = __builtin_shufflevector(h, h, 0, 1, 2, 3) + __builtin_shufflevector(h, h, 4, 5, 6, 7);
  memcpy(sum, &q, sizeof q);
  return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

// value in the first `count` lanes, 0 in the others.
LANES lanes_f lanes_keep(lanes_f value, int32_t count) {
  const lanes_i place = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return place < (lanes_i)(count) ? value : (lanes_f)(0.0f);
}

// The first `count` floats, then the same value in the other lanes.
LANES lanes_f lanes_load_first(const float *_Nonnull p, int64_t count, float other) {
  lanes_f v = (lanes_f)(other);
  memcpy(&v, p, (size_t)count * sizeof(float));
  return v;
}
LANES void lanes_store_first(float *_Nonnull p, int64_t count, lanes_f v) {
  memcpy(p, &v, (size_t)count * sizeof(float));
}

// The value that `which` names.
LANES lanes_f lanes_choose(lanes_i which, lanes_f a, lanes_f b, lanes_f c, lanes_f d) {
  lanes_f v = which == (lanes_i)(1) ? b : a;
  v = which == (lanes_i)(2) ? c : v;
  return which == (lanes_i)(3) ? d : v;
}

// sum + v and sum + v² in double precision; the squares are exact there.
LANES lanes_d lanes_add_wide(lanes_d sum, lanes_f v) { return sum + __builtin_convertvector(v, lanes_d); }
LANES lanes_d lanes_add_square_wide(lanes_d sum, lanes_f v) {
  lanes_d d = __builtin_convertvector(v, lanes_d);
  return sum + d * d;
}

// The sum of sixteen lanes of double precision, in a fixed order.
LANES double lanes_sum_wide(lanes_d v) {
  double sum[16];
  memcpy(sum, &v, sizeof sum);
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; i++) sum[i] += sum[i + width];
  return sum[0];
}

// Sixteen bytes as floats: byte · scale + shift.
LANES lanes_f lanes_from_bytes(lanes_b bytes, float scale, float shift) {
  return lanes_fma(__builtin_convertvector(bytes, lanes_f), (lanes_f)(scale), (lanes_f)(shift));
}

#define LANES_INTERLEAVE_LOW(a, b) \
  __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define LANES_INTERLEAVE_HIGH(a, b) \
  __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

// One of four equal rounds that transpose a square of 16 × 16: rows i and i + 8 of a become rows 2i and 2i + 1 of b.
#define LANES_INTERLEAVE(a, b)                           \
  for (int i = 0; i < 8; i++) {                          \
    b[2 * i] = LANES_INTERLEAVE_LOW(a[i], a[i + 8]);      \
    b[2 * i + 1] = LANES_INTERLEAVE_HIGH(a[i], a[i + 8]); \
  }
#define LANES_TRANSPOSE(a, b) \
  LANES_INTERLEAVE(a, b)      \
  LANES_INTERLEAVE(b, a)      \
  LANES_INTERLEAVE(a, b)      \
  LANES_INTERLEAVE(b, a)

// Sixteen bytes of sixteen rows become sixteen vectors of sixteen lanes, lane = row: out[i·16 + lane] = float of
// rows[lane][offset + i].
LANES void lanes_transpose_bytes(
    const uint8_t *_Nonnull const *_Nonnull rows, int64_t offset, float scale, float shift, float *_Nonnull out) {
  lanes_b a[16], b[16];
  for (int i = 0; i < 16; i++) memcpy(&a[i], rows[i] + offset, 16);
  LANES_TRANSPOSE(a, b)
  for (int i = 0; i < 16; i++) lanes_store(out + 16 * i, lanes_from_bytes(a[i], scale, shift));
}

LANES void lanes_copy_eight(const float *_Nonnull from, float *_Nonnull to) {
  typedef float eight __attribute__((ext_vector_type(8)));
  eight v;
  memcpy(&v, from, sizeof v);
  memcpy(to, &v, sizeof v);
}

// Asks for a line of memory that is read soon; any address is allowed.
LANES void lanes_prefetch(const float *_Nonnull p) { __builtin_prefetch(p, 0, 2); }
// The same for a line that is needed at once.
LANES void lanes_prefetch_near(const void *_Nonnull p) { __builtin_prefetch(p, 0, 3); }

// What is read behind this is read again: without it the compiler keeps values for the next round of a loop in registers
// that the sums of this one need.
LANES void lanes_read_again(void) { __asm__ volatile("" ::: "memory"); }

// A square of vectors, transposed: out[i·outStride + lane] = rows[lane·stride + i]. Behind the first `count` rows the last
// of them is repeated, so that nothing beyond it is read.
LANES void vector_transpose(
    const float *_Nonnull rows, int64_t stride, int32_t count, float *_Nonnull out, int64_t outStride) {
  vector_f a[LANES_WIDTH], b[LANES_WIDTH];
  for (int i = 0; i < LANES_WIDTH; i++) a[i] = vector_load(rows + (i < count ? i : count - 1) * stride);
#if LANES_WIDTH == 16
  LANES_TRANSPOSE(a, b)
#elif LANES_WIDTH == 8
  // Within halves of a register, which one instruction does, and at last the halves.
  for (int i = 0; i < 8; i += 2) {
    b[i] = __builtin_shufflevector(a[i], a[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    b[i + 1] = __builtin_shufflevector(a[i], a[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (int i = 0; i < 8; i += 4)
    for (int j = 0; j < 2; j++) {
      a[i + 2 * j] = __builtin_shufflevector(b[i + j], b[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      a[i + 2 * j + 1] = __builtin_shufflevector(b[i + j], b[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  for (int i = 0; i < 4; i++) {
    b[i] = __builtin_shufflevector(a[i], a[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    b[i + 4] = __builtin_shufflevector(a[i], a[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
  for (int i = 0; i < 8; i++) a[i] = b[i];
#else
  for (int i = 0; i < 4; i += 2) {
    b[i] = __builtin_shufflevector(a[i], a[i + 1], 0, 4, 1, 5);
    b[i + 1] = __builtin_shufflevector(a[i], a[i + 1], 2, 6, 3, 7);
  }
  for (int j = 0; j < 2; j++) {
    a[2 * j] = __builtin_shufflevector(b[j], b[j + 2], 0, 1, 4, 5);
    a[2 * j + 1] = __builtin_shufflevector(b[j], b[j + 2], 2, 3, 6, 7);
  }
#endif
  for (int i = 0; i < LANES_WIDTH; i++) vector_store(out + i * outStride, a[i]);
}
