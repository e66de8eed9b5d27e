// Chaboche's viscoplasticity with BACKSTRESSES back stresses: Newton's method for all 7 + 6 BACKSTRESSES unknowns
// (stress, equivalent plastic strain, back stresses).
#include "newton.hpp"

struct Chaboche {
    static constexpr int B = BACKSTRESSES, N = 7 + 6 * B;
    V x[N], strain[6];

    bool step(const double *p, double dt, const V *E, V *stress) {
        double two_G = p[0] / (1 + p[1]), lambda = two_G * p[1] / (1 - 2 * p[1]);
        const double *C = p + 7, *g = C + B, *A = g + B, *a = A + B;
        V old[N], elastic[6];
        for (int i = 0; i < N; ++i) old[i] = x[i];
        for (int i = 0; i < 6; ++i) elastic[i] = E[i] - strain[i];
        V pressure = lambda * (elastic[0] + elastic[1] + elastic[2]);
        for (int i = 0; i < 6; ++i) {
            elastic[i] = two_G * elastic[i] + (i < 3 ? pressure : V{});
            strain[i] = E[i];
        }
        bool good = newton<N>(x, [&](const V *x, V *r, V(*J)[N]) {
            V over[6];
            for (int i = 0; i < 6; ++i) {
                over[i] = x[i];
                for (int b = 0; b < B; ++b) over[i] -= x[7 + 6 * b + i];
            }
            Flow flow(over, x[6], p[2], p[3], p[4], p[5], p[6], dt);
            // Rows of one kind differ in the factor alone: d(increment n)/d(overstress) = slope n n + increment turn.
            for (int i = 0; i < 6; ++i) {
                r[i] = x[i] - old[i] - elastic[i] + two_G * flow.increment * flow.n[i];
                J[i][6] = -two_G * flow.slope * flow.hardening * flow.n[i];
                for (int j = 0; j < 6; ++j) {
                    V bend = two_G * (flow.slope * flow.n[i] * flow.n[j] + flow.increment * flow.turn(i, j));
                    J[i][j] = bend + (i == j);
                    for (int b = 0; b < B; ++b) J[i][7 + 6 * b + j] = -bend;
                }
                J[6][i] = -ROOT23 * flow.slope * flow.n[i];
                for (int b = 0; b < B; ++b) J[6][7 + 6 * b + i] = ROOT23 * flow.slope * flow.n[i];
            }
            r[6] = x[6] - old[6] - ROOT23 * flow.increment;
            J[6][6] = 1 + ROOT23 * flow.slope * flow.hardening;
            for (int b = 0; b < B; ++b) {
                const V *X = x + 7 + 6 * b;
                V size = vsqrt(dot(X, X) + EPS), recovery = dt * A[b] * power(size, a[b] - 1);
                V stretch = recovery * (a[b] - 1) / (size * size), fade = g[b] * flow.increment + recovery;
                for (int i = 0; i < 6; ++i) {
                    int row = 7 + 6 * b + i;
                    V along = 2.0 / 3 * C[b] * flow.n[i] - g[b] * X[i];
                    r[row] = X[i] - old[row] - flow.increment * along + recovery * X[i];
                    J[row][6] = along * flow.slope * flow.hardening;
                    for (int j = 0; j < 6; ++j) {
                        V bend = along * flow.slope * flow.n[j]
                                 + 2.0 / 3 * C[b] * flow.increment * flow.turn(i, j);
                        J[row][j] = -bend;
                        for (int c = 0; c < B; ++c) J[row][7 + 6 * c + j] = bend;
                        J[row][7 + 6 * b + j] += stretch * X[i] * X[j];
                    }
                    J[row][row] += 1 + fade;
                }
            }
        });
        for (int i = 0; i < 6; ++i) stress[i] = x[i];
        return good;
    }
};
LIMIT(Chaboche)
