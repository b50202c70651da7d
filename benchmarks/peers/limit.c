/* The device model's maths by hand: what the model call costs without any runtime.
 *
 * A vector holds LANES events (embedding, gates) or LANES dimensions (evidence, read-out). Every product of matrices is
 * a tile of sums kept in registers: one load serves several multiply-adds. Nothing is allocated; `work` is the caller's.
 * Arrays of events are padded with zeros to a multiple of LANES: such an event's vector is 0.
 * Build with -DDIMENSION=d -DOBJECTIVES=K, without -ffast-math (rounding by a big number must stay).
 */
#include "limit_task.h"
#include "limit_vector.h"

#define PAIR 2 /* vectors, of events or of dimensions, that a tile takes at once */
#define COLUMNS (SUMS / PAIR)
#define PARTS (D / LANES < PAIR ? D / LANES : PAIR)
#define BLOCKS (D / LANES / PARTS)

INLINE void transpose(const float *from, long from_step, float *to, long to_step) {
    vec a[LANES], b[LANES];
    UNROLL for (int i = 0; i < LANES; i++) a[i] = load(from + i * from_step);
    UNROLL for (int width = 1; width < LANES; width *= 2) {
        UNROLL for (int i = 0; i < LANES / 2; i++) {
            b[2 * i] = ZIP_LOW(a[i], a[i + LANES / 2]);
            b[2 * i + 1] = ZIP_HIGH(a[i], a[i + LANES / 2]);
        }
        UNROLL for (int i = 0; i < LANES; i++) a[i] = b[i];
    }
    UNROLL for (int i = 0; i < LANES; i++) store(to + i * to_step, a[i]);
}

/* Lane i of the result is the sum of vector i's lanes. */
INLINE vec sums_of(const float *vectors) {
    vec a[LANES];
    UNROLL for (int i = 0; i < LANES; i++) a[i] = load(vectors + i * LANES);
    UNROLL for (int half = LANES / 2; half > 0; half /= 2)
        UNROLL for (int i = 0; i < half; i++) a[i] = ZIP_LOW(a[i], a[i + half]) + ZIP_HIGH(a[i], a[i + half]);
    return a[0];
}

/* sum[j][p] += Σᵢ weight(i, j) · vector(i, p): the one product of matrices here. `columns`, `width`: constants. */
INLINE void add_products(vec sum[][PAIR], const float *vectors, long vector_step, const float *weights,
                         long weight_step, long column_step, int depth, int columns, int width) {
    _Pragma("GCC unroll 1") for (int i = 0; i < depth; i++) {
        vec x[PAIR];
        UNROLL for (int p = 0; p < width; p++) x[p] = load(vectors + i * vector_step + p * LANES);
        UNROLL for (int j = 0; j < columns; j++) {
            float weight = weights[i * weight_step + j * column_step];
            UNROLL for (int p = 0; p < width; p++) sum[j][p] += weight * x[p];
        }
    }
}

/* Powers of the age, a row of `width` vectors each: 2^(-p log2(1 + age)). */
INLINE void age_powers(const Task *t, int first, float *powers, int width) {
    UNROLL for (int p = 0; p < width; p++) {
        vec age = logarithm(load(t->age_s + first + p * LANES) + 1.0f) * LOG2_E;
        UNROLL for (int i = 0; i < AGES; i++)
            store(powers + (i * PAIR + p) * LANES, power_of_two(age * t->exponents[i]));
    }
}

/* e for events whose item, kind and value are already one term and one scale. */
INLINE void squash_state(const Task *t, int first, float *e, int width) {
    float powers[AGES * PAIR * LANES];
    age_powers(t, first, powers, width);
    for (int d = 0; d < D; d += COLUMNS) {
        vec sum[COLUMNS][PAIR];
        UNROLL for (int j = 0; j < COLUMNS; j++)
            UNROLL for (int p = 0; p < width; p++) sum[j][p] = fill(t->context_row[d + j]);
        add_products(sum, powers, PAIR * LANES, t->age_weights + d, D, 1, AGES, COLUMNS, width);
        UNROLL for (int j = 0; j < COLUMNS; j++)
            UNROLL for (int p = 0; p < width; p++) {
                long at = (long)(d + j) * t->events + first + p * LANES;
                store(e + ((d + j) * PAIR + p) * LANES, tangent(sum[j][p] * load(t->scale + at) + load(t->term + at)));
            }
    }
}

