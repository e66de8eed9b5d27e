// Perzyna's viscoplasticity with Voce and linear kinematic hardening: Newton's method for all 13 unknowns
// (plastic strain, equivalent plastic strain, kinematic plastic strain).
#include "newton.hpp"

struct Perzyna {
    V x[13];

    bool step(const double *p, double dt, const V *E, V *stress) {
        double two_G = p[0] / (1 + p[1]), bulk = p[0] / 3 / (1 - 2 * p[1]), H = p[7];
        V old[13];
        for (int i = 0; i < 13; ++i) old[i] = x[i];
        bool good = newton<13>(x, [&](const V *x, V *r, V(*J)[13]) {
            V over[6];
            for (int i = 0; i < 6; ++i) over[i] = two_G * (E[i] - x[i]) - H * x[7 + i];
            Flow flow(over, x[6], p[2], p[3], p[4], p[5], p[6], dt);
            for (int i = 0; i < 6; ++i) {
                V increment = flow.increment * flow.n[i];
                r[i] = x[i] - old[i] - increment;
                r[7 + i] = x[7 + i] - old[7 + i] - increment;
                for (int j = 0; j < 6; ++j) {
                    V bend = flow.slope * flow.n[i] * flow.n[j] + flow.increment * flow.turn(i, j);
                    J[i][j] = two_G * bend + (i == j);
                    J[7 + i][j] = two_G * bend;
                    J[i][7 + j] = H * bend;
                    J[7 + i][7 + j] = H * bend + (i == j);
                }
                J[i][6] = J[7 + i][6] = flow.slope * flow.hardening * flow.n[i];
                J[6][i] = ROOT23 * flow.slope * two_G * flow.n[i];
                J[6][7 + i] = ROOT23 * flow.slope * H * flow.n[i];
            }
            r[6] = x[6] - old[6] - ROOT23 * flow.increment;
            J[6][6] = 1 + ROOT23 * flow.slope * flow.hardening;
        });
        V e[6];
        for (int i = 0; i < 6; ++i) e[i] = E[i] - x[i];
        V trace = e[0] + e[1] + e[2];
        for (int i = 0; i < 6; ++i) stress[i] = two_G * e[i] + (i < 3 ? (bulk - two_G / 3) * trace : V{});
        return good;
    }
};
LIMIT(Perzyna)
