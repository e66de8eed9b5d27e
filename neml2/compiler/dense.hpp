// Solve A x = b for r right-hand sides at once, with row scaling and row pivoting; A is (m, m + r), its last r columns
// are b and then x. Of a system that is singular the solution is not finite.
template <int m, int r> FN void solve(V (&a)[m][m + r]) {
    for (int i = 0; i < m; ++i) {
        V size = vabs(a[i][0]);
        for (int j = 1; j < m; ++j) size = vmax(size, vabs(a[i][j]));
        const V scale = 1.0 / size;
        for (int j = 0; j < m + r; ++j) a[i][j] *= scale;
    }
    for (int k = 0; k < m; ++k) {
        for (int i = k + 1; i < m; ++i) {                  // the largest entry of the column moves up
            const M swap = lt(vabs(a[k][k]), vabs(a[i][k]));
            for (int j = k; j < m + r; ++j) {
                const V x = a[k][j], y = a[i][j];
                a[k][j] = sel(swap, y, x);
                a[i][j] = sel(swap, x, y);
            }
        }
        const V inverse = 1.0 / a[k][k];
        for (int i = k + 1; i < m; ++i) {
            const V f = a[i][k] * inverse;
            for (int j = k + 1; j < m + r; ++j) a[i][j] -= f * a[k][j];
        }
    }
    for (int c = m; c < m + r; ++c) {
        for (int k = m - 1; k >= 0; --k) {
            V x = a[k][c];
            for (int j = k + 1; j < m; ++j) x -= a[k][j] * a[j][c];
            a[k][c] = x / a[k][k];
        }
    }
}
