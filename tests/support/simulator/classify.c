/* Reads A64 words (hexadecimal, one a line) and prints the number of each one's class. */
#include <inttypes.h>
#include <stdio.h>

#include "a64_classes.h"

int main(void) {
    uint32_t word;
    while (scanf("%" SCNx32, &word) == 1)
        printf("%d\n", (int)a64_class(word));
    return 0;
}
