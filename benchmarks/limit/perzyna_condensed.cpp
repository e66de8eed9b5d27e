// Perzyna's viscoplasticity with Voce and linear kinematic hardening, condensed by hand to one scalar unknown.
//
// The direction of flow is that of the trial overstress, and the kinematic plastic strain equals the plastic
// strain. The unknown is the value y of the yield function: with the increment g(y) = dt (y / eta)^n,
//     L(y) = y + (2G + H) g + sqrt(2/3) R (exp(-d a) - exp(-d (a + sqrt(2/3) g))) = its value T at the trial state.
// In a plot of log L against log y the slope lies between about 1 and n, so Newton's method is done there.
#include "points.hpp"

struct Perzyna {
    V plastic[6], equivalent, log_y, change;  // log_y: of the last step in which the point flowed

    bool step(const double *p, double dt, const V *E, V *stress) {
        double two_G = p[0] / (1 + p[1]), bulk = p[0] / 3 / (1 - 2 * p[1]);
        double yield = p[2], R = p[3], d = p[4], eta = p[5], n = p[6], H = p[7], slope = two_G + H;
        V e[6], s[6];
        deviator(E, e);
        for (int i = 0; i < 6; ++i) s[i] = two_G * e[i] - slope * plastic[i];
        V norm = vsqrt(dot(s, s) + EPS * 2 / 3), was = R * vexp(-d * equivalent);
        V trial = norm - ROOT23 * (yield + R - was), increment = {};
        M flows = trial > 0;
        bool good = true;
        if (any(flows)) {
            V target = flows ? trial : V{} + eta, first = {};
            V z = smaller(log_y + change, vlog(target));
            good = false;
            for (int k = 0; k < MAX_ITERATIONS && !good; ++k) {
                V y = vexp(z);
                increment = dt * vexp(n * (z - std::log(eta)));
                V left = R * vexp(-d * (equivalent + ROOT23 * increment));
                V L = y + slope * increment + ROOT23 * (was - left);
                V r = L - target, size = r < 0 ? -r : r;
                if (k == 0) first = size;
                good = !any(flows & (size >= ABS_TOL) & (size >= REL_TOL * first));
                if (good) break;
                V rise = y + (slope + 2.0 / 3 * d * left) * n * increment;  // y dL/dy
                z -= vlog(L / target) * L / rise;
            }
            change = flows ? z - log_y : V{};
            log_y = flows ? z : log_y;
            increment = flows ? increment : V{};
        }
        V along = increment / norm, pressure = bulk * (E[0] + E[1] + E[2]);
        for (int i = 0; i < 6; ++i) {
            plastic[i] += along * s[i];
            stress[i] = two_G * (e[i] - plastic[i]) + (i < 3 ? pressure : V{});
        }
        equivalent += ROOT23 * increment;
        return good;
    }
};
LIMIT(Perzyna)
