// Training kernels of UltraLightUNet's multi-kernel depth-wise convolution and of its normalisations, for a CPU.
//
// Everything is channels-last: a row is W pixels of C channels, one float after the other. Sixteen floats are worked on at once whatever C
// is: weights and coefficients are repeated along V = lcm(C, 16) floats, so that a row is a run of vectors with a period of V / 16. 2D images
// are volumes of one slice.
//
// No header of PyTorch is needed; `library.py` compiles this file, hands over plain pointers, and does what is small.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

#include <omp.h>

typedef float v16 __attribute__((vector_size(64), aligned(4)));
typedef std::vector<double> Sums;

static inline v16 load(const float *p) { return *(const v16 *)p; }
static inline void store(float *p, v16 v) { *(v16 *)p = v; }

// How a vector is read: whole, or the last floats of a row, behind which the memory may end.
struct Whole {
    v16 operator()(const float *p) const { return load(p); }
};
struct Rest {
    int64_t count;
    v16 operator()(const float *p) const {
        v16 v = {};
        memcpy(&v, p, sizeof(float) * count);
        return v;
    }
};
static inline v16 clamp6(v16 v) {
    v16 zero = {}, six = zero + 6.0f;
    v = v > zero ? v : zero;
    return v < six ? v : six;
}
static inline v16 inside6(v16 v, v16 gradient) {
    v16 zero = {}, six = zero + 6.0f;
    return (v > zero) & (v < six) ? gradient : zero;
}

// Shape of a channels-last tensor, and of the padded copies that convolutions read.
struct Shape {
    int64_t n, d, h, w, c;
    int64_t radius_z() const { return d > 1 || volume ? 2 : 0; }
    bool volume;
    int64_t row() const { return w * c; }
    int64_t period() const { return std::lcm<int64_t>(c, 16); }
    int64_t stride() const { return (w + 4) * c + 128; }
    int64_t plane() const { return (h + 4) * stride(); }
    int64_t block() const { return (d + 2 * radius_z()) * plane(); }
};

// `values` (C) repeated to a whole period.
static std::vector<float> repeated(const float *values, const Shape &s, int64_t count = 1) {
    int64_t v = s.period();
    std::vector<float> out(count * v);
    for (int64_t k = 0; k < count; k++)
        for (int64_t i = 0; i < v; i++) out[k * v + i] = values[k * s.c + i % s.c];
    return out;
}

static float *row_of(float *padded, const Shape &s, int64_t n, int64_t d, int64_t h) {
    return padded + n * s.block() + (d + s.radius_z()) * s.plane() + (h + 2) * s.stride() + 2 * s.c;
}

// The margins of a padded copy, zero; rows are written by whoever has them.
static void clear_margins(float *padded, const Shape &s) {
    int64_t rz = s.radius_z();
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t n = 0; n < s.n; n++)
        for (int64_t z = 0; z < s.d + 2 * rz; z++) {
            float *plane = padded + n * s.block() + z * s.plane();
            if (z < rz || z >= s.d + rz) {
                memset(plane, 0, sizeof(float) * s.plane());
                continue;
            }
            memset(plane, 0, sizeof(float) * 2 * s.stride());
            memset(plane + (s.h + 2) * s.stride(), 0, sizeof(float) * 2 * s.stride());
            for (int64_t y = 2; y < s.h + 2; y++) {
                float *row = plane + y * s.stride();
                memset(row, 0, sizeof(float) * 2 * s.c);
                memset(row + 2 * s.c + s.row(), 0, sizeof(float) * (s.stride() - 2 * s.c - s.row()));
            }
        }
}

