/* Which class an A64 instruction belongs to: the classes of device_sim.counts.counts.INSTRUCTION_CLASSES, in order. */
#ifndef EDGE_A64_CLASSES_H
#define EDGE_A64_CLASSES_H

#include <stdint.h>

enum instruction_class {
    INTEGER, MULTIPLY, DIVIDE, BRANCH, INDIRECT, LOAD, STORE, VECTOR_LOAD, VECTOR_STORE,
    FMA, VECTOR_FLOAT, VECTOR_INTEGER, DOT, VECTOR_OTHER, SCALAR_FLOAT, SYSTEM, CLASSES
};

enum instruction_class a64_class(uint32_t word);

#endif