/* e from the tables, one event's dimensions a vector, then turned round. */
INLINE void squash_raw(const Task *t, int first, float *e, int width) {
    float features[(AGES + 1) * PAIR * LANES], rows[LANES * D];
    age_powers(t, first, features, width);
    for (int p = 0; p < width; p++) {
        store(features + (AGES * PAIR + p) * LANES, inverse_sine(load(t->value + first + p * LANES)));
        for (int n = 0; n < LANES; n++) {
            int at = first + p * LANES + n;
            const float *item = t->items + (long)t->item[at] * D;
            const float *scale = t->scales + (long)t->kind[at] * D, *shift = t->shifts + (long)t->kind[at] * D;
            UNROLL for (int d = 0; d < D; d += LANES) {
                vec sum = load(item + d) + load(t->context_row + d);
                UNROLL for (int i = 0; i <= AGES; i++)
                    sum += features[(i * PAIR + p) * LANES + n] * load(t->age_weights + i * D + d);
                store(rows + n * D + d, tangent(sum * load(scale + d) + load(shift + d)));
            }
        }
        for (int d = 0; d < D; d += LANES) transpose(rows + d, D, e + (d * PAIR + p) * LANES, PAIR * LANES);
    }
}

/* h = (e + relu(e·A)·B) · exp(age · fading), both ways round: (D, events) for the gates, (events, D) for evidence. */
INLINE void embed(const Task *t, int first, const float *e, const vec *fading, float *by_dimension, float *by_event,
                  int width) {
    float hidden[2 * D * PAIR * LANES];
    for (int h = 0; h < 2 * D; h += COLUMNS) {
        vec sum[COLUMNS][PAIR] = {0};
        add_products(sum, e, PAIR * LANES, t->hidden_in + h, 2 * D, 1, D, COLUMNS, width);
        UNROLL for (int j = 0; j < COLUMNS; j++)
            UNROLL for (int p = 0; p < width; p++)
                store(hidden + ((h + j) * PAIR + p) * LANES, larger(sum[j][p], fill(0.0f)));
    }
    for (int d = 0; d < D; d += COLUMNS) {
        vec sum[COLUMNS][PAIR];
        UNROLL for (int j = 0; j < COLUMNS; j++)
            UNROLL for (int p = 0; p < width; p++) sum[j][p] = load(e + ((d + j) * PAIR + p) * LANES);
        add_products(sum, hidden, PAIR * LANES, t->hidden_out + d, D, 1, 2 * D, COLUMNS, width);
        UNROLL for (int j = 0; j < COLUMNS; j++)
            UNROLL for (int p = 0; p < width; p++)
                store(by_dimension + (long)(d + j) * t->events + first + p * LANES, sum[j][p] * fading[p]);
    }
    for (int p = 0; p < width; p++)
        for (int d = 0; d < D; d += LANES) {
            int at = first + p * LANES;
            transpose(by_dimension + (long)d * t->events + at, t->events, by_event + (long)at * D + d, D);
        }
}

INLINE void embed_state(const Task *t, int first, float *by_dimension, float *by_event, int width) {
    float e[D * PAIR * LANES];
    vec fading[PAIR];
    squash_state(t, first, e, width);
    UNROLL for (int p = 0; p < width; p++) {
        int at = first + p * LANES;
        fading[p] = power_of_two(load(t->age_s + at) * load(t->fading + at) * LOG2_E);
    }
    embed(t, first, e, fading, by_dimension, by_event, width);
}

INLINE void embed_raw(const Task *t, int first, float *by_dimension, float *by_event, int width) {
    float e[D * PAIR * LANES];
    vec fading[PAIR] = {0};
    squash_raw(t, first, e, width);
    UNROLL for (int p = 0; p < width; p++) {
        int at = first + p * LANES;
        for (int n = 0; n < LANES; n++) fading[p][n] = t->fadings[t->kind[at + n]];
        fading[p] = power_of_two(load(t->age_s + at) * fading[p] * LOG2_E);
    }
    embed(t, first, e, fading, by_dimension, by_event, width);
}

/* The gates of `rows` candidates and `width` vectors of events, and what these events add to the evidence. */
INLINE void add_evidence(const Task *t, int c, const float *by_dimension, const float *by_event, int n,
                         vec evidence[][COLUMNS][PAIR], int rows, int width) {
    float gate[COLUMNS * PAIR * LANES];
    vec sum[COLUMNS][PAIR];
    UNROLL for (int j = 0; j < rows; j++)
        UNROLL for (int p = 0; p < width; p++) sum[j][p] = fill(t->gate_bias[0]);
    add_products(sum, by_dimension + n, t->events, t->query + (long)c * D, 1, D, D, rows, width);
    UNROLL for (int j = 0; j < rows; j++)
        UNROLL for (int p = 0; p < width; p++)
            store(gate + (j * PAIR + p) * LANES, 1.0f / (1.0f + power_of_two(sum[j][p])));
    UNROLL for (int d = 0; d < BLOCKS; d++)
        add_products(evidence[d], by_event + (long)n * D + d * PARTS * LANES, D, gate, 1, PAIR * LANES, width * LANES,
                     rows, PARTS);
}

