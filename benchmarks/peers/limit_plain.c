/* The same maths from the same state in scalar C; the compiler makes of the loops what it can. */
#include "limit_task.h"
#include <string.h>

static inline float power_of_two(float t) { /* as in limit.c */
    t = t < 100.0f ? t : 100.0f;
    t = t > -100.0f ? t : -100.0f;
    float rounded = t + 12582912.0f, f = t - (rounded - 12582912.0f);
    float p = 1.326472725e-3f * f + 9.671512688e-3f;
    p = ((p * f + 5.550733744e-2f) * f + 2.402224208e-1f) * f + 6.931469776e-1f;
    p = p * f + 1.0f;
    uint32_t whole, bits;
    memcpy(&whole, &rounded, 4);
    memcpy(&bits, &p, 4);
    bits += whole << 23;
    memcpy(&p, &bits, 4);
    return p;
}

static void embed(const Task *t, float *restrict powers, float *restrict e, float *restrict hidden, float *restrict h) {
    int count = t->events;
    for (int n = 0; n < count; n++) powers[n] = __builtin_log2f(1.0f + t->age_s[n]);
    for (int i = 1; i <= AGES; i++)
        for (int n = 0; n < count; n++) powers[i * count + n] = power_of_two(powers[n] * t->exponents[i - 1]);
    for (int d = 0; d < D; d++) {
        float *restrict row = e + d * count;
        for (int n = 0; n < count; n++) row[n] = t->context_row[d];
        for (int i = 0; i < AGES; i++)
            for (int n = 0; n < count; n++) row[n] += powers[(i + 1) * count + n] * t->age_weights[i * D + d];
        for (int n = 0; n < count; n++) {
            float x = row[n] * t->scale[d * count + n] + t->term[d * count + n];
            row[n] = 1.0f - 2.0f / (power_of_two(x * (2.0f * LOG2_E)) + 1.0f);
        }
    }
    for (int j = 0; j < 2 * D; j++) {
        float *restrict row = hidden + j * count;
        for (int n = 0; n < count; n++) row[n] = 0.0f;
        for (int d = 0; d < D; d++)
            for (int n = 0; n < count; n++) row[n] += e[d * count + n] * t->hidden_in[d * 2 * D + j];
        for (int n = 0; n < count; n++) row[n] = row[n] > 0.0f ? row[n] : 0.0f;
    }
    for (int n = 0; n < count; n++) powers[n] = power_of_two(t->age_s[n] * t->fading[n] * LOG2_E);
    for (int d = 0; d < D; d++) {
        float *restrict row = h + d * count;
        for (int n = 0; n < count; n++) row[n] = e[d * count + n];
        for (int j = 0; j < 2 * D; j++)
            for (int n = 0; n < count; n++) row[n] += hidden[j * count + n] * t->hidden_out[j * D + d];
        for (int n = 0; n < count; n++) row[n] *= powers[n];
    }
}

long limit_work_floats(int events, int candidates) {
    (void)candidates;
    return (long)events * (AGES + 1 + D + 2 * D + 2 * D + 1);
}

int limit_lanes(void) { return 1; }

int limit_runs_here(void) { return 1; }

void limit_state(const Task *t) {
    int count = t->events;
    float *powers = t->work, *e = powers + (AGES + 1) * count, *hidden = e + D * count, *h = hidden + 2 * D * count;
    float *restrict by_event = h + D * count, *restrict gate = by_event + D * count;
    embed(t, powers, e, hidden, h);
    for (int n = 0; n < count; n++)
        for (int d = 0; d < D; d++) by_event[n * D + d] = h[d * count + n];
    for (int c = 0; c < t->candidates; c++) {
        float evidence[D] = {0};
        for (int n = 0; n < count; n++) gate[n] = t->gate_bias[0];
        for (int d = 0; d < D; d++)
            for (int n = 0; n < count; n++) gate[n] += t->query[c * D + d] * h[d * count + n];
        for (int n = 0; n < count; n++) gate[n] = 1.0f / (1.0f + power_of_two(gate[n]));
        for (int n = 0; n < count; n++)
            for (int d = 0; d < D; d++) evidence[d] += gate[n] * by_event[n * D + d];
        for (int k = 0; k < K; k++) {
            float logit = 0.0f;
            for (int d = 0; d < D; d++) logit += evidence[d] * t->readout[(c * K + k) * D + d];
            for (int f = 0; f < t->counter_width; f++)
                logit += t->counters[c * t->counter_width + f] * t->counter_weights[k * t->counter_width + f];
            t->logits[c * K + k] = t->base_logits[c * K + k] + logit;
        }
    }
}
