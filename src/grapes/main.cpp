#include "grapes/cli/program.h"

int main(int argc, char** argv) { return grapes::cli::main(argc, argv); }
