/* A64 decoding by a table of masks: the first row whose bits match names the class.
 *
 * Encodings: Arm Architecture Reference Manual for A-profile (DDI 0487), chapter C4, "A64 Instruction Set Encoding";
 * the groups below bear the names used there. What no row names is SYSTEM.
 *
 * Choices the manual does not make: a prefetch is a LOAD (it takes the load unit's slot); an atomic read-modify-write
 * is a STORE (it needs the line for itself); a fused or chained multiply-add of vectors is FMA; DOT is whatever adds
 * several products of narrow numbers into each lane (SDOT, SMMLA, BFDOT ...); VECTOR_OTHER is what only moves bits
 * between lanes or registers.
 */
#include "a64_classes.h"

struct row {
    uint32_t mask, value;
    enum instruction_class kind;
};

static const struct row ROWS[] = {
    /* Data processing, immediate: bits 28:26 = 100. */
    {0x1c000000, 0x10000000, INTEGER},

    /* Branches, exceptions, system: bits 28:26 = 101. Hints (NOP), barriers, MRS and SVC are left to SYSTEM. */
    {0x7c000000, 0x14000000, BRANCH},   /* B, BL */
    {0x7c000000, 0x34000000, BRANCH},   /* CBZ, CBNZ, TBZ, TBNZ */
    {0xff000000, 0x54000000, BRANCH},   /* B.cond */
    {0xfe000000, 0xd6000000, INDIRECT}, /* BR, BLR, RET */
    {0x1c000000, 0x14000000, SYSTEM},

    /* Loads and stores: bit 27 = 1, bit 25 = 0; bit 26 tells vector registers from general ones. */
    {0xbe400000, 0x0c400000, VECTOR_LOAD},  /* structures: LD1 ... LD4, LD1R ... */
    {0xbe400000, 0x0c000000, VECTOR_STORE}, /* ST1 ... ST4 */
    {0xbfa00000, 0x08200000, STORE},        /* CASP */
    {0x3fa00000, 0x08a00000, STORE},        /* CAS */
    {0x3f400000, 0x08400000, LOAD},         /* exclusive and ordered: LDXR, LDAR ... */
    {0x3f400000, 0x08000000, STORE},
    {0x3fe00c00, 0x19000000, STORE},        /* ordered, unscaled offset: STLUR */
    {0x3f200c00, 0x19000000, LOAD},         /* LDAPUR */
    {0x3f000000, 0x19000000, STORE},        /* memory tags, memory copy */
    {0x3f000000, 0x18000000, LOAD},         /* literal; with opc = 11 a prefetch */
    {0x3f000000, 0x1c000000, VECTOR_LOAD},
    {0x3e400000, 0x2c400000, VECTOR_LOAD},  /* pairs */
    {0x3e400000, 0x2c000000, VECTOR_STORE},
    {0x3e400000, 0x28400000, LOAD},
    {0x3e400000, 0x28000000, STORE},
    {0x3ffffc00, 0x38bfc000, LOAD},         /* LDAPR, which stands among the atomics */
    {0x3f200c00, 0x38200000, STORE},        /* atomics: LDADD, SWP ... */
    {0x3f200400, 0x38200400, LOAD},         /* authenticated: LDRAA */
    {0x3e400000, 0x3c400000, VECTOR_LOAD},  /* one register: opc<0> is the direction for vectors, */
    {0x3e400000, 0x3c000000, VECTOR_STORE},
    {0x3ec00000, 0x38000000, STORE},        /* and opc = 00 is the only store for general registers */
    {0x3e000000, 0x38000000, LOAD},         /* the rest zero-extends, sign-extends or prefetches */

    /* Data processing, register: bits 27:25 = 101. */
    {0x1f000000, 0x1b000000, MULTIPLY},     /* three sources: MADD, SMULH ... */
    {0x7fe0f800, 0x1ac00800, DIVIDE},       /* UDIV, SDIV */
    {0x0e000000, 0x0a000000, INTEGER},

    /* Scalar floating point: bit 30 = 0, bits 28:25 = 1111 (FMADD, FADD, FCVT, FCSEL, FMOV ...). */
    {0xff000000, 0xce000000, VECTOR_OTHER}, /* cryptographic: SHA512, SHA3, SM3, SM4 */
    {0x5e000000, 0x1e000000, SCALAR_FLOAT},

    /* Advanced SIMD on one lane: bits 31:30 = 01, bits 28:25 = 1111. */
    {0xffe08400, 0x5e000400, VECTOR_OTHER},   /* copy: DUP (element) */
    {0xff208c00, 0x5e000000, VECTOR_OTHER},   /* SHA with three registers */
    {0xff3e0c00, 0x5e280800, VECTOR_OTHER},   /* SHA with two registers */
    {0xdf20c400, 0x5e20c400, SCALAR_FLOAT},   /* three same, opcode 11xxx */
    {0xdf200400, 0x5e200400, VECTOR_INTEGER}, /* three same, the rest */
    {0xdf200c00, 0x5e200000, VECTOR_INTEGER}, /* three different */
    {0xdf80fc00, 0x5f00e400, SCALAR_FLOAT},   /* shift by immediate: SCVTF, UCVTF */
    {0xdf80fc00, 0x5f00fc00, SCALAR_FLOAT},   /* FCVTZS, FCVTZU */
    {0xdf800400, 0x5f000400, VECTOR_INTEGER}, /* the rest of the shifts */
    {0xdf00b400, 0x5f001000, SCALAR_FLOAT},   /* by element: FMLA, FMLS (opcode 0x01) */
    {0xdf00f400, 0x5f009000, SCALAR_FLOAT},   /* FMUL, FMULX */
    {0xdf000400, 0x5f000000, VECTOR_INTEGER}, /* SQDMULH ... */
    {0xdf3f8c00, 0x5e200800, VECTOR_INTEGER}, /* two-register, opcode 00xxx: SQABS ... */
    {0xdf3fcc00, 0x5e208800, VECTOR_INTEGER}, /* 010xx: comparisons with 0, ABS, NEG */
    {0xdf3ffc00, 0x5e212800, VECTOR_INTEGER}, /* SQXTUN */
    {0xdf3ffc00, 0x5e214800, VECTOR_INTEGER}, /* SQXTN, UQXTN */
    {0xfffffc00, 0x5ef1b800, VECTOR_INTEGER}, /* ADDP */
    {0xdf208400, 0x5e008400, VECTOR_INTEGER}, /* three same, extra: SQRDMLAH */
    {0x5e000000, 0x5e000000, SCALAR_FLOAT},   /* the rest: conversions, half precision, FADDP */

    /* Advanced SIMD three same: 0 Q U 01110 size 1 Rm opcode 1. */
    {0xbf20fc00, 0x0e20cc00, FMA},            /* FMLA, FMLS */
    {0xbf60fc00, 0x0e20ec00, FMA},            /* FMLAL, FMLSL */
    {0xbf60fc00, 0x2e20cc00, FMA},            /* FMLAL2, FMLSL2 */
    {0x9f20c400, 0x0e20c400, VECTOR_FLOAT},   /* opcode 11xxx */
    {0x9f200400, 0x0e200400, VECTOR_INTEGER},
    /* three same, half precision: 0 Q U 01110 a 10 Rm 00 opcode 1 */
    {0xbf60fc00, 0x0e400c00, FMA},
    {0x9f60c400, 0x0e400400, VECTOR_FLOAT},
    /* three same, extra: 0 Q U 01110 size 0 Rm 1 opcode 1 */
    {0x9f20f400, 0x0e009400, DOT},            /* SDOT, UDOT, USDOT (opcode 001x) */
    {0x9f20f400, 0x0e00a400, DOT},            /* SMMLA, UMMLA, USMMLA (010x) */
    {0xbfe0fc00, 0x2ec0fc00, FMA},            /* BFMLAL */
    {0xbf20ec00, 0x2e00ec00, DOT},            /* BFDOT, BFMMLA (11x1) */
    {0xbf20e400, 0x2e00c400, FMA},            /* FCMLA (10xx) */
    {0xbf20ec00, 0x2e00e400, VECTOR_FLOAT},   /* FCADD (11x0) */
    {0x9f208400, 0x0e008400, VECTOR_INTEGER}, /* SQRDMLAH, SQRDMLSH */
    /* three different: ... opcode 00 (SMULL, SMLAL, PMULL ...) */
    {0x9f200c00, 0x0e200000, VECTOR_INTEGER},
    /* two-register, half precision: 0 Q U 01110 a 111100 opcode 10 */
    {0x9f7e0c00, 0x0e780800, VECTOR_FLOAT},
    /* AES: 0100 1110 size 10100 opcode 10 */
    {0xff3e0c00, 0x4e280800, VECTOR_OTHER},
    /* two-register: 0 Q U 01110 size 10000 opcode 10 */
    {0x9fbecc00, 0x0ea0c800, VECTOR_FLOAT},   /* size 1x, opcode x11xx: comparisons with 0, FABS, FNEG, FSQRT ... */
    {0x9f3fcc00, 0x0e21c800, VECTOR_FLOAT},   /* opcode 111xx: SCVTF, FCVTAS ... */
    {0x9f3fcc00, 0x0e218800, VECTOR_FLOAT},   /* opcode 110xx: FRINT, FCVTNS ... */
    {0x9f3fec00, 0x0e216800, VECTOR_FLOAT},   /* opcode 1011x: FCVTN, FCVTL, FCVTXN */
    {0x9f3fec00, 0x0e200800, VECTOR_OTHER},   /* opcode 0000x: REV64, REV32, REV16 */
    {0xbf3ffc00, 0x0e212800, VECTOR_OTHER},   /* XTN */
    {0x9f3e0c00, 0x0e200800, VECTOR_INTEGER},
    /* across lanes: 0 Q U 01110 size 11000 opcode 10 */
    {0x9f3fcc00, 0x0e30c800, VECTOR_FLOAT},   /* FMAXV, FMINV, FMAXNMV, FMINNMV */
    {0x9f3e0c00, 0x0e300800, VECTOR_INTEGER},
    /* moves of lanes */
    {0x9fe08400, 0x0e000400, VECTOR_OTHER},   /* copy: DUP, INS, SMOV, UMOV */
    {0xbf208c00, 0x0e000000, VECTOR_OTHER},   /* TBL, TBX */
    {0xbf208c00, 0x0e000800, VECTOR_OTHER},   /* ZIP, UZP, TRN */
    {0xbf208400, 0x2e000000, VECTOR_OTHER},   /* EXT */
    {0x9ff80400, 0x0f000400, VECTOR_OTHER},   /* modified immediate: MOVI, FMOV */
    /* shift by immediate: 0 Q U 011110 immh immb opcode 1 */
    {0x9f80fc00, 0x0f00e400, VECTOR_FLOAT},   /* SCVTF, UCVTF */
    {0x9f80fc00, 0x0f00fc00, VECTOR_FLOAT},   /* FCVTZS, FCVTZU */
    {0x9f800400, 0x0f000400, VECTOR_INTEGER},
    /* by element: 0 Q U 01111 size L M Rm opcode H 0 */
    {0xbf00b400, 0x0f001000, FMA},            /* FMLA, FMLS (U = 0, opcode 0x01) */
    {0xbfc0b400, 0x0f800000, FMA},            /* FMLAL, FMLSL (U = 0, opcode 0x00, size 10) */
    {0xbfc0b400, 0x2f808000, FMA},            /* FMLAL2, FMLSL2 (U = 1, opcode 1x00) */
    {0xbf009400, 0x2f001000, FMA},            /* FCMLA (U = 1, opcode 0xx1) */
    {0x9f00f400, 0x0f009000, VECTOR_FLOAT},   /* FMUL, FMULX */
    {0xbfc0f400, 0x0fc0f000, FMA},            /* BFMLAL */
    {0x9f00f400, 0x0f00e000, DOT},            /* SDOT, UDOT */
    {0xbf00f400, 0x0f00f000, DOT},            /* USDOT, SUDOT, BFDOT */
    {0x9f000400, 0x0f000000, VECTOR_INTEGER}, /* MUL, MLA, SMLAL, SQRDMULH ... */
    {0x0e000000, 0x0e000000, VECTOR_OTHER},

    /* Scalable vectors, which none of the simulated cores has. */
    {0x1e000000, 0x04000000, VECTOR_OTHER},
};

enum instruction_class a64_class(uint32_t word) {
    for (unsigned k = 0; k < sizeof ROWS / sizeof ROWS[0]; k++)
        if ((word & ROWS[k].mask) == ROWS[k].value)
            return ROWS[k].kind;
    return SYSTEM;
}
