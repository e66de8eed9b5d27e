// One point: V holds its number and M its truth (all bits or none). For CUDA (one thread a point) and, for tests, the host.
#if defined(__CUDACC__)
#define FN static __device__ inline
#if defined(__CUDACC_RTC__)
typedef signed char int8_t;
typedef int int32_t;
typedef long long int64_t;
#define NAN __longlong_as_double(0x7ff8000000000000LL)
#define INFINITY __longlong_as_double(0x7ff0000000000000LL)
#endif
#else
#include <cmath>
#include <cstdint>
#define FN static inline
using std::fabs, std::fmod, std::sqrt, std::exp, std::log, std::expm1, std::log1p, std::log10, std::sin, std::cos;
using std::tan, std::asin, std::acos, std::atan, std::tanh, std::floor;
#endif
#define W 1
#define finite is_finite                                   // C libraries have a finite(double) of their own

typedef double V;
typedef int64_t M;

FN V bc(double x) { return x; }
FN M lt(V a, V b) { return -(M)(a < b); }
FN M le(V a, V b) { return -(M)(a <= b); }
FN M eq(V a, V b) { return -(M)(a == b); }
FN M eq(M a, M b) { return -(M)(a == b); }
FN V sel(M c, V a, V b) { return c ? a : b; }
FN bool any(M m) { return m != 0; }
FN bool lane(M m, int) { return m != 0; }
FN V vabs(V x) { return fabs(x); }
FN V vsign(V x) { return x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : x == x ? 0.0 : x; }
FN M finite(V x) { return le(fabs(x), 1.7976931348623157e308); }
FN V vmax(V a, V b) { return a > b || a != a ? a : b; }
FN V vmin(V a, V b) { return a < b || a != a ? a : b; }
#define SAME(name) FN V v##name(V x) { return name(x); }
SAME(sqrt) SAME(exp) SAME(log) SAME(expm1) SAME(log1p) SAME(log10) SAME(sin) SAME(cos) SAME(tan) SAME(asin) SAME(acos)
SAME(atan) SAME(tanh) SAME(floor)
FN V vrem(V a, V b) {                                      // the sign of b, exact as that of torch
    const V x = fmod(a, b);
    return x != 0.0 && (x < 0.0) != (b < 0.0) ? x + b : x;
}

template <class S> struct Strided { S *p; int64_t step, point, comp; };    // strides in numbers
typedef Strided<const T> View;
typedef Strided<T> Out;
typedef Strided<const double> OldState;                    // states keep their digits, whatever T is
typedef Strided<double> NewState;

template <class S> FN V load(const Strided<S> &v, int64_t k, int64_t p0, int, int64_t c) {
    return v.p[k * v.step + p0 * v.point + c * v.comp];
}
template <class S> FN void store(const Strided<S> &o, int64_t k, int64_t p0, int, int64_t c, V x) {
    o.p[k * o.step + p0 * o.point + c * o.comp] = (S)x;
}
FN void increase(const Out &o, int64_t k, int64_t p0, int, int64_t c, V x) {
    o.p[k * o.step + p0 * o.point + c * o.comp] += (T)x;
}
template <class S> FN void put(S *p, int64_t p0, int, V x) { p[p0] = (S)x; }
template <class S> FN void ahead(const Strided<S> &, int64_t, int64_t, int) {}
