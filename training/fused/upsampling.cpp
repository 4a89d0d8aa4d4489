// Twice the size by linear interpolation, and what is negative set to zero: the step between two stages of UltraLightUNet's decoder.
//
// Rows are channels-last, as in blocks.cpp. An output position 2i lies a quarter of a voxel before input i, 2i + 1 a quarter behind it; outside
// the image its outermost voxels go on.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include <omp.h>

namespace {

struct Shape {
    int64_t n, d, h, w, c;
    bool volume;
    int64_t depth() const { return volume ? 2 * d : 1; }
    int64_t row() const { return w * c; }
};

Shape shape_of(const int64_t *dims) { return Shape{dims[0], dims[1], dims[2], dims[3], dims[4], dims[5] != 0}; }

// The two input positions that output position `at` lies between, and how much of each.
struct Pair {
    int64_t first, second;
    float share;
};

Pair inputs_of(int64_t at, int64_t length) {
    int64_t first = (at + 1) / 2 - 1, second = first + 1;
    return {std::max<int64_t>(first, 0), std::min(second, length - 1), at % 2 ? 0.75f : 0.25f};
}

// The output positions that input position `at` goes into, and how much of it.
struct Four {
    int64_t first;
    int count;
    float share[4];
};

Four outputs_of(int64_t at, int64_t length) {
    Four found{std::max<int64_t>(2 * at - 1, 0), 0, {}};
    for (int64_t out = found.first; out < std::min(2 * at + 3, 2 * length); out++) {
        Pair from = inputs_of(out, length);
        found.share[found.count++] = (from.first == at ? from.share : 0.0f) + (from.second == at ? 1 - from.share : 0.0f);
    }
    return found;
}

void add(float *to, const float *from, float share, int64_t count) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++) to[i] += share * from[i];
}

} // namespace

extern "C" {

// x (N, D, H, W, C) -> out of twice the size along W, H and, for volumes, D.
void up_forward(const float *x, const int64_t *dims, float *out, int threads) {
    Shape s = shape_of(dims);
    int64_t height = 2 * s.h, depth = s.depth(), row = s.row(), c = s.c;
#pragma omp parallel num_threads(threads)
    {
        // A voxel more on each side, and the two halves of an output row.
        std::vector<float> mixed(row + 2 * c), even(row), odd(row);
#pragma omp for collapse(3) schedule(static)
        for (int64_t n = 0; n < s.n; n++)
            for (int64_t z = 0; z < depth; z++)
                for (int64_t y = 0; y < height; y++) {
                    Pair of_z = s.volume ? inputs_of(z, s.d) : Pair{0, 0, 1.0f}, of_y = inputs_of(y, s.h);
                    float *middle = mixed.data() + c;
                    std::fill(middle, middle + row, 0.0f);
                    for (int k = 0; k < (s.volume ? 2 : 1); k++) {
                        const float *plane = x + (n * s.d + (k ? of_z.second : of_z.first)) * s.h * row;
                        float share = k ? 1 - of_z.share : of_z.share;
                        add(middle, plane + of_y.first * row, share * of_y.share, row);
                        add(middle, plane + of_y.second * row, share * (1 - of_y.share), row);
                    }
                    std::copy_n(middle, c, mixed.data());
                    std::copy_n(middle + row - c, c, middle + row);
#pragma omp simd
                    for (int64_t i = 0; i < row; i++) {
                        even[i] = std::max(0.25f * middle[i - c] + 0.75f * middle[i], 0.0f);
                        odd[i] = std::max(0.75f * middle[i] + 0.25f * middle[i + c], 0.0f);
                    }
                    float *to = out + ((n * depth + z) * height + y) * 2 * row;
                    for (int64_t i = 0; i < row; i += c) {
                        memcpy(to + 2 * i, even.data() + i, sizeof(float) * c);
                        memcpy(to + 2 * i + c, odd.data() + i, sizeof(float) * c);
                    }
                }
    }
}

// The gradient of x from that of `out`.
void up_backward(const float *gradient, const float *out, const int64_t *dims, float *dx, int threads) {
    Shape s = shape_of(dims);
    int64_t height = 2 * s.h, depth = s.depth(), row = s.row(), c = s.c;
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> mixed(2 * row + 2 * c);
#pragma omp for collapse(3) schedule(static)
        for (int64_t n = 0; n < s.n; n++)
            for (int64_t z = 0; z < s.d; z++)
                for (int64_t y = 0; y < s.h; y++) {
                    Four of_z = s.volume ? outputs_of(z, s.d) : Four{0, 1, {1.0f}}, of_y = outputs_of(y, s.h);
                    float *middle = mixed.data() + c;
                    std::fill(mixed.begin(), mixed.end(), 0.0f);
                    for (int k = 0; k < of_z.count; k++)
                        for (int j = 0; j < of_y.count; j++) {
                            int64_t at = ((n * depth + of_z.first + k) * height + of_y.first + j) * 2 * row;
                            float share = of_z.share[k] * of_y.share[j];
#pragma omp simd
                            for (int64_t i = 0; i < 2 * row; i++) middle[i] += out[at + i] > 0 ? share * gradient[at + i] : 0.0f;
                        }
                    // What lies beyond the border counts for the outermost voxel.
                    float *to = dx + ((n * s.d + z) * s.h + y) * row;
                    for (int64_t i = 0; i < row; i += c)
#pragma omp simd
                        for (int64_t k = 0; k < c; k++) {
                            const float *at = middle + 2 * i + k;
                            to[i + k] = 0.25f * (at[-c] + at[2 * c]) + 0.75f * (at[0] + at[c]);
                        }
                    add(to, middle, 0.25f, c);
                    add(to + row - c, middle + 2 * row - c, 0.25f, c);
                }
    }
}
}