/* The vectors whose lanes sum to the residuals of `rows` candidates from c on. */
INLINE void score_rows(const Task *t, int c, const float *by_dimension, const float *by_event, float *residual,
                       int rows) {
    int n = 0, counters = t->counter_width;
    vec evidence[BLOCKS][COLUMNS][PAIR] = {0}, total[COLUMNS][K] = {0};
    for (; n + PAIR * LANES <= t->events; n += PAIR * LANES)
        add_evidence(t, c, by_dimension, by_event, n, evidence, rows, PAIR);
    if (n < t->events) add_evidence(t, c, by_dimension, by_event, n, evidence, rows, 1);
    UNROLL for (int j = 0; j < rows; j++)
        UNROLL for (int k = 0; k < K; k++) {
            const float *readout = t->readout + ((long)(c + j) * K + k) * D;
            UNROLL for (int d = 0; d < BLOCKS * PARTS; d++)
                total[j][k] += evidence[d / PARTS][j][d % PARTS] * load(readout + d * LANES);
        }
    for (int f = 0; f < counters; f += LANES)
        UNROLL for (int j = 0; j < rows; j++) {
            vec count = load(t->counters + (long)(c + j) * counters + f);
            UNROLL for (int k = 0; k < K; k++) total[j][k] += count * load(t->counter_weights + k * counters + f);
        }
    UNROLL for (int j = 0; j < rows; j++)
        UNROLL for (int k = 0; k < K; k++) store(residual + ((long)(c + j) * K + k) * LANES, total[j][k]);
}

APART void score(const Task *t, float *by_dimension, float *by_event) {
    float *residual = by_event + (long)t->events * D;
    int outputs = t->candidates * K;
    for (int c = 0; c < t->candidates;) {
        int left = t->candidates - c, tiles = (left + COLUMNS - 1) / COLUMNS, rows = (left + tiles - 1) / tiles;
        switch (rows) { /* tiles of nearly one height: a last one of 1 or 2 rows would wait for its own sums */
#define ROWS(count) case count: score_rows(t, c, by_dimension, by_event, residual, count); break;
            ROWS(1) ROWS(2) ROWS(3) ROWS(4)
#if COLUMNS == 8
            ROWS(5) ROWS(6) ROWS(7) ROWS(8)
#endif
        }
        c += rows;
    }
    for (int i = 0; i < outputs; i += LANES)
        store(t->logits + i, load(t->base_logits + i) + sums_of(residual + (long)i * LANES));
}

/* Floats that `work` needs. */
long limit_work_floats(int events, int candidates) {
    return (long)events * 2 * D + ((long)candidates * K + LANES) * LANES + (long)candidates * (K + 1) * D + D;
}

int limit_lanes(void) { return LANES; }

int limit_runs_here(void) {
#if defined(__AVX512F__)
    return __builtin_cpu_supports("avx512f");
#elif defined(__AVX2__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return 1;
#endif
}

/* What a call through ctypes costs by itself. */
void limit_nothing(const Task *t) { (void)t; }

/* The ranking graph of format 3: events and candidates as they are kept between decisions. */
void limit_state(const Task *t) {
    float *by_dimension = t->work, *by_event = t->work + (long)t->events * D;
    int n = 0;
    for (; n + PAIR * LANES <= t->events; n += PAIR * LANES) embed_state(t, n, by_dimension, by_event, PAIR);
    if (n < t->events) embed_state(t, n, by_dimension, by_event, 1);
    score(t, by_dimension, by_event);
}

/* The untouched module: everything from ids and raw values, and the fused score. */
void limit_raw(const Task *given) {
    Task own = *given;
    long events = own.events, candidates = own.candidates;
    float *by_dimension = own.work, *by_event = by_dimension + events * D;
    float *query = own.work + limit_work_floats(own.events, own.candidates) - candidates * (K + 1) * D - D;
    float *readout = query + candidates * D, *context_row = readout + candidates * K * D;
    for (int d = 0; d < D; d++) context_row[d] = 0.0f;
    for (int x = 0; x < own.context_width; x++)
        for (int d = 0; d < D; d++) context_row[d] += own.context[x] * own.contexts[x * D + d];
    for (int c = 0; c < candidates; c++) {
        __builtin_memcpy(query + c * D, own.queries + (long)own.offer[c] * D, D * sizeof(float));
        __builtin_memcpy(readout + c * K * D, own.readouts + (long)own.offer[c] * K * D, K * D * sizeof(float));
    }
    own.query = query, own.readout = readout, own.context_row = context_row;
    int n = 0;
    for (; n + PAIR * LANES <= events; n += PAIR * LANES) embed_raw(&own, n, by_dimension, by_event, PAIR);
    if (n < events) embed_raw(&own, n, by_dimension, by_event, 1);
    score(&own, by_dimension, by_event);
    for (int c = 0; c < candidates; c++) {
        float fused = 0.0f;
        for (int k = 0; k < K; k++) fused += own.logits[c * K + k] * own.mix[k];
        own.fused[c] = fused;
    }
}
