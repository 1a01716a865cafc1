// Functions of sixteen floats, element by element, with our own polynomials; nothing here asks the C library.
//
// Coefficients of tanh, erf and the normal tail: minimax fits by reweighted least squares at 400 Chebyshev nodes against
// 40 digits, each rounded to single precision in turn and the rest fitted again. Errors are in units in the last place
// (ulp), the largest over all floats, measured against double precision with fused multiply-add.
#pragma once
#include "lanes.h"

// eʸ = p·2ⁿ with whole n and √½ ≤ p ≤ √2 or a little beyond, for −88 < y < 89; n is NaN where y is.
LANES lanes_f lanes_exp_parts(lanes_f y, lanes_f *_Nonnull n) {
  *n = __builtin_elementwise_floor(lanes_fma(y, (lanes_f)(1.44269504f), (lanes_f)(0.5f)));
  lanes_f r = lanes_fma(*n, (lanes_f)(-0.693359375f), y);
  r = lanes_fma(*n, (lanes_f)(2.12194440e-4f), r);
  lanes_f p = (lanes_f)(1.9875691500e-4f);
  p = lanes_fma(p, r, (lanes_f)(1.3981999507e-3f));
  p = lanes_fma(p, r, (lanes_f)(8.3334519073e-3f));
  p = lanes_fma(p, r, (lanes_f)(4.1665795894e-2f));
  p = lanes_fma(p, r, (lanes_f)(1.6666665459e-1f));
  p = lanes_fma(p, r, (lanes_f)(5.0000001201e-1f));
  return lanes_fma(p, r * r, r) + 1.0f;
}

// 2ⁿ for whole n of −126 … 127.
LANES lanes_f lanes_power_of_two(lanes_i n) {
  lanes_i bits = (n + 127) << 23;
  lanes_f power;
  memcpy(&power, &bits, sizeof power);
  return power;
}

// eˣ; 0 below the smallest normal number's logarithm; NaN stays NaN. Two units in the last place.
LANES lanes_f lanes_exp(lanes_f x) {
  const lanes_f low = (lanes_f)(-87.33654f), high = (lanes_f)(88.37626f);
  lanes_f y = x < low ? low : x;
  y = y > high ? high : y;
  lanes_f n;
  lanes_f p = lanes_exp_parts(y, &n);
  lanes_f whole = n == n ? n : (lanes_f)(0.0f);
  return x < low ? (lanes_f)(0.0f) : p * lanes_power_of_two(__builtin_convertvector(whole, lanes_i));
}

// ln x − shift·ln 2 for positive normal x; +∞ and NaN stay what they are.
LANES lanes_f lanes_log_shifted(lanes_f x, lanes_i shift) {
  lanes_i bits;
  memcpy(&bits, &x, sizeof bits);
  lanes_i exponent = (bits >> 23) - 126 - shift;
  lanes_i mantissa = (bits & 0x007fffff) | 0x3f000000;
  lanes_f m;
  memcpy(&m, &mantissa, sizeof m);
  lanes_i small = m < 0.70710678f;
  lanes_f e = __builtin_convertvector(exponent + small, lanes_f);
  m = (small ? m + m : m) - 1.0f;
  lanes_f z = m * m;
  lanes_f p = (lanes_f)(7.0376836292e-2f);
  p = lanes_fma(p, m, (lanes_f)(-1.1514610310e-1f));
  p = lanes_fma(p, m, (lanes_f)(1.1676998740e-1f));
  p = lanes_fma(p, m, (lanes_f)(-1.2420140846e-1f));
  p = lanes_fma(p, m, (lanes_f)(1.4249322787e-1f));
  p = lanes_fma(p, m, (lanes_f)(-1.6668057665e-1f));
  p = lanes_fma(p, m, (lanes_f)(2.0000714765e-1f));
  p = lanes_fma(p, m, (lanes_f)(-2.4999993993e-1f));
  p = lanes_fma(p, m, (lanes_f)(3.3333331174e-1f));
  lanes_f y = m * z * p;
  y = lanes_fma(e, (lanes_f)(-2.12194440e-4f), y);
  y = lanes_fma(z, (lanes_f)(-0.5f), y);
  lanes_f result = lanes_fma(e, (lanes_f)(0.693359375f), m + y);
  return x < __builtin_inff() ? result : x;
}

// ln x for positive normal x; +∞ and NaN stay what they are. Two units in the last place.
LANES lanes_f lanes_log(lanes_f x) { return lanes_log_shifted(x, (lanes_i)(0)); }