// Rows of the 5-wide and of the 3-wide convolution of one input at once: they share what they read.
static void convolve_row(const float *input, const Shape &s, const float *w5, const float *w3, float *out5, float *out3) {
    int64_t v = s.period(), m = v / 16, vectors = (s.row() + 15) / 16, planes = s.radius_z() ? 5 : 1;
    const float *corner = input - s.radius_z() * s.plane() - 2 * s.stride() - 2 * s.c;
    for (int64_t j = 0; j < vectors; j += 4) {
        v16 a5[4] = {}, a3[4] = {};
        int64_t at[4];
        for (int u = 0; u < 4; u++) at[u] = (j + u) % m * 16;
        for (int64_t z = 0; z < planes; z++)
            for (int64_t y = 0; y < 5; y++) {
                const float *row = corner + z * s.plane() + y * s.stride() + j * 16;
                const float *weight5 = w5 + (z * 5 + y) * 5 * v;
                bool inner = y > 0 && y < 4 && (planes == 1 || (z > 0 && z < 4));
                const float *weight3 = w3 + (((planes == 1 ? 0 : z - 1) * 3 + y - 1) * 3 - 1) * v;
                for (int64_t x = 0; x < 5; x++) {
                    v16 in[4];
#pragma GCC unroll 4
                    for (int u = 0; u < 4; u++) in[u] = load(row + x * s.c + u * 16);
#pragma GCC unroll 4
                    for (int u = 0; u < 4; u++) a5[u] += in[u] * load(weight5 + x * v + at[u]);
                    if (inner && x > 0 && x < 4) {
#pragma GCC unroll 4
                        for (int u = 0; u < 4; u++) a3[u] += in[u] * load(weight3 + x * v + at[u]);
                    }
                }
            }
#pragma GCC unroll 4
        for (int u = 0; u < 4; u++) store(out5 + (j + u) * 16, a5[u]), store(out3 + (j + u) * 16, a3[u]);
    }
}

// One row of the sum of a 5-wide and a 3-wide convolution of two inputs.
static void convolve_two(const float *in5, const float *in3, const Shape &s, const float *w5, const float *w3, float *out) {
    int64_t v = s.period(), m = v / 16, vectors = (s.row() + 15) / 16, planes = s.radius_z() ? 5 : 1;
    int64_t corner = -s.radius_z() * s.plane() - 2 * s.stride() - 2 * s.c;
    for (int64_t j = 0; j < vectors; j += 4) {
        v16 a[4] = {};
        int64_t at[4];
        for (int u = 0; u < 4; u++) at[u] = (j + u) % m * 16;
        for (int64_t z = 0; z < planes; z++)
            for (int64_t y = 0; y < 5; y++) {
                int64_t offset = corner + z * s.plane() + y * s.stride() + j * 16;
                const float *weight5 = w5 + (z * 5 + y) * 5 * v;
                bool inner = y > 0 && y < 4 && (planes == 1 || (z > 0 && z < 4));
                const float *weight3 = w3 + (((planes == 1 ? 0 : z - 1) * 3 + y - 1) * 3 - 1) * v;
                for (int64_t x = 0; x < 5; x++) {
#pragma GCC unroll 4
                    for (int u = 0; u < 4; u++) a[u] += load(in5 + offset + x * s.c + u * 16) * load(weight5 + x * v + at[u]);
                    if (inner && x > 0 && x < 4) {
#pragma GCC unroll 4
                        for (int u = 0; u < 4; u++) a[u] += load(in3 + offset + x * s.c + u * 16) * load(weight3 + x * v + at[u]);
                    }
                }
            }
#pragma GCC unroll 4
        for (int u = 0; u < 4; u++) store(out + (j + u) * 16, a[u]);
    }
}

