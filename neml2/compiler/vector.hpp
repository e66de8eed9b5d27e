// A block of W points in vector lanes: V holds a number of each, M a truth (all bits or none).
// exp and log are ours (errors below 1 ulp and 1.5 ulp), so that a lane's result depends on nothing but its operand;
// rarer functions call libm lane by lane.
#include <atomic>
#include <cmath>
#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>
#if defined(__AVX512F__) || defined(__AVX__)
#include <immintrin.h>
#endif

#ifndef W
#if defined(__AVX512F__)
#define W 8
#else
#define W 4
#endif
#endif

typedef double V __attribute__((vector_size(W * 8)));
typedef int64_t M __attribute__((vector_size(W * 8)));
#define FN static inline

static inline V bc(double x) { return V{} + x; }
static inline V bc(V x) { return x; }
template <class A, class B> static inline M lt(A a, B b) { return a < b; }
template <class A, class B> static inline M le(A a, B b) { return a <= b; }
template <class A, class B> static inline M eq(A a, B b) { return a == b; }
static inline V sel(M c, V a, V b) { return c ? a : b; }
static inline V sel(M c, double a, double b) { return c ? bc(a) : bc(b); }
static inline V sel(M c, V a, double b) { return c ? a : bc(b); }
static inline V sel(M c, double a, V b) { return c ? bc(a) : b; }
static inline M sel(M c, M a, M b) { return c ? a : b; }
static inline bool any(M m) {
#if defined(__AVX512F__) && W == 8
    return _mm512_test_epi64_mask((__m512i)m, (__m512i)m) != 0;
#endif
    int64_t r = 0;
    for (int i = 0; i < W; ++i) r |= m[i];
    return r != 0;
}
static inline bool lane(M m, int i) { return m[i] != 0; }
static inline V vabs(V x) { return (V)((M)x & (int64_t)0x7fffffffffffffffLL); }
static inline V vsign(V x) { return sel(x > 0.0, bc(1.0), sel(x < 0.0, bc(-1.0), sel(x == x, bc(0.0), x))); }
static inline M finite(V x) { return vabs(x) <= 1.7976931348623157e308; }
static inline V vmax(V a, V b) { return sel((a > b) | (a != a), a, b); }
static inline V vmin(V a, V b) { return sel((a < b) | (a != a), a, b); }

static inline V vsqrt(V x) {
#if defined(__AVX512F__) && W == 8
    return (V)_mm512_sqrt_pd((__m512d)x);
#elif defined(__AVX__) && W == 4
    return (V)_mm256_sqrt_pd((__m256d)x);
#else
    V r;
    for (int i = 0; i < W; ++i) r[i] = std::sqrt(x[i]);
    return r;
#endif
}

