#include "grapes/cli/hardware.h"

namespace grapes::cli {

void add_hardware(Program& program) {
  CLI::App* verb = add_verb(program.app, "hardware", "what GRAPES meets on dedicated hardware",
                            {{"grapes hardware cost", "operations, memory and energy of one training step"},
                             {"grapes hardware devices --out devices", "how analog devices answer pulses"}});
  verb->require_subcommand(1);
  add_cost(program, *verb);
  add_devices(program, *verb);
}

}  // namespace grapes::cli