// eˣ; ∞ where it is beyond the largest float, 0 where it would be subnormal. 1.01 ulp.
LANES lanes_f lanes_exp_everywhere(lanes_f x) {
  const lanes_f low = (lanes_f)(-87.33654f), high = (lanes_f)(88.72283f);
  lanes_f y = x < low ? low : x;
  y = y > high ? high : y;
  lanes_f n;
  lanes_f p = lanes_exp_parts(y, &n);
  lanes_f whole = n == n ? n : (lanes_f)(0.0f);
  // In two halves, because 2¹²⁸ is not a float, and p·2¹²⁸ may be one.
  lanes_i power = __builtin_convertvector(whole, lanes_i);
  lanes_i half = power >> 1;
  lanes_f value = p * lanes_power_of_two(half) * lanes_power_of_two(power - half);
  value = x > high ? (lanes_f)(__builtin_inff()) : value;
  return x < low ? (lanes_f)(0.0f) : value;
}

// ln x; −∞ of 0, NaN below it. 0.83 ulp.
LANES lanes_f lanes_log_everywhere(lanes_f x) {
  // A subnormal number is made normal; where the thread takes it as zero, so does this.
  lanes_i tiny = x < 1.17549435e-38f;
  lanes_f normal = tiny ? x * 8388608.0f : x;
  lanes_f value = lanes_log_shifted(normal, tiny ? (lanes_i)(23) : (lanes_i)(0));
  value = x == 0.0f ? (lanes_f)(-__builtin_inff()) : value;
  return x < 0.0f ? (lanes_f)(__builtin_nanf("")) : value;
}

// tanh x. Up to 0.625 x + x³·P(x²), P of degree 4, whose own error is 0.08 ulp; beyond it 1 − 2/(e²ˣ + 1).
// 1.33 ulp.
LANES lanes_f lanes_tanh(lanes_f x) {
  lanes_f a = __builtin_elementwise_abs(x);
  lanes_f z = a * a;
  lanes_f p = (lanes_f)(-0.00569554418f);
  p = lanes_fma(p, z, (lanes_f)(0.020630667f));
  p = lanes_fma(p, z, (lanes_f)(-0.0537371188f));
  p = lanes_fma(p, z, (lanes_f)(0.133314103f));
  p = lanes_fma(p, z, (lanes_f)(-0.333332807f));
  lanes_f near = lanes_fma(a * z, p, a);
  // e²⁰ is far beyond what makes the quotient vanish beside 1.
  lanes_f twice = a > 10.0f ? (lanes_f)(20.0f) : a + a;
  lanes_f far = 1.0f - 2.0f / (lanes_exp(twice) + 1.0f);
  return __builtin_elementwise_copysign(a > 0.625f ? far : near, x);
}

// 1/(1 + e⁻ˣ), by e^−|x|, which does not overflow; 0 where e^−|x| is. 2.41 ulp.
LANES lanes_f lanes_sigmoid(lanes_f x) {
  lanes_f e = lanes_exp(-__builtin_elementwise_abs(x));
  return (x < 0.0f ? e : (lanes_f)(1.0f)) / (1.0f + e);
}

// erf x. Up to 0.85 x + x·P(x²), P of degree 5, whose own error is 0.12 ulp; beyond it 1 − e^−x·Q(x) up to 3.95, Q of
// degree 6, by a fit of ln erfc(x)/−x weighted with erfc/erf, 0.02 ulp; and 1 from there. 1.15 ulp.
LANES lanes_f lanes_erf(lanes_f x) {
  lanes_f a = __builtin_elementwise_abs(x);
  lanes_f z = a * a;
  lanes_f p = (lanes_f)(-0.000633580261f);
  p = lanes_fma(p, z, (lanes_f)(0.00505544106f));
  p = lanes_fma(p, z, (lanes_f)(-0.0268058758f));
  p = lanes_fma(p, z, (lanes_f)(0.112828292f));
  p = lanes_fma(p, z, (lanes_f)(-0.376125872f));
  p = lanes_fma(p, z, (lanes_f)(0.128379166f));
  lanes_f near = lanes_fma(a, p, a);
  lanes_f b = a > 3.95f ? (lanes_f)(3.95f) : a;
  lanes_f q = (lanes_f)(7.72536532e-06f);
  q = lanes_fma(q, b, (lanes_f)(-0.000288413401f));
  q = lanes_fma(q, b, (lanes_f)(0.00350563531f));
  q = lanes_fma(q, b, (lanes_f)(-0.0234793499f));
  q = lanes_fma(q, b, (lanes_f)(0.105916724f));
  q = lanes_fma(q, b, (lanes_f)(0.635339856f));
  q = lanes_fma(q, b, (lanes_f)(1.12860334f));
  lanes_f far = 1.0f - lanes_exp(-b * q);
  return __builtin_elementwise_copysign(a > 0.85f ? far : near, x);
}

