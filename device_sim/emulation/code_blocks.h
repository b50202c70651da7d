/* The blocks that QEMU translated and the code pages that they lie in, each at an address that never changes. */
#ifndef EDGE_CODE_BLOCKS_H
#define EDGE_CODE_BLOCKS_H

#include <stdio.h>
#include <unistd.h>

#include "a64_classes.h"
#include "cache_model.h"

#define REGIONS 64
#define PAGE_BITS 12

enum { L1I, L1D, L2, L3, LEVELS };

static void fail(const char *why) {
    fprintf(stderr, "instruction_counts: %s\n", why);
    _exit(125); /* not exit: QEMU's own exit handlers would call back into here */
}

static void *allocated(size_t bytes) {
    void *memory = calloc(1, bytes);
    if (!memory)
        fail("no memory left on the host");
    return memory;
}

/* Code of one page. Its misses are pending until the next marker says whose they were. */
struct page {
    uint64_t number;
    uint64_t mix[CLASSES]; /* scratch of a dump */
    uint64_t pending[LEVELS];
    uint64_t misses[REGIONS][LEVELS];
};

/* A translated block: what one execution of it adds. */
struct block {
    struct page *page;
    uint64_t *executed;
    uint64_t first_line, last_line;
    uint16_t mix[CLASSES];
};

/* Blocks in the order of translation, in chunks that never move: translated code holds addresses into `executed`.
 * The counters stand alone and dense because every marker looks at all of them. */
#define CHUNK_BLOCKS 4096
#define CHUNKS 4096
struct chunk {
    uint64_t executed[CHUNK_BLOCKS]; /* since the last marker */
    struct block blocks[CHUNK_BLOCKS];
    uint64_t *by_region[REGIONS]; /* executions in each region; NULL = none yet */
};

static struct chunk *chunks[CHUNKS];
static size_t block_count;
static struct page **pages; /* hashed by number, open addressing */
static size_t page_count, page_slots;

static struct page **page_slot(struct page **slots, size_t count, uint64_t number) {
    size_t slot = (number * UINT64_C(0x9e3779b97f4a7c15)) >> 20 & (count - 1);
    while (slots[slot] && slots[slot]->number != number)
        slot = (slot + 1) & (count - 1);
    return &slots[slot];
}

static struct page *page_of(uint64_t address) {
    if (2 * page_count >= page_slots) {
        size_t count = page_slots ? 2 * page_slots : 4096;
        struct page **grown = allocated(count * sizeof *grown);
        for (size_t k = 0; k < page_slots; k++)
            if (pages[k])
                *page_slot(grown, count, pages[k]->number) = pages[k];
        free(pages);
        pages = grown;
        page_slots = count;
    }
    struct page **slot = page_slot(pages, page_slots, address >> PAGE_BITS);
    if (!*slot) {
        *slot = allocated(sizeof **slot);
        (*slot)->number = address >> PAGE_BITS;
        page_count++;
    }
    return *slot;
}

static struct block *new_block(void) {
    size_t chunk = block_count / CHUNK_BLOCKS, index = block_count % CHUNK_BLOCKS;
    if (chunk == CHUNKS)
        fail("more code was translated than the plugin has room for");
    if (!chunks[chunk])
        chunks[chunk] = allocated(sizeof *chunks[chunk]);
    block_count++;
    chunks[chunk]->blocks[index].executed = &chunks[chunk]->executed[index];
    return &chunks[chunk]->blocks[index];
}

#endif