static inline V vexp(V x) {
    const double magic = 0x1.8p52;
    V y = sel(x > 709.8, bc(709.8), sel(x < -745.2, bc(-745.2), x));
    V shifted = y * 1.4426950408889634 + magic;
    M bits = (M)shifted;                                   // the low bits hold the integer
    V n = shifted - magic;
    V r = (y - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    const V r2 = r * r, r4 = r2 * r2;                      // in pairs, for a short chain
    const V low = (0.5 + r * (1.0 / 6.0)) + r2 * (1.0 / 24.0 + r * (1.0 / 120.0));
    const V mid = (1.0 / 720.0 + r * (1.0 / 5040.0)) + r2 * (1.0 / 40320.0 + r * (1.0 / 362880.0));
    const V top = (1.0 / 3628800.0 + r * (1.0 / 39916800.0)) + r2 * (1.0 / 479001600.0 + r * (1.0 / 6227020800.0));
    V p = low + r4 * (mid + r4 * top);
    p = p * r2 + r + 1.0;
    M k = (bits << 52) >> 52;                              // sign-extended 12 bits
    M half = k >> 1;                                       // two factors, for the smallest and largest results
    V a = (V)((half + 1023) << 52), b = (V)((k - half + 1023) << 52);
    V e = p * a * b;
    e = sel(x > 709.782712893384, bc(INFINITY), e);
    e = sel(x < -745.133219101941, bc(0.0), e);
    return sel(x == x, e, x);
}

static inline V vlog(V x) {
    M tiny = x < 2.2250738585072014e-308;
    V y = sel(tiny, x * 0x1p54, x);
    M bits = (M)y;
    M e = (bits >> 52) & 0x7ff;
    V m = (V)((bits & (int64_t)0x000fffffffffffffLL) | (int64_t)0x3ff0000000000000LL);
    M big = m > 1.4142135623730951;
    m = sel(big, m * 0.5, m);
    M k = e - 1023 - big + (tiny & (int64_t)-54);          // a true mask is -1
    V kd = (V)(k + (int64_t)0x4338000000000000LL) - 0x1.8p52;
    V f = m - 1.0;
    V s = f / (f + 2.0), z = s * s, w = z * z;
    V t1 = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    V t2 = z * (6.666666666666735130e-01 + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
    V h = 0.5 * f * f;
    V r = kd * 6.93147180369123816490e-01 - ((h - (s * (h + (t1 + t2)) + kd * 1.90821492927058770002e-10)) - f);
    r = sel(x == INFINITY, x, r);
    r = sel(x == 0.0, bc(-INFINITY), r);
    return sel((x < 0.0) | (x != x), bc(NAN), r);
}

#define LANES(name, fn) \
    static inline V name(V x) { V r; for (int i = 0; i < W; ++i) r[i] = fn(x[i]); return r; }
LANES(vexpm1, std::expm1) LANES(vlog1p, std::log1p) LANES(vlog10, std::log10) LANES(vsin, std::sin)
LANES(vcos, std::cos) LANES(vtan, std::tan) LANES(vasin, std::asin) LANES(vacos, std::acos)
LANES(vatan, std::atan) LANES(vtanh, std::tanh) LANES(vfloor, std::floor)
static inline V vrem(V a, V b) {                           // the sign of b, exact as that of torch
    V r;
    for (int i = 0; i < W; ++i) {
        const double x = std::fmod(a[i], b[i]);
        r[i] = x != 0.0 && (x < 0.0) != (b[i] < 0.0) ? x + b[i] : x;
    }
    return r;
}

template <class S> struct Strided { S *p; int64_t step, point, comp; };    // strides in numbers
typedef Strided<const T> View;
typedef Strided<T> Out;
typedef Strided<const double> OldState;                    // states keep their digits, whatever T is
typedef Strided<double> NewState;

// A block has n points, W but for the last one, whose spare lanes repeat the last point.
template <class S> static inline V load(const Strided<S> &v, int64_t k, int64_t p0, int n, int64_t c) {
    const S *q = v.p + k * v.step + p0 * v.point + c * v.comp;
    if (v.point == 0) return bc(*q);
    V r;
    if (__builtin_expect(n == W, 1)) {
        for (int i = 0; i < W; ++i) r[i] = q[i * v.point];
    } else {
        for (int i = 0; i < W; ++i) r[i] = q[(i < n ? i : n - 1) * v.point];
    }
    return r;
}
template <class S> static inline void store(const Strided<S> &o, int64_t k, int64_t p0, int n, int64_t c, V x) {
    S *q = o.p + k * o.step + p0 * o.point + c * o.comp;
    if (__builtin_expect(n == W, 1)) {
        for (int i = 0; i < W; ++i) q[i * o.point] = (S)x[i];
    } else {
        for (int i = 0; i < n; ++i) q[i * o.point] = (S)x[i];
    }
}
static inline void increase(const Out &o, int64_t k, int64_t p0, int n, int64_t c, V x) {
    T *q = o.p + k * o.step + p0 * o.point + c * o.comp;
    for (int i = 0; i < n; ++i) q[i * o.point] += (T)x[i];
}
template <class I> static inline void put(I *p, int64_t p0, int n, M x) {
    if (__builtin_expect(n == W, 1)) {
        for (int i = 0; i < W; ++i) p[p0 + i] = (I)x[i];
    } else {
        for (int i = 0; i < n; ++i) p[p0 + i] = (I)x[i];
    }
}
// What the next step will read: the hardware does not see strides that long.
template <class S> static inline void ahead(const Strided<S> &v, int64_t k, int64_t p0, int n) {
    const char *q = (const char *)(v.p + k * v.step + p0 * v.point), *end = q + n * v.point * sizeof(S);
    for (; q < end; q += 64) __builtin_prefetch(q);
}

// Calls f(i) for i in [0, count) on several threads; chunks are handed out as threads become free.
template <class F> static inline void parallel(int64_t count, int64_t threads, F f) {
    if (threads > count) threads = count;
    const int64_t chunk = threads > 1 ? (count + threads * 16 - 1) / (threads * 16) : count;
    std::atomic<int64_t> next{0};
    auto work = [&] {
        for (int64_t i; (i = next.fetch_add(chunk)) < count;)
            for (int64_t j = i; j < count && j < i + chunk; ++j) f(j);
    };
    std::vector<std::thread> others;
    try {
        for (int64_t t = 1; t < threads; ++t) others.emplace_back(work);
    } catch (const std::system_error &) {}                 // fewer threads than wanted
    work();
    for (auto &t : others) t.join();
}
