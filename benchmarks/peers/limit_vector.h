/* A vector of LANES floats, and exp, log, tanh and asinh of it. */
#if defined(__SSE__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
#define LANES 16
#define SUMS 16 /* registers a tile's sums may take */
#elif defined(__AVX__)
#define LANES 8
#define SUMS 8
#elif defined(__ARM_NEON)
#define LANES 4
#define SUMS 16
#else
#define LANES 4
#define SUMS 8
#endif
#define UNROLL _Pragma("GCC unroll 16")
#define APART static __attribute__((noinline)) /* one copy: the code of a call has to stay in 32 KB of cache */
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t bits __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

INLINE vec load(const float *from) { return *(const vec *)from; }
INLINE void store(float *to, vec value) { *(vec *)to = value; }
INLINE vec fill(float value) { return value - (vec){0}; }

/* What C's vectors have no operator for. */
#if defined(__AVX512F__)
#define OF_TWO(name, a, b) _mm512_##name##_ps(a, b)
#define ROOT(a) _mm512_sqrt_ps(a)
#elif defined(__AVX__)
#define OF_TWO(name, a, b) _mm256_##name##_ps(a, b)
#define ROOT(a) _mm256_sqrt_ps(a)
#elif defined(__SSE__)
#define OF_TWO(name, a, b) _mm_##name##_ps(a, b)
#define ROOT(a) _mm_sqrt_ps(a)
#elif defined(__aarch64__)
#define OF_TWO(name, a, b) v##name##q_f32(a, b)
#define ROOT(a) vsqrtq_f32(a)
#else
#error "give the vector instructions' min, max and sqrt of this processor"
#endif
INLINE vec smaller(vec a, vec b) { return OF_TWO(min, a, b); }
INLINE vec larger(vec a, vec b) { return OF_TWO(max, a, b); }

/* 2^t for |t| ≤ 100 (beyond: 2^±100), relative error 1.6e-7, 2^0 = 1. The polynomial on -½…½ is the one of degree 5
 * with p(0) = 1 and the least maximum relative error (9.2e-8), found by Lawson's reweighted least squares. */
INLINE vec power_of_two(vec t) {
    t = larger(smaller(t, fill(100.0f)), fill(-100.0f));
    vec rounded = t + 12582912.0f; /* 1.5 · 2^23: the nearest integer is in the low bits */
    vec f = t - (rounded - 12582912.0f);
    vec p = 1.326472725e-3f * f + 9.671512688e-3f;
    p = p * f + 5.550733744e-2f;
    p = p * f + 2.402224208e-1f;
    p = p * f + 6.931469776e-1f;
    p = p * f + 1.0f;
    return (vec)((bits)p + ((bits)rounded << 23));
}

/* Natural logarithm of a positive, normal number; coefficients of Cephes' logf.c (S. Moshier). */
INLINE vec logarithm(vec x) {
    bits from_root_half = (bits)x - 0x3f3504f3;
    bits exponent = from_root_half >> 23;
    vec f = (vec)((from_root_half & 0x7fffff) + 0x3f3504f3) - 1.0f, e = __builtin_convertvector(exponent, vec);
    vec p = 7.0376836292e-2f * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    vec square = f * f;
    return e * 0.693359375f + (f + (e * -2.12194440e-4f + (p * f - 0.5f) * square));
}

INLINE vec tangent(vec x) { return 1.0f - 2.0f / (power_of_two(x * (2.0f * LOG2_E)) + 1.0f); } /* tanh(0) = 0 */

INLINE vec inverse_sine(vec x) { /* asinh, absolute error 2e-7 */
    vec size = (vec)((bits)x & INT32_MAX), near = smaller(size, fill(1e15f)); /* beyond it √(x² + 1) = |x| */
    vec half = 0.5f * size + 0.5f * (ROOT(near * near + 1.0f) + (size - near));
    return (vec)((bits)(logarithm(half) + 0.693147181f) | ((bits)x & INT32_MIN));
}

/* a0 b0 a1 b1 … of the lower and of the upper halves. log2(LANES) rounds of it transpose a square. */
#if LANES == 16
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif LANES == 8
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif
