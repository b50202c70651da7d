/* A plugin for qemu-aarch64 that counts what the guest executes: instructions by class, by region and by code page,
 * and with simulated caches also their misses.
 *
 * The guest marks regions by a system call that the kernel refuses at once, getpgid(MARKER + id). At each marker, what
 * ran since the last one is added to the region that was current, and `id` becomes the current region. Regions are
 * those of the process: a marker in one thread counts for all of them. Two ids are commands:
 *   DUMP          write what all regions gathered, forget it, and make region 0 current
 *   EMPTY_CACHES  every simulated cache forgets its lines
 *
 * Arguments: out=FILE [l1i=KIB:WAYS l1d=KIB:WAYS l2=KIB:WAYS [l3=KIB:WAYS]]
 * Output, one JSON object a line (read by plugin_output.py):
 *   {"region":R,"page":P,"mix":[one number a class],"misses":[l1i,l1d,l2,l3]}   code at P * 4096 ... ; misses if simulated
 *   {"region":R,"visits":V}                                                    how often R was entered
 *   {"dump":D}                                                                 the lines before belong to dump D
 *   {"end":true,"vcpus":V}                                                     the guest has ended
 * What ran after the last DUMP is written as a last dump when the guest ends.
 */
#include <inttypes.h>
#include <pthread.h>

#include "code_blocks.h"
#include "qemu_plugin_api.h"

#define GETPGID 155 /* its number on arm64 */
#define MARKER 0x7ead0000u
#define DUMP 0xffffu
#define EMPTY_CACHES 0xfffeu

static const char *const LEVEL_NAMES[LEVELS] = {"l1i=", "l1d=", "l2=", "l3="};

static uint64_t visits[REGIONS];
static unsigned region, dumps, vcpus;
static bool simulated, parallel;
static struct cache caches[LEVELS];
static uint64_t last_fetched = NO_LINE, last_accessed = NO_LINE;
static FILE *out;
static pid_t owner; /* a forked child carries a copy of all this, and must not write */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- simulated caches: one core's, whatever thread runs ---- */

static inline void miss(struct page *page, int first_level, uint64_t line) {
    page->pending[first_level]++;
    if (cache_touch(&caches[L2], line))
        return;
    page->pending[L2]++;
    if (caches[L3].lines && !cache_touch(&caches[L3], line))
        page->pending[L3]++;
}

static inline void enter_caches(void) {
    if (parallel)
        pthread_mutex_lock(&lock);
}

static inline void leave_caches(void) {
    if (parallel)
        pthread_mutex_unlock(&lock);
}

static void accessed(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *data) {
    (void)vcpu;
    uint64_t line = address >> LINE_BITS;
    uint64_t last = (address + (UINT64_C(1) << qemu_plugin_mem_size_shift(info)) - 1) >> LINE_BITS;
    enter_caches();
    if (line != last_accessed || line != last) {
        for (; line <= last; line++)
            if (!cache_touch(&caches[L1D], line))
                miss(data, L1D, line);
        last_accessed = last;
    }
    leave_caches();
}

static void fetched(unsigned vcpu, void *data) {
    (void)vcpu;
    const struct block *block = data;
    enter_caches();
    for (uint64_t line = block->first_line; line <= block->last_line; line++)
        if (line != last_fetched) {
            if (!cache_touch(&caches[L1I], line))
                miss(block->page, L1I, line);
            last_fetched = line;
        }
    leave_caches();
}

static void empty_caches(void) {
    for (int level = 0; level < LEVELS; level++)
        cache_empty(&caches[level]);
    last_fetched = last_accessed = NO_LINE;
}

/* ---- counting ---- */

static void executed_by_many(unsigned vcpu, void *data) {
    (void)vcpu;
    __atomic_fetch_add(((const struct block *)data)->executed, 1, __ATOMIC_RELAXED);
}

static bool touches_memory(enum instruction_class kind) {
    return (kind >= LOAD && kind <= VECTOR_STORE) || kind == SYSTEM; /* SYSTEM: cache maintenance such as DC ZVA */
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    size_t count = qemu_plugin_tb_n_insns(tb);
    uint64_t address = qemu_plugin_tb_vaddr(tb);
    pthread_mutex_lock(&lock);
    struct block *block = new_block();
    block->page = page_of(address);
    pthread_mutex_unlock(&lock);
    block->first_line = address >> LINE_BITS;
    block->last_line = (address + 4 * count - 1) >> LINE_BITS;
    for (size_t k = 0; k < count; k++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(tb, k);
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(instruction), sizeof word);
        enum instruction_class kind = a64_class(word);
        block->mix[kind]++;
        if (simulated && touches_memory(kind))
            qemu_plugin_register_vcpu_mem_cb(instruction, accessed, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
                                             block->page);
    }
    if (simulated)
        qemu_plugin_register_vcpu_tb_exec_cb(tb, fetched, QEMU_PLUGIN_CB_NO_REGS, block);
    /* An inline addition costs almost nothing but loses counts when two threads run the same block. */
    if (parallel)
        qemu_plugin_register_vcpu_tb_exec_cb(tb, executed_by_many, QEMU_PLUGIN_CB_NO_REGS, block);
    else
        qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, block->executed, 1);
}

/* QEMU translates all code anew before a second thread runs, and announces that thread's processor before. */
static void vcpu_started(qemu_plugin_id_t id, unsigned vcpu) {
    (void)id;
    vcpus++;
    if (vcpu > 0)
        parallel = true;
}

/* Give what ran since the last marker to the current region. */
static void settle(void) {
    for (size_t first = 0; first < block_count; first += CHUNK_BLOCKS) {
        struct chunk *chunk = chunks[first / CHUNK_BLOCKS];
        for (size_t k = 0; k < CHUNK_BLOCKS; k++) {
            if (!chunk->executed[k])
                continue;
            if (!chunk->by_region[region])
                chunk->by_region[region] = allocated(CHUNK_BLOCKS * sizeof(uint64_t));
            chunk->by_region[region][k] += __atomic_exchange_n(&chunk->executed[k], 0, __ATOMIC_RELAXED);
        }
    }
    for (size_t slot = 0; simulated && slot < page_slots; slot++)
        for (int level = 0; pages[slot] && level < LEVELS; level++) {
            pages[slot]->misses[region][level] += pages[slot]->pending[level];
            pages[slot]->pending[level] = 0;
        }
}

/* ---- output ---- */

static void write_numbers(const char *name, const uint64_t *numbers, int count) {
    fprintf(out, ",\"%s\":[", name);
    for (int k = 0; k < count; k++)
        fprintf(out, k ? ",%" PRIu64 : "%" PRIu64, numbers[k]);
    fputc(']', out);
}

static void write_page(unsigned of_region, struct page *page) {
    uint64_t any = 0;
    for (int kind = 0; kind < CLASSES; kind++)
        any |= page->mix[kind];
    for (int level = 0; level < LEVELS; level++)
        any |= page->misses[of_region][level];
    if (any) {
        fprintf(out, "{\"region\":%u,\"page\":%" PRIu64, of_region, page->number);
        write_numbers("mix", page->mix, CLASSES);
        if (simulated)
            write_numbers("misses", page->misses[of_region], caches[L3].lines ? LEVELS : L3);
        fputs("}\n", out);
    }
    memset(page->mix, 0, sizeof page->mix);
    memset(page->misses[of_region], 0, sizeof page->misses[of_region]);
}

static void write_region(unsigned of_region) {
    for (size_t k = 0; k < block_count; k++) {
        uint64_t *executed = chunks[k / CHUNK_BLOCKS]->by_region[of_region];
        const struct block *block = &chunks[k / CHUNK_BLOCKS]->blocks[k % CHUNK_BLOCKS];
        if (!executed || !executed[k % CHUNK_BLOCKS])
            continue;
        for (int kind = 0; kind < CLASSES; kind++)
            block->page->mix[kind] += executed[k % CHUNK_BLOCKS] * block->mix[kind];
        executed[k % CHUNK_BLOCKS] = 0;
    }
    for (size_t slot = 0; slot < page_slots; slot++)
        if (pages[slot])
            write_page(of_region, pages[slot]);
    fprintf(out, "{\"region\":%u,\"visits\":%" PRIu64 "}\n", of_region, visits[of_region]);
    visits[of_region] = 0;
}

static void dump(void) {
    for (unsigned of_region = 0; of_region < REGIONS; of_region++)
        if (visits[of_region])
            write_region(of_region);
    fprintf(out, "{\"dump\":%u}\n", dumps++);
    if (fflush(out))
        fail("the output file cannot be written");
}

static void enter(unsigned next) {
    region = next;
    visits[region]++;
}

static void marked(unsigned id) {
    pthread_mutex_lock(&lock);
    settle();
    if (id == DUMP) {
        dump();
        enter(0);
    } else if (id == EMPTY_CACHES) {
        empty_caches();
    } else if (id < REGIONS) {
        enter(id);
    } else {
        fail("the guest marked a region whose number is too high");
    }
    pthread_mutex_unlock(&lock);
}

static void called(qemu_plugin_id_t id, unsigned vcpu, int64_t number, uint64_t first, uint64_t second, uint64_t third,
                   uint64_t fourth, uint64_t fifth, uint64_t sixth, uint64_t seventh, uint64_t eighth) {
    (void)id, (void)vcpu, (void)second, (void)third, (void)fourth, (void)fifth, (void)sixth, (void)seventh, (void)eighth;
    if (number == GETPGID && ((uint32_t)first & 0xffff0000u) == MARKER && getpid() == owner)
        marked((uint32_t)first & 0xffffu);
}

static void ended(qemu_plugin_id_t id, void *data) {
    (void)id, (void)data;
    if (getpid() != owner)
        return;
    marked(DUMP);
    fprintf(out, "{\"end\":true,\"vcpus\":%u}\n", vcpus);
    if (fclose(out))
        fail("the output file cannot be written");
}

/* ---- start ---- */

static bool read_argument(const char *argument) {
    unsigned kib, ways;
    if (!strncmp(argument, "out=", 4))
        return (out = fopen(argument + 4, "w")) != NULL;
    for (int level = 0; level < LEVELS; level++) {
        size_t length = strlen(LEVEL_NAMES[level]);
        if (!strncmp(argument, LEVEL_NAMES[level], length))
            return sscanf(argument + length, "%u:%u", &kib, &ways) == 2 && cache_build(&caches[level], kib, ways);
    }
    return false;
}

EXPORT int qemu_plugin_version = 1;

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
    (void)info;
    for (int k = 0; k < argc; k++)
        if (!read_argument(argv[k])) {
            fprintf(stderr, "instruction_counts: the argument %s cannot be used\n", argv[k]);
            return 1;
        }
    simulated = caches[L1I].lines && caches[L1D].lines && caches[L2].lines;
    if (!out || (!simulated && (caches[L1I].lines || caches[L1D].lines || caches[L2].lines || caches[L3].lines))) {
        fputs("instruction_counts: out=FILE is needed, and l1i, l1d and l2 together or none\n", stderr);
        return 1;
    }
    owner = getpid();
    enter(0);
    qemu_plugin_register_vcpu_init_cb(id, vcpu_started);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
