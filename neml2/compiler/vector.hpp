// A block of W points in vector lanes: V holds a number of each, M a truth.
// exp and log are ours (errors below 1.6 ulp), so that a lane's result depends on nothing but its operand; rarer
// functions call libm lane by lane.
#include <atomic>
#include <cmath>
#include <cstdint>
#include <system_error>
#include <thread>
#include <utility>
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
typedef int64_t I __attribute__((vector_size(W * 8)));     // the bits of V, or whole numbers
#define FN static inline

FN V bc(double x) { return V{} + x; }
FN V bc(V x) { return x; }

#if defined(__AVX512F__) && W == 8                         // truths are masks, which take no vector registers
struct M { __mmask8 k; };
FN M operator&(M a, M b) { return M{(__mmask8)(a.k & b.k)}; }
FN M operator|(M a, M b) { return M{(__mmask8)(a.k | b.k)}; }
FN M operator~(M a) { return M{(__mmask8)~a.k}; }
FN M &operator&=(M &a, M b) { return a = a & b; }
FN M &operator|=(M &a, M b) { return a = a | b; }
FN M is_lt(V a, V b) { return M{_mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_LT_OQ)}; }
FN M is_le(V a, V b) { return M{_mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_LE_OQ)}; }
FN M is_eq(V a, V b) { return M{_mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_EQ_OQ)}; }
FN M eq(M a, M b) { return M{(__mmask8)~(a.k ^ b.k)}; }
FN V choose(M c, V a, V b) { return (V)_mm512_mask_blend_pd(c.k, (__m512d)b, (__m512d)a); }
FN bool any(M m) { return m.k != 0; }
FN bool lane(M m, int i) { return m.k >> i & 1; }
#else                                                      // truths are lanes of bits, all or none
typedef I M;
FN M is_lt(V a, V b) { return a < b; }
FN M is_le(V a, V b) { return a <= b; }
FN M is_eq(V a, V b) { return a == b; }
FN M eq(M a, M b) { return ~(a ^ b); }
FN V choose(M c, V a, V b) { return c ? a : b; }
FN bool any(M m) {
    int64_t r = 0;
    for (int i = 0; i < W; ++i) r |= m[i];
    return r != 0;
}
FN bool lane(M m, int i) { return m[i] != 0; }
#endif

template <class A, class B> FN M lt(A a, B b) { return is_lt(bc(a), bc(b)); }
template <class A, class B> FN M le(A a, B b) { return is_le(bc(a), bc(b)); }
template <class A, class B> FN M eq(A a, B b) { return is_eq(bc(a), bc(b)); }
template <class A, class B> FN V sel(M c, A a, B b) { return choose(c, bc(a), bc(b)); }
FN V vabs(V x) { return (V)((I)x & (int64_t)0x7fffffffffffffffLL); }
FN V vsign(V x) { return sel(lt(0.0, x), 1.0, sel(lt(x, 0.0), -1.0, x)); }
FN M finite(V x) { return le(vabs(x), 1.7976931348623157e308); }
FN V vmax(V a, V b) { return sel(lt(b, a) | ~eq(a, a), a, b); }
FN V vmin(V a, V b) { return sel(lt(a, b) | ~eq(a, a), a, b); }

#if defined(__AVX512F__) && W == 8
FN V vsqrt(V x) { return (V)_mm512_sqrt_pd((__m512d)x); }
FN V lookup(const double (&table)[16], I at) {             // of the lowest four bits
    return (V)_mm512_permutex2var_pd(_mm512_loadu_pd(table), (__m512i)at, _mm512_loadu_pd(table + 8));
}

// 2^(k/16) and the exponential of what is left, |r| <= log(2)/32: Tang (1989), with a polynomial near the best.
FN V vexp(V x) {
    static const double POWERS[16] = {
        1.0, 1.0442737824274138, 1.0905077326652577, 1.1387886347566916, 1.189207115002721, 1.241857812073484,
        1.2968395546510096, 1.3542555469368927, 1.4142135623730951, 1.4768261459394993, 1.5422108254079407,
        1.6104903319492543, 1.681792830507429, 1.7562521603732995, 1.8340080864093424, 1.9152065613971474};
    const V shifted = x * 23.083120654223414 + 0x1.8p52;   // the low bits hold the integer k
    const V k = shifted - 0x1.8p52;
    const V r = (x - k * 0.04332169878499658) - k * 1.4494042586539372e-18, r2 = r * r;
    const V slope = (0.5 + r * 0.16666666665301144)
        + r2 * ((0.041666666664959766 + r * 0.008333449724528355) + r2 * 0.0013889034377693012);
    const V power = lookup(POWERS, (I)shifted);
    const V e = (V)_mm512_scalef_pd((__m512d)(power + power * (r + r2 * slope)), (__m512d)(k * 0.0625));
    return sel(lt(709.782712893384, x), INFINITY, sel(lt(x, -745.133219101941), 0.0, e));
}

