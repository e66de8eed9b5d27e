// Eight points at a time: structure of arrays, GCC vector extensions, OpenMP over the blocks.
//
// Every limit is one function, `run`: the strain of all steps in, the stress of all steps out, both
// [step][component][point] with the points padded to a multiple of WIDTH. The steps are the inner loop, so the
// state of a block stays in cache. Symmetric tensors are six Mandel components.
#pragma once
#include <cmath>
#include <cstdint>

constexpr int WIDTH = 8;
typedef double V __attribute__((vector_size(8 * WIDTH)));
typedef int64_t M __attribute__((vector_size(8 * WIDTH)));  // of a comparison: -1 where it holds

constexpr double EPS = 2.220446049250313e-16;   // under the roots of norms, as in NEML2
constexpr double ROOT23 = 0.8164965809277260;   // sqrt(2/3)
constexpr double ABS_TOL = 1e-10, REL_TOL = 1e-8;
constexpr int MAX_ITERATIONS = 25;

template <double F(double)> static inline V each(V x) {  // the compiler calls the vector version of F
    for (int i = 0; i < WIDTH; ++i) x[i] = F(x[i]);
    return x;
}
static inline V vexp(V x) { return each<std::exp>(x); }
static inline V vlog(V x) { return each<std::log>(x); }
static inline V vsqrt(V x) { return each<std::sqrt>(x); }
static inline V power(V x, double n) { return vexp(n * vlog(x)); }  // x > 0
static inline V larger(V a, V b) { return a > b ? a : b; }
static inline V smaller(V a, V b) { return a < b ? a : b; }
static inline bool any(M m) {
    int64_t found = 0;
    for (int i = 0; i < WIDTH; ++i) found |= m[i];
    return found;
}

static inline void deviator(const V *a, V *d) {
    V mean = (a[0] + a[1] + a[2]) / 3;
    for (int i = 0; i < 6; ++i) d[i] = i < 3 ? a[i] - mean : a[i];
}
static inline V dot(const V *a, const V *b) {
    V sum = a[0] * b[0];
    for (int i = 1; i < 6; ++i) sum += a[i] * b[i];
    return sum;
}

// One block's view of an array [step][6][points].
struct Series {
    double *data;
    int64_t points;
    V *at(int64_t step, int component) const {
        return reinterpret_cast<V *>(data + (step * 6 + component) * points);
    }
    void load(int64_t step, V *a) const {
        for (int i = 0; i < 6; ++i) a[i] = *at(step, i);
    }
    void store(int64_t step, const V *a) const {
        for (int i = 0; i < 6; ++i) *at(step, i) = a[i];
    }
};

// Drives a material: `State` starts at zero and has `void step(const double *p, double dt, const V *E, V *stress)`
// or, where the increment is wanted, keeps the old strain itself. Returns how many blocks did not converge.
template <class State>
static int drive(int64_t points, int64_t steps, int threads, const double *times, double *strain,
                 const double *p, double *stress) {
    int failures = 0;
    #pragma omp parallel for schedule(dynamic) num_threads(threads) reduction(+ : failures)
    for (int64_t block = 0; block < points / WIDTH; ++block) {
        Series in{strain + block * WIDTH, points}, out{stress + block * WIDTH, points};
        State state{};
        bool good = true;
        V E[6], S[6] = {};
        out.store(0, S);
        for (int64_t k = 1; k < steps; ++k) {
            in.load(k, E);
            good &= state.step(p, times[k] - times[k - 1], E, S);
            out.store(k, S);
        }
        failures += !good;
    }
    return failures;
}

#define LIMIT(State)                                                                                        \
    extern "C" int run(int64_t points, int64_t steps, int threads, const double *times, double *strain,     \
                       const double *parameters, double *stress) {                                          \
        return drive<State>(points, steps, threads, times, strain, parameters, stress);                     \
    }