// Adds the products of a row's input and its gradients, shifted by every offset of the kernels, to `sum5` and `sum3` (taps, V).
static void weight_row(const float *input, const float *g5, const float *g3, const Shape &s, float *sum5, float *sum3) {
    int64_t v = s.period(), m = v / 16, vectors = (s.row() + 15) / 16, planes = s.radius_z() ? 5 : 1;
    const float *corner = input - s.radius_z() * s.plane() - 2 * s.stride() - 2 * s.c;
    for (int64_t z = 0; z < planes; z++)
        for (int64_t y = 0; y < 5; y++) {
            const float *row = corner + z * s.plane() + y * s.stride();
            float *to5 = sum5 + (z * 5 + y) * 5 * v;
            bool inner = y > 0 && y < 4 && (planes == 1 || (z > 0 && z < 4));
            float *to3 = sum3 + ((planes == 1 ? 0 : z - 1) * 3 + y - 1) * 3 * v;
            for (int64_t g = 0; g < m; g++) {
                v16 a[5] = {}, b[3] = {};
                if (inner)
                    for (int64_t j = g; j < vectors; j += m) {
                        v16 gradient5 = load(g5 + j * 16), gradient3 = load(g3 + j * 16);
#pragma GCC unroll 5
                        for (int x = 0; x < 5; x++) {
                            v16 in = load(row + j * 16 + x * s.c);
                            a[x] += in * gradient5;
                            if (x > 0 && x < 4) b[x - 1] += in * gradient3;
                        }
                    }
                else
                    for (int64_t j = g; j < vectors; j += m) {
                        v16 gradient5 = load(g5 + j * 16);
#pragma GCC unroll 5
                        for (int x = 0; x < 5; x++) a[x] += load(row + j * 16 + x * s.c) * gradient5;
                    }
                for (int x = 0; x < 5; x++) store(to5 + x * v + g * 16, load(to5 + x * v + g * 16) + a[x]);
                if (inner)
                    for (int x = 0; x < 3; x++) store(to3 + x * v + g * 16, load(to3 + x * v + g * 16) + b[x]);
            }
        }
}

// Sums per channel over a row's floats, `f` of a position giving `count` vectors to add; the last ones that are no whole vector too.
template <int count, typename F> static void sum_row(const Shape &s, F f, double *sums) {
    int64_t v = s.period(), m = v / 16, vectors = s.row() / 16;
    static thread_local std::vector<float> lanes;
    lanes.assign(count * v, 0.0f);
    for (int64_t g = 0; g < std::min(m, vectors); g++) {
        v16 a[count] = {};
        for (int64_t j = g; j < vectors; j += m) f(j * 16, g * 16, a, Whole());
        for (int k = 0; k < count; k++) store(lanes.data() + k * v + g * 16, a[k]);
    }
    int64_t rest = s.row() - vectors * 16;
    if (rest) {
        v16 a[count] = {};
        int64_t g = vectors % m * 16;
        f(vectors * 16, g, a, Rest{rest});
        for (int k = 0; k < count; k++)
            for (int64_t i = 0; i < rest; i++) lanes[k * v + g + i] += a[k][i];
    }
    for (int k = 0; k < count; k++)
        for (int64_t i = 0; i < v; i++) sums[k * s.c + i % s.c] += lanes[k * v + i];
}

// out = f of each position of a row.
template <typename F> static void map_row(const Shape &s, float *out, F f) {
    int64_t v = s.period(), vectors = s.row() / 16, rest = s.row() % 16, g = 0;
    for (int64_t j = 0; j < vectors; j++, g = g + 16 == v ? 0 : g + 16) store(out + j * 16, f(j * 16, g, Whole()));
    if (rest) {
        v16 last = f(vectors * 16, g, Rest{rest});
        memcpy(out + vectors * 16, &last, sizeof(float) * rest);
    }
}

template <typename F> static void each_row(const Shape &s, int threads, F f) {
    int64_t rows = s.n * s.d * s.h;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t r = 0; r < rows; r++) f(r / (s.d * s.h), r / s.h % s.d, r % s.h, r * s.row());
}

static void add_all(const std::vector<Sums> &parts, double *out) {
    for (const Sums &part : parts)
        for (size_t i = 0; i < part.size(); i++) out[i] += part[i];
}

static Shape shape_of(const int64_t *dims) { return Shape{dims[0], dims[1], dims[2], dims[3], dims[4], dims[5] != 0}; }