// x = 2^k m with m in [0.75, 1.5), and c m = 1 + r with c of a table, |r| < 1/16: log x = k log 2 - log c + log(1 + r).
// Near one c is 1, and nothing cancels. Zero, infinity and negative numbers go through k and m.
FN V vlog(V x) {
    static const double C[16] = {
        1.0, 0.9132957458496094, 0.8641643524169922, 0.8214321136474609, 0.7787399291992188, 0.7443990707397461,
        0.7118139266967773, 0.6806173324584961, 1.307969093322754, 1.254654884338379, 1.208378791809082,
        1.1627607345581055, 1.1236820220947266, 1.084425926208496, 1.0504426956176758, 1.0};
    static const double LOG_C[16] = {                      // -log c; each c is such that it is all but a double
        0.0, 0.09069552329424711, 0.14599230556327403, 0.19670598198887784, 0.25007814097151704, 0.29517800254939053,
        0.33993874063414536, 0.3847550508004304, -0.2684756237976995, -0.22686054220729965, -0.18927961973839974,
        -0.1507971211225465, -0.11661081295593619, -0.08105074670081557, -0.04921169018883202, 0.0};
    const V m = (V)_mm512_getmant_pd((__m512d)x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan);
    const V e = (V)_mm512_getexp_pd((__m512d)x), k = sel(lt(m, 1.0), e + 1.0, e);
    const I at = (I)m >> 48;
    const V r = m * lookup(C, at) - 1.0, r2 = r * r, r4 = r2 * r2;
    const V low = (-0.49999999999999983 + r * 0.3333333333334123) + r2 * (-0.2500000000033873 + r * 0.19999999952313252);
    const V top = (-0.1666666519241769 + r * 0.1428578143379965) + r2 * (-0.1250225240550275 + r * 0.11093510292611354);
    const V rest = r2 * (low + r4 * (top + r4 * -0.08922669257264189)) + k * 5.497923018708371e-14;
    return (lookup(LOG_C, at) + k * 0.6931471805598903) + (r + rest);
}
#else
FN V vsqrt(V x) {
#if defined(__AVX__) && W == 4
    return (V)_mm256_sqrt_pd((__m256d)x);
#else
    V r;
    for (int i = 0; i < W; ++i) r[i] = std::sqrt(x[i]);
    return r;
#endif
}

