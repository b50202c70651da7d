/* A cache of 64-byte lines that forgets the least recently used: only which lines it holds, no contents. */
#ifndef EDGE_CACHE_MODEL_H
#define EDGE_CACHE_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BITS 6
#define NO_LINE UINT64_MAX

struct cache {
    unsigned ways;
    uint64_t set_mask;
    uint64_t *lines; /* set by set, the most recently used first */
};

static inline void cache_empty(struct cache *cache) {
    if (cache->lines)
        memset(cache->lines, 0xff, (cache->set_mask + 1) * cache->ways * sizeof *cache->lines);
}

/* False when the size is not a power of two of whole sets, or there is no memory. */
static inline bool cache_build(struct cache *cache, unsigned kib, unsigned ways) {
    uint64_t lines = ((uint64_t)kib << 10) >> LINE_BITS;
    uint64_t sets = ways ? lines / ways : 0;
    if (!sets || sets * ways != lines || (sets & (sets - 1)))
        return false;
    cache->ways = ways;
    cache->set_mask = sets - 1;
    cache->lines = malloc(lines * sizeof *cache->lines);
    cache_empty(cache);
    return cache->lines != NULL;
}

/* Whether the cache holds the line; from now on it does. */
static inline bool cache_touch(struct cache *cache, uint64_t line) {
    uint64_t *set = cache->lines + (line & cache->set_mask) * cache->ways;
    if (set[0] == line)
        return true;
    unsigned way = 1;
    while (way < cache->ways && set[way] != line)
        way++;
    bool held = way < cache->ways;
    memmove(set + 1, set, (held ? way : cache->ways - 1) * sizeof *set);
    set[0] = line;
    return held;
}

#endif
