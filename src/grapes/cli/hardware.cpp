#include "grapes/cli/hardware.h"

namespace grapes::cli {

void add_hardware(Program& program) {
  CLI::App* verb = add_verb(program.app, "hardware", "estimate costs on dedicated hardware; simulate analog devices",
                            {{"grapes hardware cost", "estimate operations, memory and energy of one training step"},
                             {"grapes hardware devices --out devices", "draw how analog devices respond to pulses"}});
  verb->require_subcommand(1);
  add_cost(program, *verb);
  add_devices(program, *verb);
}

}  // namespace grapes::cli
