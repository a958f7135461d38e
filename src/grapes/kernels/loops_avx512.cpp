// Compiled with the AVX-512 of Skylake servers and Zen 4, see CMakeLists.txt.
#define GRAPES_INSTRUCTION_SET avx512
#include "grapes/kernels/loops_body.h"
