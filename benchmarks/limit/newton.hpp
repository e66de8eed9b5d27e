// Newton's method for N unknowns in every lane: dense LU without pivoting, converged lanes frozen.
#pragma once
#include "points.hpp"

// In place; the diagonal of these Jacobians (identity plus plastic flow) dominates.
template <int N> static inline void solve(V (*J)[N], V *r) {
    for (int k = 0; k < N; ++k) {
        V pivot = 1 / J[k][k];
        for (int i = k + 1; i < N; ++i) {
            V factor = J[i][k] * pivot;
            for (int j = k + 1; j < N; ++j) J[i][j] -= factor * J[k][j];
            r[i] -= factor * r[k];
        }
    }
    for (int i = N - 1; i >= 0; --i) {
        for (int j = i + 1; j < N; ++j) r[i] -= J[i][j] * r[j];
        r[i] /= J[i][i];
    }
}

// `equations(x, r, J)` fills the residual and, where J is given, the Jacobian.
template <int N, class Equations> static inline bool newton(V *x, Equations equations) {
    alignas(64) V r[N], J[N][N];
    V first = {};
    for (int k = 0; k < MAX_ITERATIONS; ++k) {
        equations(x, r, J);
        V square = {};
        for (int i = 0; i < N; ++i) square += r[i] * r[i];
        V size = vsqrt(square);
        if (k == 0) first = size;
        M open = (size >= ABS_TOL) & (size >= REL_TOL * first);
        if (!any(open)) return true;
        solve<N>(J, r);
        for (int i = 0; i < N; ++i) x[i] = open ? x[i] - r[i] : x[i];
    }
    return false;
}

// The von Mises flow rule at an overstress: unit normal, increment, its slope, and the derivative of the normal.
struct Flow {
    V n[6], norm, increment, slope, hardening;  // hardening: -df/da

    Flow(const V *overstress, V a, double yield, double R, double d, double eta, double m, double dt) {
        V s[6];
        deviator(overstress, s);
        norm = vsqrt(dot(s, s) + EPS * 2 / 3);
        for (int i = 0; i < 6; ++i) n[i] = s[i] / norm;
        V left = R * vexp(-d * a);
        V f = norm - ROOT23 * (yield + R - left);
        M flows = f > 0;
        V safe = flows ? f : V{} + 1;
        increment = flows ? dt * power(safe / eta, m) : V{};
        slope = m * increment / safe;
        hardening = ROOT23 * d * left;
    }
    V turn(int i, int j) const {  // dn/ds
        double projector = (i == j) - (i < 3 && j < 3 ? 1.0 / 3 : 0.0);
        return (projector - n[i] * n[j]) / norm;
    }
};
