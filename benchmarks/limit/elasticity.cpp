// Isotropic linear elasticity: a read, nine operations and a write.
#include "points.hpp"

struct Elastic {
    bool step(const double *p, double, const V *E, V *stress) {
        double two_G = p[0] / (1 + p[1]), lambda = two_G * p[1] / (1 - 2 * p[1]);
        V pressure = lambda * (E[0] + E[1] + E[2]);
        for (int i = 0; i < 6; ++i) stress[i] = two_G * E[i] + (i < 3 ? pressure : V{});
        return true;
    }
};
LIMIT(Elastic)