// Φ(−|x|) = bell · ratio, the lower tail of the standard normal distribution, and bell = e^(−x²/2), for |x| ≤ 16.
//
// ratio = R(t), t = (|x| − 3)/(|x| + 3), R of degree 9 up to |x| = 13.4, whose own error is 0.13 ulp; from 13.22 bell is 0.
// What x² lost by rounding comes back to first order, because the exponential would show it ninety times.
LANES lanes_f lanes_normal_tail(lanes_f x, lanes_f *_Nonnull bell) {
  lanes_f a = __builtin_elementwise_abs(x);
  lanes_f square = a * a;
  lanes_f lost = lanes_fma(a, a, -square);
  lanes_f e = lanes_exp(-0.5f * square);
  *bell = lanes_fma(e, -0.5f * lost, e);
  lanes_f t = (a - 3.0f) / (a + 3.0f);
  lanes_f r = (lanes_f)(5.44747963e-05f);
  r = lanes_fma(r, t, (lanes_f)(0.000116349795f));
  r = lanes_fma(r, t, (lanes_f)(-0.000340310944f));
  r = lanes_fma(r, t, (lanes_f)(-0.000984513666f));
  r = lanes_fma(r, t, (lanes_f)(0.00290490082f));
  r = lanes_fma(r, t, (lanes_f)(0.00613229256f));
  r = lanes_fma(r, t, (lanes_f)(-0.0462133586f));
  r = lanes_fma(r, t, (lanes_f)(0.123225011f));
  r = lanes_fma(r, t, (lanes_f)(-0.206402615f));
  return lanes_fma(r, t, (lanes_f)(0.121513948f));
}

// Φ(x) for |x| ≤ 1: ½ + x·S(x²), S of degree 5, whose own error is 0.05 ulp of Φ(−|x|).
LANES lanes_f lanes_normal_near(lanes_f x) {
  lanes_f z = x * x;
  lanes_f s = (lanes_f)(-8.16532611e-06f);
  s = lanes_fma(s, z, (lanes_f)(0.000115010465f));
  s = lanes_fma(s, z, (lanes_f)(-0.00118801487f));
  s = lanes_fma(s, z, (lanes_f)(0.00997416209f));
  s = lanes_fma(s, z, (lanes_f)(-0.0664905384f));
  s = lanes_fma(s, z, (lanes_f)(0.398942292f));
  return lanes_fma(s, x, (lanes_f)(0.5f));
}

// x·Φ(x), the exact GELU (Hendrycks & Gimpel 2016). 2.1 ulp for x ≥ −1, 7.2 to the left of it.
LANES lanes_f lanes_gelu(lanes_f x) {
  lanes_f low = x < -16.0f ? (lanes_f)(-16.0f) : x;
  lanes_f y = low > 16.0f ? (lanes_f)(16.0f) : low;
  lanes_f bell;
  lanes_f ratio = lanes_normal_tail(y, &bell);
  lanes_f near = x * lanes_normal_near(y);
  // The small factor comes last, so that the tail alone is never subnormal.
  lanes_f far = x < 0.0f ? low * ratio * bell : low * (1.0f - ratio * bell);
  return __builtin_elementwise_abs(x) < 1.0f ? near : far;
}

// Its derivative, Φ(x) + x·φ(x). 4 ulp of the larger term.
LANES lanes_f lanes_gelu_slope(lanes_f x) {
  lanes_f y = x < -16.0f ? (lanes_f)(-16.0f) : x;
  y = y > 16.0f ? (lanes_f)(16.0f) : y;
  lanes_f bell;
  lanes_f ratio = lanes_normal_tail(y, &bell);
  lanes_f phi = bell * 0.39894228f;
  lanes_f near = lanes_fma(y, phi, lanes_normal_near(y));
  // To the left both terms have the bell, whose factor is summed before it is scaled.
  lanes_f left = lanes_fma(y, (lanes_f)(0.39894228f), ratio) * bell;
  lanes_f far = x < 0.0f ? left : lanes_fma(y, phi, 1.0f - ratio * bell);
  return __builtin_elementwise_abs(x) < 1.0f ? near : far;
}
