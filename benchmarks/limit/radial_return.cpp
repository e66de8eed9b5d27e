// Rate-independent J2 plasticity with linear isotropic and kinematic hardening: radial return in closed form.
// The kinematic plastic strain equals the plastic strain, so one tensor and one scalar are the state.
#include "points.hpp"

struct RadialReturn {
    V plastic[6], equivalent;

    bool step(const double *p, double, const V *E, V *stress) {
        double two_G = p[0] / (1 + p[1]), bulk = p[0] / 3 / (1 - 2 * p[1]), yield = p[2], K = p[3], H = p[4];
        V e[6], s[6];
        deviator(E, e);
        for (int i = 0; i < 6; ++i) s[i] = two_G * e[i] - (two_G + H) * plastic[i];  // overstress
        V norm = vsqrt(dot(s, s) + EPS * 2 / 3);
        V f = norm - ROOT23 * (yield + K * equivalent);
        V increment = larger(f, V{}) / (two_G + H + K * 2 / 3), along = increment / norm;
        V pressure = bulk * (E[0] + E[1] + E[2]);
        for (int i = 0; i < 6; ++i) {
            plastic[i] += along * s[i];
            stress[i] = two_G * (e[i] - plastic[i]) + (i < 3 ? pressure : V{});
        }
        equivalent += ROOT23 * increment;
        return true;
    }
};
LIMIT(RadialReturn)