FN V vexp(V x) {
    const double magic = 0x1.8p52;
    V y = vmax(vmin(x, bc(709.8)), bc(-745.2));
    V shifted = y * 1.4426950408889634 + magic;
    I bits = (I)shifted;                                   // the low bits hold the integer
    V n = shifted - magic;
    V r = (y - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    const V r2 = r * r, r4 = r2 * r2;                      // in pairs, for a short chain
    const V low = (0.5 + r * (1.0 / 6.0)) + r2 * (1.0 / 24.0 + r * (1.0 / 120.0));
    const V mid = (1.0 / 720.0 + r * (1.0 / 5040.0)) + r2 * (1.0 / 40320.0 + r * (1.0 / 362880.0));
    const V top = (1.0 / 3628800.0 + r * (1.0 / 39916800.0)) + r2 * (1.0 / 479001600.0 + r * (1.0 / 6227020800.0));
    V p = low + r4 * (mid + r4 * top);
    p = p * r2 + r + 1.0;
    I k = (bits << 52) >> 52;                              // sign-extended 12 bits
    I half = k >> 1;                                       // two factors, for the smallest and largest results
    V a = (V)((half + 1023) << 52), b = (V)((k - half + 1023) << 52);
    V e = p * a * b;
    return sel(lt(709.782712893384, x), INFINITY, sel(lt(x, -745.133219101941), 0.0, e));
}

FN V vlog(V x) {
    M tiny = lt(x, 2.2250738585072014e-308);
    V y = sel(tiny, x * 0x1p54, x);
    I bits = (I)y;
    I e = (bits >> 52) & 0x7ff;
    V m = (V)((bits & (int64_t)0x000fffffffffffffLL) | (int64_t)0x3ff0000000000000LL);
    M big = lt(1.4142135623730951, m);
    m = sel(big, m * 0.5, m);
    I k = e - 1023 - big + (tiny & (int64_t)-54);          // a true mask is -1
    V kd = (V)(k + (int64_t)0x4338000000000000LL) - 0x1.8p52;
    V f = m - 1.0;
    V s = f / (f + 2.0), z = s * s, w = z * z;
    V t1 = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    V t2 = z * (6.666666666666735130e-01 + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
    V h = 0.5 * f * f;
    V r = kd * 6.93147180369123816490e-01 - ((h - (s * (h + (t1 + t2)) + kd * 1.90821492927058770002e-10)) - f);
    r = sel(eq(x, INFINITY), x, sel(eq(x, 0.0), -INFINITY, r));
    return sel(le(0.0, x), r, NAN);
}
#endif

#define LANES(name, fn) \
    FN V name(V x) { V r; for (int i = 0; i < W; ++i) r[i] = fn(x[i]); return r; }
LANES(vexpm1, std::expm1) LANES(vlog1p, std::log1p) LANES(vlog10, std::log10) LANES(vsin, std::sin)
LANES(vcos, std::cos) LANES(vtan, std::tan) LANES(vasin, std::asin) LANES(vacos, std::acos)
LANES(vatan, std::atan) LANES(vtanh, std::tanh) LANES(vfloor, std::floor)
FN V vrem(V a, V b) {                           // the sign of b, exact as that of torch
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

// A block has n points, W but for the last one, whose spare lanes repeat the last point. Whole blocks are written out
// lane by lane: of a loop the compiler would keep the lanes in memory.
typedef std::make_integer_sequence<int, W> Lanes;
template <class S, int... I> FN V gather(const S *q, int64_t stride, std::integer_sequence<int, I...>) {
    return V{(double)q[I * stride]...};
}
template <class S, class X, int... I>
FN void scatter(S *q, int64_t stride, X x, std::integer_sequence<int, I...>) {
    ((q[I * stride] = (S)x[I]), ...);
}
template <class S> FN V load(const Strided<S> &v, int64_t k, int64_t p0, int n, int64_t c) {
    const S *q = v.p + k * v.step + p0 * v.point + c * v.comp;
    if (v.point == 0) return bc(*q);
    if (__builtin_expect(n == W, 1)) return gather(q, v.point, Lanes());
    V r;
    for (int i = 0; i < W; ++i) r[i] = q[(i < n ? i : n - 1) * v.point];
    return r;
}
template <class S> FN void store(const Strided<S> &o, int64_t k, int64_t p0, int n, int64_t c, V x) {
    S *q = o.p + k * o.step + p0 * o.point + c * o.comp;
    if (__builtin_expect(n == W, 1)) return scatter(q, o.point, x, Lanes());
    for (int i = 0; i < n; ++i) q[i * o.point] = (S)x[i];
}
FN void increase(const Out &o, int64_t k, int64_t p0, int n, int64_t c, V x) {
    T *q = o.p + k * o.step + p0 * o.point + c * o.comp;
    for (int i = 0; i < n; ++i) q[i * o.point] += (T)x[i];
}
template <class S> FN void put(S *p, int64_t p0, int n, V x) {
    if (__builtin_expect(n == W, 1)) return scatter(p + p0, 1, x, Lanes());
    for (int i = 0; i < n; ++i) p[p0 + i] = (S)x[i];
}
// What the next step will read: the hardware does not see strides that long.
template <class S> FN void ahead(const Strided<S> &v, int64_t k, int64_t p0, int n) {
    const char *q = (const char *)(v.p + k * v.step + p0 * v.point), *end = q + n * v.point * sizeof(S);
    for (; q < end; q += 64) __builtin_prefetch(q);
}

// Calls f(i) for i in [0, count) on several threads; chunks are handed out as threads become free.
template <class F> FN void parallel(int64_t count, int64_t threads, F f) {
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
