// Loops over the sites of one point: a block of W sites in vector lanes. What all sites share has the same number in
// every lane.
template <class S> FN Strided<S> site(const Strided<S> &v, int64_t k, int64_t p, int64_t size, int64_t c) {
    return {v.p + k * v.step + p * v.point + c * v.comp, 0, size * v.comp, 0};    // component c, a site a point
}
FN V inside(int n) {                                       // one for the lanes that are sites
    V r;
    for (int i = 0; i < W; ++i) r[i] = i < n ? 1.0 : 0.0;
    return r;
}
FN V total(V x) {
    double sum = 0.0;
    for (int i = 0; i < W; ++i) sum += x[i];
    return bc(sum);
}
// Sums over all sites, block after block, whatever the threads were.
template <int m> FN void totals(const std::vector<Block> &blocks, V (&sums)[m]) {
    for (int i = 0; i < m; ++i) sums[i] = V{};
    for (const Block &s : blocks)
        for (int i = 0; i < m; ++i) sums[i] += s.sums[i];
    for (int i = 0; i < m; ++i) sums[i] = total(sums[i]);
}
