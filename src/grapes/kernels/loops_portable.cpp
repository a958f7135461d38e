#define GRAPES_INSTRUCTION_SET portable
#include "grapes/kernels/loops_body.h"
