// Compiled with -mavx2 -mfma, see CMakeLists.txt.
#define GRAPES_INSTRUCTION_SET avx2
#include "grapes/kernels/loops_body.h"
