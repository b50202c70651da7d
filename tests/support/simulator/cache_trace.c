/* Reads the size of a cache (KiB, ways), then line numbers; prints 1 for each that the cache held, else 0. */
#include <inttypes.h>
#include <stdio.h>

#include "cache_model.h"

int main(void) {
    unsigned kib, ways;
    uint64_t line;
    struct cache cache = {0};
    if (scanf("%u %u", &kib, &ways) != 2 || !cache_build(&cache, kib, ways))
        return 1;
    while (scanf("%" SCNu64, &line) == 1)
        printf("%d\n", cache_touch(&cache, line));
    return 0;
}