extern "C" {

// Floats of a padded copy.
int64_t padded_size(const int64_t *dims) {
    Shape s = shape_of(dims);
    return s.n * s.block() + 256;
}

// x -> padded copy, y5, y3 (of x's shape), and sums (N, 6, C): of x, y3, y5, and of their squares.
void depthwise_forward(const float *x, const int64_t *dims, const float *w3, const float *w5, float *padded, float *y3, float *y5,
                       double *sums, int threads) {
    Shape s = shape_of(dims);
    int64_t taps5 = s.radius_z() ? 125 : 25, taps3 = s.radius_z() ? 27 : 9;
    std::vector<float> weight5 = repeated(w5, s, taps5), weight3 = repeated(w3, s, taps3);
    omp_set_num_threads(threads);
    clear_margins(padded, s);
    each_row(s, threads, [&](int64_t n, int64_t d, int64_t h, int64_t at) {
        memcpy(row_of(padded, s, n, d, h), x + at, sizeof(float) * s.row());
    });
    std::vector<Sums> parts(threads, Sums(s.n * 6 * s.c));
    std::vector<std::vector<float>> buffers(threads, std::vector<float>(2 * (s.row() + 128)));
    each_row(s, threads, [&](int64_t n, int64_t d, int64_t h, int64_t at) {
        float *out5 = buffers[omp_get_thread_num()].data(), *out3 = out5 + s.row() + 128;
        const float *in = row_of(padded, s, n, d, h);
        convolve_row(in, s, weight5.data(), weight3.data(), out5, out3);
        memcpy(y5 + at, out5, sizeof(float) * s.row());
        memcpy(y3 + at, out3, sizeof(float) * s.row());
        sum_row<6>(
            s,
            [&](int64_t i, int64_t, v16 *a, auto) {
                v16 p = load(in + i), q = load(out3 + i), r = load(out5 + i);
                a[0] += p, a[1] += q, a[2] += r, a[3] += p * p, a[4] += q * q, a[5] += r * r;
            },
            parts[omp_get_thread_num()].data() + n * 6 * s.c);
    });
    add_all(parts, sums);
}

// out = sum over the three branches of clamp(a y + b, 0, 6); a and b (N, 3, C).
void branches_forward(const float *x, const float *y3, const float *y5, const int64_t *dims, const float *a, const float *b, float *out,
                      int threads) {
    Shape s = shape_of(dims);
    int64_t v = s.period();
    std::vector<float> scale = repeated(a, s, s.n * 3), shift = repeated(b, s, s.n * 3);
    each_row(s, threads, [&](int64_t n, int64_t, int64_t, int64_t at) {
        const float *sc = scale.data() + n * 3 * v, *sh = shift.data() + n * 3 * v;
        map_row(s, out + at, [&](int64_t i, int64_t g, auto read) {
            return clamp6(read(x + at + i) * load(sc + g) + load(sh + g)) +
                   clamp6(read(y3 + at + i) * load(sc + v + g) + load(sh + v + g)) +
                   clamp6(read(y5 + at + i) * load(sc + 2 * v + g) + load(sh + 2 * v + g));
        });
    });
}

// sums (N, 6, C): of each branch's gradient behind its clamp, and of that times the branch's input.
void branches_sums(const float *x, const float *y3, const float *y5, const float *gradient, const int64_t *dims, const float *a,
                   const float *b, double *sums, int threads) {
    Shape s = shape_of(dims);
    int64_t v = s.period();
    std::vector<float> scale = repeated(a, s, s.n * 3), shift = repeated(b, s, s.n * 3);
    std::vector<Sums> parts(threads, Sums(s.n * 6 * s.c));
    each_row(s, threads, [&](int64_t n, int64_t, int64_t, int64_t at) {
        const float *sc = scale.data() + n * 3 * v, *sh = shift.data() + n * 3 * v;
        const float *in[3] = {x + at, y3 + at, y5 + at};
        sum_row<6>(
            s,
            [&](int64_t i, int64_t g, v16 *to, auto read) {
                v16 out = read(gradient + at + i);
#pragma GCC unroll 3
                for (int k = 0; k < 3; k++) {
                    v16 value = read(in[k] + i);
                    v16 passed = inside6(value * load(sc + k * v + g) + load(sh + k * v + g), out);
                    to[k] += passed, to[3 + k] += passed * value;
                }
            },
            parts[omp_get_thread_num()].data() + n * 6 * s.c);
    });
    add_all(parts, sums);
}

// Each branch's gradient before its norm is p g + q y + r, with p, q, r (N, 3, C). dx of all three, and the weights' gradients: dw1 (C), dw3, dw5
// (taps, C). `padded` is the copy of x made by `depthwise_forward`; `padded3` and `padded5` are room for two more.
void depthwise_backward(const float *x, const float *y3, const float *y5, const float *gradient, float *padded, float *padded3,
                        float *padded5, const int64_t *dims, const float *a, const float *b, const float *p, const float *q, const float *r,
                        const float *w1, const float *w3, const float *w5, float *dx, double *dw1, double *dw3, double *dw5, int threads) {
    Shape s = shape_of(dims);
    int64_t v = s.period(), vectors = s.row() / 16;
    int64_t taps5 = s.radius_z() ? 125 : 25, taps3 = s.radius_z() ? 27 : 9;
    std::vector<float> sc = repeated(a, s, s.n * 3), sh = repeated(b, s, s.n * 3);
    std::vector<float> fp = repeated(p, s, s.n * 3), fq = repeated(q, s, s.n * 3), fr = repeated(r, s, s.n * 3);
    std::vector<float> one = repeated(w1, s);
    std::vector<float> mirrored5(taps5 * s.c), mirrored3(taps3 * s.c);
    for (int64_t t = 0; t < taps5; t++) std::copy_n(w5 + (taps5 - 1 - t) * s.c, s.c, mirrored5.data() + t * s.c);
    for (int64_t t = 0; t < taps3; t++) std::copy_n(w3 + (taps3 - 1 - t) * s.c, s.c, mirrored3.data() + t * s.c);
    std::vector<float> weight5 = repeated(mirrored5.data(), s, taps5), weight3 = repeated(mirrored3.data(), s, taps3);
    omp_set_num_threads(threads);
    clear_margins(padded3, s);
    clear_margins(padded5, s);
    std::vector<Sums> parts1(threads, Sums(s.c));
    each_row(s, threads, [&](int64_t n, int64_t d, int64_t h, int64_t at) {
        int64_t off = n * 3 * v;
        auto before = [&](int k, v16 value, v16 out, int64_t g) {
            int64_t o = off + k * v + g;
            v16 passed = inside6(value * load(sc.data() + o) + load(sh.data() + o), out);
            return load(fp.data() + o) * passed + load(fq.data() + o) * value + load(fr.data() + o);
        };
        float *to3 = row_of(padded3, s, n, d, h), *to5 = row_of(padded5, s, n, d, h);
        auto at_once = [&](int64_t i, int64_t g, auto read, v16 &g1, v16 &g3, v16 &g5) {
            v16 out = read(gradient + at + i);
            g1 = before(0, read(x + at + i), out, g);
            g3 = before(1, read(y3 + at + i), out, g);
            g5 = before(2, read(y5 + at + i), out, g);
        };
        sum_row<1>(
            s,
            [&](int64_t i, int64_t g, v16 *to, auto read) {
                v16 g1, g3, g5;
                at_once(i, g, read, g1, g3, g5);
                to[0] += g1 * read(x + at + i);
                g1 *= load(one.data() + g);
                if (i < vectors * 16)
                    store(to3 + i, g3), store(to5 + i, g5), store(dx + at + i, g1);
                else
                    for (int64_t e = i; e < s.row(); e++) to3[e] = g3[e - i], to5[e] = g5[e - i], dx[at + e] = g1[e - i];
            },
            parts1[omp_get_thread_num()].data());
    });
    add_all(parts1, dw1);
    std::vector<Sums> parts5(threads, Sums(taps5 * s.c)), parts3(threads, Sums(taps3 * s.c));
    int64_t rows = s.n * s.d * s.h;
#pragma omp parallel num_threads(threads)
    {
        int me = omp_get_thread_num();
        std::vector<float> sum5(taps5 * v), sum3(taps3 * v), out(s.row() + 128);
        int64_t since = 0;
        auto flush = [&]() {
            for (int64_t t = 0; t < taps5; t++)
                for (int64_t i = 0; i < v; i++) parts5[me][t * s.c + i % s.c] += sum5[t * v + i];
            for (int64_t t = 0; t < taps3; t++)
                for (int64_t i = 0; i < v; i++) parts3[me][t * s.c + i % s.c] += sum3[t * v + i];
            std::fill(sum5.begin(), sum5.end(), 0.0f), std::fill(sum3.begin(), sum3.end(), 0.0f), since = 0;
        };
#pragma omp for schedule(static)
        for (int64_t row = 0; row < rows; row++) {
            int64_t n = row / (s.d * s.h), d = row / s.h % s.d, h = row % s.h, at = row * s.row();
            const float *g5 = row_of(padded5, s, n, d, h), *g3 = row_of(padded3, s, n, d, h);
            convolve_two(g5, g3, s, weight5.data(), weight3.data(), out.data());
            for (int64_t i = 0; i < s.row(); i++) dx[at + i] += out[i];
            weight_row(row_of(padded, s, n, d, h), g5, g3, s, sum5.data(), sum3.data());
            if (++since == 32) flush();
        }
        flush();
    }
    add_all(parts5, dw5);
    add_all(parts3, dw3);
}

// sums (N, 2, C): of y and of its squares.
void norm_sums(const float *y, const int64_t *dims, double *sums, int threads) {
    Shape s = shape_of(dims);
    std::vector<Sums> parts(threads, Sums(s.n * 2 * s.c));
    each_row(s, threads, [&](int64_t n, int64_t, int64_t, int64_t at) {
        sum_row<2>(
            s,
            [&](int64_t i, int64_t, v16 *to, auto read) {
                v16 value = read(y + at + i);
                to[0] += value, to[1] += value * value;
            },
            parts[omp_get_thread_num()].data() + n * 2 * s.c);
    });
    add_all(parts, sums);
}

// out = a y + b, clamped to 0..6 where `clamped`; a and b (N, C).
void norm_forward(const float *y, const int64_t *dims, const float *a, const float *b, float *out, int clamped, int threads) {
    Shape s = shape_of(dims);
    int64_t v = s.period();
    std::vector<float> scale = repeated(a, s, s.n), shift = repeated(b, s, s.n);
    each_row(s, threads, [&](int64_t n, int64_t, int64_t, int64_t at) {
        map_row(s, out + at, [&](int64_t i, int64_t g, auto read) {
            v16 found = read(y + at + i) * load(scale.data() + n * v + g) + load(shift.data() + n * v + g);
            return clamped ? clamp6(found) : found;
        });
    });
}

// sums (N, 2, C): of the gradient behind the clamp, and of that times y.
void norm_backward_sums(const float *y, const float *gradient, const int64_t *dims, const float *a, const float *b, double *sums, int clamped,
                        int threads) {
    Shape s = shape_of(dims);
    int64_t v = s.period();
    std::vector<float> scale = repeated(a, s, s.n), shift = repeated(b, s, s.n);
    std::vector<Sums> parts(threads, Sums(s.n * 2 * s.c));
    each_row(s, threads, [&](int64_t n, int64_t, int64_t, int64_t at) {
        sum_row<2>(
            s,
            [&](int64_t i, int64_t g, v16 *to, auto read) {
                v16 value = read(y + at + i), passed = read(gradient + at + i);
                if (clamped) passed = inside6(value * load(scale.data() + n * v + g) + load(shift.data() + n * v + g), passed);
                to[0] += passed, to[1] += passed * value;
            },
            parts[omp_get_thread_num()].data() + n * 2 * s.c);
    });
    add_all(parts, sums);
}

// dy = p g + q y + r with g the gradient behind the clamp; p, q, r (N, C).
void norm_backward(const float *y, const float *gradient, const int64_t *dims, const float *a, const float *b, const float *p,
                   const float *q, const float *r, float *dy, int clamped, int threads) {
    Shape s = shape_of(dims);
    int64_t v = s.period();
    std::vector<float> scale = repeated(a, s, s.n), shift = repeated(b, s, s.n);
    std::vector<float> fp = repeated(p, s, s.n), fq = repeated(q, s, s.n), fr = repeated(r, s, s.n);
    each_row(s, threads, [&](int64_t n, int64_t, int64_t, int64_t at) {
        map_row(s, dy + at, [&](int64_t i, int64_t g, auto read) {
            int64_t o = n * v + g;
            v16 value = read(y + at + i), passed = read(gradient + at + i);
            if (clamped) passed = inside6(value * load(scale.data() + o) + load(shift.data() + o), passed);
            return load(fp.data() + o) * passed + load(fq.data() + o) * value + load(fr.data() + o);
        });
    });
}
}
