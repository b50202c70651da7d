/* What a call of the C of the model is given; limit_task.py fills it. */
#include <stdint.h>

#define D DIMENSION
#define K OBJECTIVES
#define AGES 5 /* powers of the age; the feature after them is asinh(value) */
#define LOG2_E 1.44269504f

typedef struct {
    int32_t events, candidates, counter_width, context_width; /* events, counter_width: multiples of LANES */
    /* weights */
    const float *exponents, *age_weights, *hidden_in, *hidden_out; /* (AGES) (AGES + 1, D) (D, 2D) (2D, D) */
    const float *counter_weights, *gate_bias;                      /* (K, counter_width); (1) times -log2 e */
    const float *items, *scales, *shifts, *fadings;                /* (items, D) (kinds, D) (kinds, D) (kinds) */
    const float *queries, *readouts, *contexts;                    /* (offers, D) times -log2 e; (offers, K, D) (X, D) */
    /* state: kept from one call to the next */
    const float *term, *scale, *fading;  /* (D, events) (D, events) (events) */
    const float *context_row;            /* (D) */
    const float *query, *readout;        /* (candidates, D) times -log2 e; (candidates, K, D) */
    /* inputs */
    const float *age_s, *value;          /* (events) */
    const int32_t *item, *kind, *offer;  /* (events) (events) (candidates) */
    const float *context, *counters;     /* (X); (candidates, counter_width), zeros behind the last */
    const float *base_logits, *mix;      /* (candidates, K) and room for LANES more; (K) */
    float *logits, *fused;               /* (candidates, K) and room for LANES more; (candidates) */
    float *work;                         /* limit_work_floats() */
} Task;
