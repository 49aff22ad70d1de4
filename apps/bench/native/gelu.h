// GELU with the exact erf, without a branch and without a call, so that the compiler makes vectors of it. One library call an
// element (erff) would take as long as a third of the matrix products, and flatter whoever is compared with them.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

// e^v for v <= 0: 2^n by its bits, the rest by a polynomial; within 2 ulp where the result is a normal number, about 0 below.
static inline float exp_negative(float v) {
  v = v < -87.0f ? -87.0f : v;
  float n = v * 1.44269504f + 12582912.0f;
  int32_t bits;
  memcpy(&bits, &n, 4);
  bits = (bits - 0x4b400000 + 127) << 23;
  n -= 12582912.0f;
  float r = fmaf(n, -0.693359375f, v);
  r = fmaf(n, 2.12194440e-4f, r);
  float p = 1.9875691500e-4f;
  p = fmaf(p, r, 1.3981999507e-3f);
  p = fmaf(p, r, 8.3334519073e-3f);
  p = fmaf(p, r, 4.1665795894e-2f);
  p = fmaf(p, r, 1.6666665459e-1f);
  p = fmaf(p, r, 5.0000001201e-1f);
  p = fmaf(p, r * r, r) + 1.0f;
  float scale;
  memcpy(&scale, &bits, 4);
  return p * scale;
}

// Norbert Juffa's minimax polynomials: two ranges, both computed, one chosen.
static inline float erf_accurate(float a) {
  float t = fabsf(a), s = a * a;
  float far = fmaf(-1.72853470e-5f, t, 3.83197126e-4f);
  far = fmaf(far, s, fmaf(-3.88396438e-3f, t, 2.42546219e-2f));
  far = fmaf(far, t, -1.06777877e-1f);
  far = fmaf(far, t, -6.34846687e-1f);
  far = fmaf(far, t, -1.28717512e-1f);
  far = fmaf(far, t, -t);
  // Beyond 4 the result is 1 in float32, and the polynomial is made for no more.
  far = 1.0f - exp_negative(t > 4.0f ? -87.0f : far);
  far = copysignf(far, a);
  float near = fmaf(-5.96761703e-4f, s, 4.99119423e-3f);
  near = fmaf(near, s, -2.67681349e-2f);
  near = fmaf(near, s, 1.12819925e-1f);
  near = fmaf(near, s, -3.76125336e-1f);
  near = fmaf(near, s, 1.28379166e-1f);
  near = fmaf(near, a, a);
  return t > 0.927734375f ? far : near;
}

static inline float gelu(float s) { return 0.5f * s * (1.0f + erf_accurate(s * 0.70710678f)); }
