// The passes over a whole tensor in UltraLightUNet's convolutional multi-focal attention: out = x * a * s, with a weight a for each channel and a
// weight s for each position. What is small (the layers that make a and s) is left to PyTorch.
//
// Tensors are channels-last: `count` positions of `c` channels for each of `n` samples.
#include <algorithm>
#include <cfloat>
#include <cstdint>
#include <vector>

#include <omp.h>

namespace {

// Calls f(sample, first position, end) for chunks of positions, each on one thread; f gets the thread's own sums (width floats) and they are
// added to `sums` (n, width) in double precision.
template <typename F> void each_chunk(int64_t n, int64_t count, int64_t width, double *sums, int threads, F f) {
    const int64_t chunk = 512;
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> own(width);
#pragma omp for collapse(2) schedule(static)
        for (int64_t sample = 0; sample < n; sample++)
            for (int64_t begin = 0; begin < count; begin += chunk) {
                std::fill(own.begin(), own.end(), 0.0f);
                f(sample, begin, std::min(begin + chunk, count), own.data());
                if (width) {
#pragma omp critical
                    for (int64_t i = 0; i < width; i++) sums[sample * width + i] += own[i];
                }
            }
    }
}

// How far the gradient of position p reaches the product y = x * a: behind s, behind the channels' mean and behind their maximum.
struct Product {
    int64_t c;
    std::vector<float> y, gradient;
    explicit Product(int64_t channels) : c(channels), y(channels), gradient(channels) {}
    void at(const float *x, const float *a, const float *g, float s, float mean, float peak) {
        float highest = -FLT_MAX;
        for (int64_t k = 0; k < c; k++) y[k] = x[k] * a[k];
        for (int64_t k = 0; k < c; k++) highest = std::max(highest, y[k]);
        float ties = 0;
        for (int64_t k = 0; k < c; k++) ties += y[k] == highest ? 1.0f : 0.0f;
        float share = peak / ties, part = mean / c;
        for (int64_t k = 0; k < c; k++) gradient[k] = g[k] * s + part + (y[k] == highest ? share : 0.0f);
    }
};

} // namespace

extern "C" {

// sums (N, C) and maxima (N, C) of x over its positions.
void pool_forward(const float *x, int64_t n, int64_t count, int64_t c, double *sums, float *maxima, int threads) {
    each_chunk(n, count, c, sums, threads, [&](int64_t sample, int64_t begin, int64_t end, float *own) {
        std::vector<float> highest(c, -FLT_MAX);
        for (int64_t p = begin; p < end; p++) {
            const float *at = x + (sample * count + p) * c;
#pragma omp simd
            for (int64_t k = 0; k < c; k++) own[k] += at[k], highest[k] = std::max(highest[k], at[k]);
        }
#pragma omp critical(maxima)
        for (int64_t k = 0; k < c; k++) maxima[sample * c + k] = std::max(maxima[sample * c + k], highest[k]);
    });
}

// statistics (N, positions, 2): mean and maximum over the channels of x * a; ties (N, C): positions at which x is its maximum.
void statistics_forward(const float *x, int64_t n, int64_t count, int64_t c, const float *a, const float *maxima, float *statistics,
                        double *ties, int threads) {
    each_chunk(n, count, c, ties, threads, [&](int64_t sample, int64_t begin, int64_t end, float *own) {
        const float *scale = a + sample * c, *top = maxima + sample * c;
        for (int64_t p = begin; p < end; p++) {
            const float *at = x + (sample * count + p) * c;
            float sum = 0, highest = -FLT_MAX;
#pragma omp simd reduction(+ : sum) reduction(max : highest)
            for (int64_t k = 0; k < c; k++) {
                float y = at[k] * scale[k];
                sum += y, highest = std::max(highest, y);
                own[k] += at[k] == top[k] ? 1.0f : 0.0f;
            }
            statistics[(sample * count + p) * 2] = sum / c;
            statistics[(sample * count + p) * 2 + 1] = highest;
        }
    });
}

// out = x * a * s; a (N, C), s (N, positions).
void scale_forward(const float *x, int64_t n, int64_t count, int64_t c, const float *a, const float *s, float *out, int threads) {
    each_chunk(n, count, 0, nullptr, threads, [&](int64_t sample, int64_t begin, int64_t end, float *) {
        const float *scale = a + sample * c;
        for (int64_t p = begin; p < end; p++) {
            int64_t at = (sample * count + p) * c;
            float here = s[sample * count + p];
#pragma omp simd
            for (int64_t k = 0; k < c; k++) out[at + k] = x[at + k] * scale[k] * here;
        }
    });
}

// The gradient of s: sum over the channels of gradient * x * a.
void scale_backward(const float *x, const float *gradient, int64_t n, int64_t count, int64_t c, const float *a, float *ds, int threads) {
    each_chunk(n, count, 0, nullptr, threads, [&](int64_t sample, int64_t begin, int64_t end, float *) {
        const float *scale = a + sample * c;
        for (int64_t p = begin; p < end; p++) {
            int64_t at = (sample * count + p) * c;
            float sum = 0;
#pragma omp simd reduction(+ : sum)
            for (int64_t k = 0; k < c; k++) sum += gradient[at + k] * x[at + k] * scale[k];
            ds[sample * count + p] = sum;
        }
    });
}

// The gradient of a, given that of the statistics: da (N, C).
void channels_backward(const float *x, const float *gradient, int64_t n, int64_t count, int64_t c, const float *a, const float *s,
                       const float *dstatistics, double *da, int threads) {
    each_chunk(n, count, c, da, threads, [&](int64_t sample, int64_t begin, int64_t end, float *own) {
        Product product(c);
        for (int64_t p = begin; p < end; p++) {
            int64_t position = sample * count + p, at = position * c;
            product.at(x + at, a + sample * c, gradient + at, s[position], dstatistics[2 * position], dstatistics[2 * position + 1]);
#pragma omp simd
            for (int64_t k = 0; k < c; k++) own[k] += product.gradient[k] * x[at + k];
        }
    });
}

// The gradient of x, given what each position gets of the gradients of the pooled means and, at a maximum, of the maxima: both (N, C).
void attention_backward(const float *x, const float *gradient, int64_t n, int64_t count, int64_t c, const float *a, const float *s,
                        const float *dstatistics, const float *maxima, const float *dmean, const float *dmaximum, float *dx, int threads) {
    each_chunk(n, count, 0, nullptr, threads, [&](int64_t sample, int64_t begin, int64_t end, float *) {
        Product product(c);
        const float *scale = a + sample * c, *top = maxima + sample * c, *mean = dmean + sample * c, *peak = dmaximum + sample * c;
        for (int64_t p = begin; p < end; p++) {
            int64_t position = sample * count + p, at = position * c;
            product.at(x + at, scale, gradient + at, s[position], dstatistics[2 * position], dstatistics[2 * position + 1]);
#pragma omp simd
            for (int64_t k = 0; k < c; k++)
                dx[at + k] = product.gradient[k] * scale[k] + mean[k] + (x[at + k] == top[k] ? peak[k] : 0.0f);
        }
    });
}
}
